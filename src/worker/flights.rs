use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::budget::Amount;
use super::session::{ReplySender, SessionReply};
use crate::conversation::{Answer, ConversationKey, Fingerprint, Question, Slot};
use crate::model::retry::Tries;

/// A distinct question on its way from the first who asked to everyone who waits.
pub struct Flight {
    pub question: Arc<Question>,
    pub conversation: ConversationKey,
    /// The session that asked first; earlier sessions go first.
    pub session: u64,
    /// Who waits, the one that asked first in front.
    pub waiters: Vec<Waiter>,
    /// How often it was sent.
    pub sent: u32,
    /// How often it failed.
    pub tries: Tries,
    /// The most that one call can cost.
    pub worst: Amount,
    /// The replica that failed it last.
    pub avoid: Option<usize>,
    /// Tokens, roughly, for pacing and for spreading the load.
    pub tokens: u64,
    /// What its calls took so far, failed ones included.
    pub latency: Duration,
    /// The answer, while it is being committed.
    pub answer: Option<Arc<Answer>>,
}

/// A session that waits for an answer.
pub struct Waiter {
    pub session: u64,
    pub slot: Slot,
    pub reply_to: ReplySender,
    /// The latencies that its conversation had behind it when it asked.
    pub chain: Duration,
}

/// All questions that somebody waits for.
#[derive(Default)]
pub struct Flights {
    by_question: HashMap<Fingerprint, Flight>,
    /// Questions that wait for a time.
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

    /// Takes in a new question.
    pub fn add(&mut self, fingerprint: Fingerprint, flight: Flight) {
        self.by_question.insert(fingerprint, flight);
    }

    pub fn remove(&mut self, fingerprint: &Fingerprint) -> Option<Flight> {
        self.by_question.remove(fingerprint)
    }

    /// Lets a question wait until it may be sent again.
    pub fn delay(&mut self, fingerprint: Fingerprint, until: Instant) {
        self.delayed.push(Reverse((until, fingerprint)));
    }

    /// Returns a question that has waited long enough.
    pub fn pop_due(&mut self, now: Instant) -> Option<Fingerprint> {
        let Reverse((at, fingerprint)) = self.delayed.peek().copied()?;
        (at <= now).then(|| {
            self.delayed.pop();
            fingerprint
        })
    }

    /// Returns when the next question has waited long enough.
    pub fn next_wake(&self) -> Option<Instant> {
        self.delayed.peek().map(|Reverse((at, _))| *at)
    }

    /// Sends home the sessions that wait for a question.
    pub fn release(&mut self, fingerprint: &Fingerprint) {
        for waiter in self.remove(fingerprint).into_iter().flat_map(|flight| flight.waiters) {
            let _ = waiter.reply_to.send(SessionReply::Stopping);
        }
    }

    /// Sends home everyone whose question waits for a time.
    pub fn release_delayed(&mut self) {
        for Reverse((_, fingerprint)) in std::mem::take(&mut self.delayed) {
            self.release(&fingerprint);
        }
    }
}
