use std::time::Duration;

use super::SharedAccess;
use crate::job::JobError;
use crate::job::control::{SetLimits, Verb};
use crate::store::StoreError;
use crate::store::shared::{Caps, SeenRun, SeenWorker, nano};

/// What a shared store says of its runs and workers.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedStatus {
    /// The address of the database, without a password.
    pub shown: String,
    /// The runs, oldest first.
    pub runs: Vec<SeenRun>,
    /// The workers, newest first.
    pub workers: Vec<SeenWorker>,
}

impl SharedAccess {
    /// Returns what the store says of its runs and workers.
    pub fn status(&self) -> Result<SharedStatus, JobError> {
        let runs = self.database.runs().map_err(StoreError::from)?;
        let workers = self.database.workers().map_err(StoreError::from)?;
        Ok(SharedStatus { shown: self.shown.clone(), runs, workers })
    }

    /// Sends a verb to all workers of a run: the one that was named, else the newest that is not done. Returns its name.
    pub fn control(&self, verb: &Verb) -> Result<String, JobError> {
        let runs = self.database.runs().map_err(StoreError::from)?;
        let wanted = |run: &&SeenRun| match &self.run {
            Some(name) => run.name == *name,
            None => run.done < run.slots,
        };
        let Some(run) = runs.iter().rev().find(wanted) else {
            let message = match &self.run {
                Some(name) => format!("{} has no run {name}", self.shown),
                None => format!("no run of {} is at work", self.shown),
            };
            return Err(JobError::usage(message, "`cohobate status` shows the runs; --run names one"));
        };
        // Every worker would refuse it, and the database would show a cap that does not hold.
        let is_endless = |(name, value): &(String, String)| name == "max-tokens" && value.parse::<u64>().is_err();
        if matches!(verb, Verb::Set(SetLimits { max_cost: Some(Some(_)), .. }))
            && run.run.settings.entries.iter().any(is_endless)
        {
            let message =
                format!("the workers of {} have no --max-tokens: an answer may have any length and cost", run.name);
            return Err(JobError::usage(message, "stop the run, and start it with --max-tokens and --max-cost"));
        }
        let caps = match verb {
            Verb::Set(SetLimits { max_cost: Some(cost), .. }) => Some(Caps { cost_nano: cost.map(nano), ..run.caps }),
            _ => None,
        };
        let sent = self.database.control(run.run.number, &verb.request().to_string(), caps);
        sent.map_err(StoreError::from)?;
        Ok(run.name.clone())
    }

    /// Returns the reserves of workers that ended without leaving and were not seen for a time. Says who they were.
    pub fn reconcile(&self, unseen_for: Duration) -> Result<Vec<SeenWorker>, JobError> {
        Ok(self.database.reconcile(unseen_for).map_err(StoreError::from)?)
    }
}
