//! What a dispatcher does for its fleet: it asks for its own conversations alone, within its own part of the limits.

use super::budget::Amount;
use super::dispatcher::Dispatcher;
use super::fleet::{Allowed, BudgetNeed, RowEnd};
use super::session::{ConversationEnd, SessionReply};
use crate::conversation::Fingerprint;
use crate::model::PaceLimits;

impl Dispatcher<'_> {
    /// Takes over what has changed for this worker.
    pub(super) fn on_fleet(&mut self) {
        let Some(link) = &mut self.fleet else { return };
        if let Some(reason) = link.fleet.stop() {
            return self.stop(reason);
        }
        link.allowed = link.fleet.allowance();
        if let Some(Allowed { cost, requests, output_tokens }) = link.allowed {
            self.budget.allow(cost, requests, output_tokens);
        }
        let share = link.fleet.share();
        if std::mem::replace(&mut link.share, share) != share {
            self.divide_limits();
        }
        for fingerprint in self.flights_of_lost_rows() {
            self.release_flight(&fingerprint);
        }
        self.tell_budget();
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

    /// Notes a call for which there was no room.
    pub(super) fn on_shortage(&mut self, worst: &Amount) {
        self.on_worst(worst);
        if let Some(link) = &mut self.fleet {
            link.short = Some(*worst);
        }
    }

    /// The next call is tried again.
    pub(super) fn forget_shortage(&mut self) {
        if let Some(link) = &mut self.fleet {
            link.short = None;
        }
    }

    /// Reports to the fleet what the budget needs.
    pub(super) fn tell_budget(&mut self) {
        let Some(link) = &mut self.fleet else { return };
        let need = BudgetNeed {
            used: self.budget.used(),
            next: link.short,
            per_call: link.per_call,
            calls_max: self.slots,
            has_calls: !self.calls.is_empty() || self.commits_pending > 0,
            allowed: link.allowed,
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
