//! Finds out whether a server that refuses the first questions of a run refuses everything: the shortest questions of the
//! input are tried next.

use std::collections::HashSet;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::dispatcher::{Dispatcher, SessionEnd};
use super::early_rows::SHORT_ROWS;
use super::model_queue::{ModelQueue, SendGate};
use super::sending::Candidate;
use super::stop::RunStop;

impl Dispatcher<'_> {
    /// Opens the shortest rows where a model has refused questions before its first answer; stops the run once it is shown
    /// that the model refuses everything.
    pub(super) fn judge_refusals(&mut self, sessions: &mut JoinSet<SessionEnd>) {
        let is_idle = |queue: &ModelQueue| queue.acceptance.is_doubted() && queue.in_flight() == 0;
        let Some(name) = self.queues.iter().find(|(_, queue)| is_idle(queue)).map(|(name, _)| name.clone()) else {
            return;
        };
        if self.stopping.is_some() || self.is_paused() {
            return;
        }
        if !self.early.looked {
            self.early.looked = true;
            let count = if self.early.may_open() { SHORT_ROWS } else { 0 };
            for row in self.context.seeds.shortest(count) {
                if !self.early.is_opened(row) && self.holds_row(row) {
                    let session = self.open(row, sessions);
                    self.early.silent.insert(session);
                }
            }
        }
        if !self.early.silent.is_empty() {
            return;
        }
        let has_busy = self.has_busy_sessions() || self.commits_pending > 0 || self.has_other_work(&name);
        let Some(queue) = self.queues.get_mut(&name) else { return };
        let has_ready = queue.replicas.iter().any(|replica| !replica.ready.is_empty());
        let now = Instant::now();
        let has_more = has_ready || self.flights.next_wake().is_some() || has_busy;
        let Some(failure) = queue.acceptance.refusal(has_more).cloned() else { return };
        // A single refused question is no proof against a server that answered in an earlier run: the last questions of a
        // dataset may be those at fault.
        if queue.is_tried_by_probe() && queue.suspect_all(now) {
            return;
        }
        self.stop(RunStop::Refused { model: name, failure, after_answers: false });
    }

    /// Returns the shortest question of a model that refuses, if it may be sent now.
    pub(super) fn shortest_doubted(&mut self, now: Instant) -> Option<Candidate> {
        if !self.early.looked || !self.early.silent.is_empty() {
            return None;
        }
        let doubted =
            self.queues.iter_mut().filter(|(_, queue)| queue.acceptance.is_doubted() && queue.in_flight() == 0);
        let mut shortest: Option<(u64, Candidate)> = None;
        for (model, queue) in doubted {
            for replica in 0..queue.replicas.len() {
                for (session, fingerprint) in queue.replicas[replica].ready.clone() {
                    let Some(flight) = self.flights.get(&fingerprint) else { continue };
                    match queue.gate(replica, flight.tokens, now) {
                        SendGate::Open if shortest.as_ref().is_none_or(|(prompt, _)| flight.prompt() < *prompt) => {
                            let candidate = Candidate { model: model.clone(), session, fingerprint, replica };
                            shortest = Some((flight.prompt(), candidate));
                        }
                        SendGate::Open | SendGate::Shut => {}
                        SendGate::Until(at) => {
                            self.gate_opens = Some(self.gate_opens.map_or(at, |earlier| earlier.min(at)));
                        }
                    }
                }
            }
        }
        shortest.map(|(_, candidate)| candidate)
    }

    /// True if another model has something to do: what it answers may lead to questions for `name`.
    fn has_other_work(&self, name: &str) -> bool {
        let is_at_work = |queue: &ModelQueue| {
            let has_waiting =
                queue.replicas.iter().any(|replica| !replica.ready.is_empty() || !replica.unproven.is_empty());
            has_waiting || queue.in_flight() > 0
        };
        self.queues.iter().any(|(other, queue)| other != name && is_at_work(queue))
    }

    /// True if an open conversation waits for something other than an answer: it may ask soon.
    fn has_busy_sessions(&self) -> bool {
        let waiting: HashSet<u64> =
            self.flights.iter().flat_map(|(_, flight)| &flight.waiters).map(|waiter| waiter.session).collect();
        self.chains.keys().any(|session| !waiting.contains(session))
    }
}
