use std::collections::BTreeMap;
use std::path::Path;

use super::run_log::RunHistory;
use super::shared::{SharedAccess, SharedStatus};
use super::{Context, JobError, open_store};
use crate::conversation::{ConversationKey, Price};
use crate::model::ModelProfile;
use crate::store::{OnLoss, Run, Spent, Status};

/// What a store holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatusReport {
    /// Turns in the histories of all conversations; not counted in a shared store, where that would read every answer.
    pub turns: Option<u64>,
    /// Conversations that are not finished.
    pub open: u64,
    /// Conversations in which every turn has a complete answer.
    pub complete: u64,
    /// Stopped and failed conversations, by reason.
    pub reasons: BTreeMap<String, ReasonCount>,
    /// What was paid for, by model.
    pub spending: BTreeMap<String, SpendingReport>,
    /// All runs, in order.
    pub runs: Vec<Run>,
    /// Of a shared store, its runs and workers.
    pub shared: Option<SharedStatus>,
    /// The commands that asked, as the run log tells them: how each ended, and the last failed calls.
    pub history: RunHistory,
}

/// Failed calls of a report.
pub const FAILED_CALLS_MAX: usize = 100;

/// Conversations that ended for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReasonCount {
    /// How many.
    pub conversations: u64,
    /// The key of one of them.
    pub example: String,
}

/// What was paid for one model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpendingReport {
    /// Answers and tokens.
    pub spent: Spent,
    /// What they cost in dollars, where a profile has the price.
    pub cost: Option<f64>,
}

/// Counts what a store holds. Costs are those of the profiles' prices today.
pub fn status(
    store: &Path,
    on_loss: OnLoss,
    profiles: &BTreeMap<String, ModelProfile>,
    context: &Context,
) -> Result<StatusReport, JobError> {
    let history = RunHistory::read(store, FAILED_CALLS_MAX);
    let store = open_store::open_reader(store, on_loss, context)?;
    let shared = context.shared.as_ref().map(SharedAccess::status).transpose()?;
    let mut report = StatusReport { runs: store.runs()?, history, shared, ..StatusReport::default() };
    if report.shared.is_some() {
        store.for_each_status(&mut |key, status| report.count(&key, &status))?;
    } else {
        let mut turns = 0;
        store.for_each_state(&mut |key, state| {
            turns += state.history.len() as u64;
            report.count(&key, &state.status);
        })?;
        report.turns = Some(turns);
    }
    for (model, spent) in store.spending()? {
        let cost = price(profiles, &model).map(|price| spent.cost(&price));
        report.spending.insert(model, SpendingReport { spent, cost });
    }
    Ok(report)
}

impl StatusReport {
    fn count(&mut self, key: &ConversationKey, status: &Status) {
        let reason = match status {
            Status::Open => return self.open += 1,
            Status::Complete => return self.complete += 1,
            Status::Stopped { reason, .. } => format!("stopped: {reason}"),
            Status::Failed { reason, .. } => format!("failed: {}", reason.without_numbers()),
        };
        let first = || ReasonCount { conversations: 0, example: key.to_string() };
        self.reasons.entry(reason).or_insert_with(first).conversations += 1;
    }
}

/// Returns the price of a model, where a profile has it.
fn price(profiles: &BTreeMap<String, ModelProfile>, model: &str) -> Option<Price> {
    let mut named = profiles.iter().filter(|(name, profile)| profile.name.as_ref().unwrap_or(name) == model);
    named.find_map(|(_, profile)| profile.price).map(Price::from)
}
