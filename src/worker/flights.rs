use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::budget::Amount;
use super::session::{ReplySender, SessionReply};
use crate::conversation::{Answer, ConversationKey, Fingerprint, Question, Slot};
use crate::model::retry::Tries;

/// A distinct question in flight, from the first session that asks it to the delivery of its answer.
pub struct Flight {
    pub question: Arc<Question>,
    pub conversation: ConversationKey,
    /// The session that asked first. Questions of earlier sessions are sent first.
    pub session: u64,
    /// The sessions that wait for the answer, in the order in which they asked.
    pub waiters: Vec<Waiter>,
    /// The failures so far.
    pub tries: Tries,
    /// The highest cost of one call.
    pub worst: Amount,
    /// The replica of the last failed attempt.
    pub avoid: Option<usize>,
    /// Estimated tokens, for pacing and load balancing.
    pub tokens: u64,
    /// The summed latencies of its calls, failed ones included.
    pub latency: Duration,
    /// The answer, while it is being committed.
    pub answer: Option<Arc<Answer>>,
}

/// A session that waits for an answer.
pub struct Waiter {
    pub session: u64,
    pub slot: Slot,
    pub reply_to: ReplySender,
    /// The summed latencies of its conversation when it asked.
    pub chain: Duration,
}

/// All questions in flight.
#[derive(Default)]
pub struct Flights {
    by_question: HashMap<Fingerprint, Flight>,
    /// Questions that wait for a retry.
    delayed: BinaryHeap<Reverse<(Instant, Fingerprint)>>,
}

impl Flights {
    pub fn is_empty(&self) -> bool {
        self.by_question.is_empty()
    }

    pub fn get_mut(&mut self, fingerprint: &Fingerprint) -> Option<&mut Flight> {
        self.by_question.get_mut(fingerprint)
    }

    pub fn get(&self, fingerprint: &Fingerprint) -> Option<&Flight> {
        self.by_question.get(fingerprint)
    }

    /// Adds a new question.
    pub fn add(&mut self, fingerprint: Fingerprint, flight: Flight) {
        self.by_question.insert(fingerprint, flight);
    }

    pub fn remove(&mut self, fingerprint: &Fingerprint) -> Option<Flight> {
        self.by_question.remove(fingerprint)
    }

    /// Delays a question until `until`.
    pub fn delay(&mut self, fingerprint: Fingerprint, until: Instant) {
        self.delayed.push(Reverse((until, fingerprint)));
    }

    /// Returns a question whose delay is over.
    pub fn pop_due(&mut self, now: Instant) -> Option<Fingerprint> {
        let Reverse((at, fingerprint)) = self.delayed.peek().copied()?;
        (at <= now).then(|| {
            self.delayed.pop();
            fingerprint
        })
    }

    /// Returns the time at which the next delay is over.
    pub fn next_wake(&self) -> Option<Instant> {
        self.delayed.peek().map(|Reverse((at, _))| *at)
    }

    /// Drops a question and tells its sessions that the run is stopping.
    pub fn release(&mut self, fingerprint: &Fingerprint) {
        for waiter in self.remove(fingerprint).into_iter().flat_map(|flight| flight.waiters) {
            let _ = waiter.reply_to.send(SessionReply::Stopping);
        }
    }

    /// Drops every delayed question.
    pub fn release_delayed(&mut self) {
        for Reverse((_, fingerprint)) in std::mem::take(&mut self.delayed) {
            self.release(&fingerprint);
        }
    }
}
