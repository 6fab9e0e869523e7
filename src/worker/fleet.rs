//! What a run shares with other workers: conversations, a budget, and the right to ask.

use std::sync::Arc;

use tokio::sync::watch;

use super::budget::Amount;
use super::dispatcher::Dispatcher;
use super::session::{ConversationEnd, SessionReply};
use super::stop::RunStop;
use crate::conversation::Fingerprint;
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
    whole: PaceLimits,
    share: FleetShare,
    per_call: Amount,
    /// The part of a limit of the run that is this worker's is 0.
    is_without_share: bool,
}

impl FleetLink {
    pub fn new(fleet: Arc<dyn Fleet>, whole: PaceLimits) -> Self {
        let changes = fleet.changes();
        // No share is known yet: the limits are divided with the first change.
        let share = FleetShare { rank: 0, live: 0 };
        Self { fleet, changes, whole, share, per_call: Amount::default(), is_without_share: false }
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

impl Dispatcher<'_> {
    /// Takes over what has changed for this worker.
    pub(super) fn on_fleet(&mut self) {
        let Some(link) = &mut self.fleet else { return };
        if let Some(reason) = link.fleet.stop() {
            return self.stop(reason);
        }
        if let Some(Allowed { cost, requests, output_tokens }) = link.fleet.allowance() {
            self.budget.allow(cost, requests, output_tokens);
        }
        let share = link.fleet.share();
        if std::mem::replace(&mut link.share, share) != share {
            self.divide_limits();
        }
        for fingerprint in self.flights_of_lost_rows() {
            self.release_flight(&fingerprint);
        }
    }

    /// Sets the limits of the whole run, of which this worker takes its part.
    pub(super) fn set_whole_pace(&mut self, pace: PaceLimits) -> bool {
        let Some(link) = &mut self.fleet else { return false };
        link.whole = pace;
        self.divide_limits();
        true
    }

    /// The limits of the whole run.
    pub(super) fn whole_pace(&self) -> PaceLimits {
        self.fleet.as_ref().map_or(self.pace, |link| link.whole)
    }

    fn divide_limits(&mut self) {
        let Some(link) = &mut self.fleet else { return };
        let mut own = link.whole;
        let share = link.share;
        own.requests_per_minute = own.requests_per_minute.map(|limit| share.of(u64::from(limit)) as u32);
        own.tokens_per_minute = own.tokens_per_minute.map(|limit| share.of(limit));
        link.is_without_share = own.requests_per_minute == Some(0) || own.tokens_per_minute == Some(0);
        // A pace of nothing cannot be set; `may_ask` sees to it that nothing is sent.
        own.requests_per_minute = own.requests_per_minute.map(|part| part.max(1));
        own.tokens_per_minute = own.tokens_per_minute.map(|part| part.max(1));
        self.set_own_pace(own);
    }

    /// True if this worker may send calls now.
    pub(super) fn may_ask(&self) -> bool {
        self.fleet.as_ref().is_none_or(|link| !link.is_without_share && link.fleet.may_ask())
    }

    /// True if the conversation of an open session is this worker's.
    pub(super) fn holds_session(&self, session: u64) -> bool {
        let Some(link) = &self.fleet else { return true };
        self.open_rows.get(&session).is_some_and(|row| link.fleet.holds(*row))
    }

    /// True if a row may be opened.
    pub(super) fn holds_row(&self, row: u64) -> bool {
        self.fleet.as_ref().is_none_or(|link| link.fleet.holds(row))
    }

    /// Tells the fleet that a row's conversation has ended.
    pub(super) fn tell_end(&self, row: u64, end: &ConversationEnd) {
        let Some(link) = &self.fleet else { return };
        let end = match end {
            ConversationEnd::Complete | ConversationEnd::Stopped { .. } | ConversationEnd::Changed => RowEnd::Done,
            ConversationEnd::Failed { .. } => RowEnd::Failed,
            ConversationEnd::Interrupted | ConversationEnd::InputLost(_) => RowEnd::Open,
        };
        link.fleet.on_end(row, end);
    }

    /// Reports to the fleet what the budget needs. `next` is a call that had no room.
    pub(super) fn tell_budget(&mut self, next: Option<Amount>) {
        let Some(link) = &mut self.fleet else { return };
        if let Some(next) = &next {
            link.per_call = link.per_call.max(next);
        }
        let need = BudgetNeed {
            used: self.budget.used(),
            next,
            per_call: link.per_call,
            calls_max: self.slots,
            has_calls: !self.calls.is_empty() || self.commits_pending > 0,
        };
        link.fleet.on_budget(need);
    }

    /// Remembers how much a call may cost.
    pub(super) fn on_worst(&mut self, worst: &Amount) {
        if let Some(link) = &mut self.fleet {
            link.per_call = link.per_call.max(worst);
        }
    }

    /// Drops a question that waits to be sent, and tells its sessions.
    fn release_flight(&mut self, fingerprint: &Fingerprint) {
        self.book_open_doubt(fingerprint);
        if let Some(flight) = self.flights.get(fingerprint)
            && let Some(queue) = self.queues.get_mut(flight.question.target.model())
        {
            let key = (flight.session, *fingerprint);
            queue.replicas.iter_mut().for_each(|replica| _ = replica.ready.remove(&key));
        }
        self.flights.release(fingerprint);
    }

    /// Returns the questions that wait to be sent and that no conversation of this worker asks any longer.
    fn flights_of_lost_rows(&self) -> Vec<Fingerprint> {
        let is_queued = |fingerprint: &Fingerprint, session: u64, model: &str| {
            let replicas = self.queues.get(model).into_iter().flat_map(|queue| &queue.replicas);
            replicas.into_iter().any(|replica| replica.ready.contains(&(session, *fingerprint)))
        };
        let lost = self.flights.iter().filter(|(fingerprint, flight)| {
            let is_wanted = flight.waiters.iter().any(|waiter| self.holds_session(waiter.session));
            let waits = flight.due.is_some() || is_queued(fingerprint, flight.session, flight.question.target.model());
            !is_wanted && waits && flight.answer.is_none()
        });
        lost.map(|(fingerprint, _)| *fingerprint).collect()
    }

    /// Returns what a session is told that asks for a conversation that is no longer this worker's.
    pub(super) fn lost_reply(&self, session: u64) -> Option<SessionReply> {
        (!self.holds_session(session)).then_some(SessionReply::Stopping)
    }
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
