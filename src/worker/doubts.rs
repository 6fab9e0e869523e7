//! Finds out whether a failed question or its server is at fault: the question waits until the same server has answered
//! something else. A server that was down in between was at fault.

use tokio::time::Instant;

use super::WorkerError;
use super::dispatcher::{CommitToken, Dispatcher};
use super::flights::Doubt;
use crate::conversation::Fingerprint;
use crate::model::retry::{self, Proven};
use crate::store::{Entry, LostCalls};

/// What a server has done since a question failed there.
enum Since {
    /// It has answered something.
    Answered,
    /// It was down.
    WasDown,
    /// It was drained, and answers nothing more.
    Left,
    /// Nothing that proves anything.
    Nothing,
}

impl Dispatcher<'_> {
    /// Sends a failed question again, gives it up, or lets it wait for a proof.
    pub(super) fn resolve_doubt(&mut self, fingerprint: Fingerprint) -> Result<(), WorkerError> {
        let Some(flight) = self.flights.get_mut(&fingerprint) else { return Ok(()) };
        let Some(doubt) = flight.doubt.take() else { return self.enqueue_question(fingerprint) };
        let Some(queue) = self.queues.get_mut(flight.question.target.model()) else { return Ok(()) };
        let replica = &queue.replicas[doubt.replica];
        let since = match doubt {
            _ if replica.breaker.outages() != doubt.outages => Since::WasDown,
            _ if replica.answers > doubt.answers => Since::Answered,
            _ if replica.is_drained() => Since::Left,
            _ => Since::Nothing,
        };
        match since {
            Since::WasDown => return self.enqueue_question(fingerprint),
            Since::Nothing => {
                // A call that may have been paid for waits: elsewhere it might be paid for again.
                let is_free = !doubt.failure.is_probably_paid();
                if is_free && replica.breaker.is_open() && queue.has_other_usable(doubt.replica, Instant::now()) {
                    return self.enqueue_question(fingerprint);
                }
                queue.replicas[doubt.replica].unproven.push(fingerprint);
                flight.doubt = Some(doubt);
                return Ok(());
            }
            // A call that may have been paid for is counted, so that a question costs no more of them than elsewhere.
            Since::Left if doubt.failure.is_probably_paid() => {}
            Since::Left => return self.enqueue_question(fingerprint),
            Since::Answered => {}
        }
        let is_much_longer = queue.acceptance.is_much_longer(flight.prompt());
        let proven = retry::after_proof(&doubt.failure, &mut flight.tries, is_much_longer);
        if doubt.failure.is_probably_paid() {
            let calls = flight.tries.paid;
            self.book_lost(fingerprint, calls, &doubt);
        }
        match proven {
            Proven::Resend => self.enqueue_question(fingerprint),
            Proven::GiveUp { permanent } => {
                self.give_up(fingerprint, doubt.failure, permanent);
                Ok(())
            }
        }
    }

    /// Looks again at the questions that wait for a proof of a replica.
    pub(super) fn resolve_unproven(&mut self, model: &str, replica: usize) -> Result<(), WorkerError> {
        let Some(queue) = self.queues.get_mut(model) else { return Ok(()) };
        let unproven = std::mem::take(&mut queue.replicas[replica].unproven);
        unproven.into_iter().try_for_each(|fingerprint| self.resolve_doubt(fingerprint))
    }

    /// Records the lost calls of a question that still waits for a proof: the next run continues to count.
    pub(super) fn book_open_doubt(&mut self, fingerprint: &Fingerprint) {
        let Some(flight) = self.flights.get(fingerprint) else { return };
        let Some(doubt) = flight.doubt.as_ref().filter(|doubt| doubt.failure.is_probably_paid()) else { return };
        let Some(queue) = self.queues.get(flight.question.target.model()) else { return };
        let replica = &queue.replicas[doubt.replica];
        // A server that has answered nothing in this run may be down.
        if replica.answers > 0 && !replica.breaker.is_open() && replica.breaker.outages() == doubt.outages {
            let (calls, doubt) = (flight.tries.paid + 1, doubt.clone());
            self.book_lost(*fingerprint, calls, &doubt);
        }
    }

    fn book_lost(&mut self, fingerprint: Fingerprint, calls: u32, doubt: &Doubt) {
        let lost = LostCalls { calls, reason: doubt.failure.to_string() };
        self.commits_pending += 1;
        self.committer.commit(vec![Entry::Lost { fingerprint, lost }], CommitToken::Unwatched);
    }
}
