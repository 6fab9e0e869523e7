use std::collections::BTreeSet;

use crate::job::models::ModelChoice;
use crate::job::run_log::{LoggedRun, RunHistory};
use crate::report::words::number;

/// The fewest answers from which a run's speed is taken.
const ANSWERS_MIN: u64 = 20;

/// How fast the same models answered an earlier run of the store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    answers_per_s: f64,
    run: u32,
}

impl Speed {
    /// Takes the speed of the last run that asked these models and no others; nothing where none did for long enough.
    pub fn of(history: &RunHistory, models: &[&ModelChoice]) -> Option<Self> {
        let wanted: BTreeSet<&str> = models.iter().map(|model| model.target.model()).collect();
        let asked =
            |run: &&LoggedRun| run.begin.models.iter().map(|model| &*model.name).collect::<BTreeSet<_>>() == wanted;
        let is_known = |run: &&LoggedRun| run.progress.answers >= ANSWERS_MIN && run.progress.answers_per_s > 0.0;
        let run = history.runs.iter().rev().filter(asked).find(is_known)?;
        Some(Self { answers_per_s: run.progress.answers_per_s, run: run.run })
    }

    /// Returns the seconds that this many calls take.
    pub fn seconds(self, calls: u64) -> f64 {
        calls as f64 / self.answers_per_s
    }

    /// Says what the time rests on.
    pub fn words(self) -> String {
        let rate = self.answers_per_s;
        let rate = if rate < 10.0 { format!("{rate:.1}") } else { number(rate.round() as u64) };
        format!("time: {rate} answers a second, as in run {} of this store", self.run)
    }
}
