//! What a run shares with other workers: conversations, a budget, and the right to ask.

use std::sync::Arc;

use tokio::sync::watch;

use super::budget::Amount;
use super::stop::RunStop;
use crate::model::PaceLimits;

/// The other workers of a shared run, as one of them sees them.
///
/// Every method is asked between two events and returns at once.
pub trait Fleet: Send + Sync {
    /// True while this worker certainly has the right to ask: its lease holds, and the database answers.
    fn may_ask(&self) -> bool;

    /// True while a row's conversation is this worker's.
    fn holds(&self, row: u64) -> bool;

    /// A row's conversation was opened and has ended; what it has committed is in the store.
    fn on_end(&self, row: u64, end: RowEnd);

    /// What this worker may spend in this run, all in all; `None` where nothing is capped.
    fn allowance(&self) -> Option<Allowed>;

    /// Reports what is spent and reserved, so that more can be granted in time.
    fn on_budget(&self, need: BudgetNeed);

    /// How the limits of the run are divided.
    fn share(&self) -> FleetShare;

    /// Why this worker must stop.
    fn stop(&self) -> Option<RunStop>;

    /// Changes whenever one of the above may have changed.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// How a row's conversation has ended for its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowEnd {
    /// Nothing is left to ask.
    Done,
    /// It has failed; a later run may ask again.
    Failed,
    /// It was interrupted.
    Open,
}

/// Caps on what one worker may spend in this run. `None` is no cap.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Allowed {
    /// Dollars.
    pub cost: Option<f64>,
    /// Requests.
    pub requests: Option<u64>,
    /// Answer tokens.
    pub output_tokens: Option<u64>,
}

/// What a worker needs of the shared budget.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BudgetNeed {
    /// Spent and reserved since this worker's run began.
    pub used: Amount,
    /// The worst case of the next call, where there was no room for it.
    pub next: Option<Amount>,
    /// The largest worst case of a call so far.
    pub per_call: Amount,
    /// Calls that may be in flight.
    pub calls_max: usize,
    /// Calls in flight, or answered and not committed.
    pub has_calls: bool,
    /// The caps that this was told under: nothing beyond them is spent from here on.
    pub allowed: Option<Allowed>,
}

/// This worker's place among those that are at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FleetShare {
    /// Its place, from 0.
    pub rank: u32,
    /// Their number, this one included.
    pub live: u32,
}

impl Default for FleetShare {
    fn default() -> Self {
        Self { rank: 0, live: 1 }
    }
}

impl FleetShare {
    /// Returns this worker's part of a limit. The parts of all workers add up to the limit; one may be 0.
    pub fn of(&self, limit: u64) -> u64 {
        let live = u64::from(self.live.max(1));
        limit / live + u64::from(u64::from(self.rank) < limit % live)
    }
}

/// What the dispatcher keeps of its fleet.
pub(super) struct FleetLink {
    pub fleet: Arc<dyn Fleet>,
    pub changes: watch::Receiver<u64>,
    /// The limits of the whole run.
    pub whole: PaceLimits,
    pub share: FleetShare,
    pub per_call: Amount,
    /// The worst case of a call for which there was no room.
    pub short: Option<Amount>,
    /// The caps that hold here.
    pub allowed: Option<Allowed>,
    /// The part of a limit of the run that is this worker's is 0.
    pub is_without_share: bool,
}

impl FleetLink {
    pub fn new(fleet: Arc<dyn Fleet>, whole: PaceLimits) -> Self {
        let changes = fleet.changes();
        // No share is known yet: the limits are divided with the first change.
        let share = FleetShare { rank: 0, live: 0 };
        Self {
            fleet,
            changes,
            whole,
            share,
            per_call: Amount::default(),
            short: None,
            allowed: None,
            is_without_share: false,
        }
    }
}

/// Waits for news of the fleet; forever without one.
pub(super) async fn changed(link: Option<&mut FleetLink>) {
    if let Some(link) = link
        && link.changes.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_limit_add_up_to_it() {
        for (limit, live) in [(100, 3), (2, 5), (7, 7), (0, 2), (60, 1)] {
            let parts = (0..live).map(|rank| FleetShare { rank, live }.of(limit));
            assert_eq!(parts.sum::<u64>(), limit, "{limit} over {live}");
        }
        assert_eq!(FleetShare { rank: 0, live: 0 }.of(9), 9, "before anything is known");
    }
}
