use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::budget::Amount;
use super::session::{Reply, ReplySender};
use crate::conversation::{Answer, ConversationKey, Fingerprint, Question, Slot};
use crate::model::retry::Tries;

/// A distinct question on its way from the first who asked to everyone who waits.
pub struct Flight {
    pub question: Arc<Question>,
    pub conversation: ConversationKey,
    /// The session that asked first; earlier sessions go first.
    pub priority: u64,
    /// Who waits, the one that asked first in front.
    pub waiters: Vec<(Slot, ReplySender)>,
    /// How often it was sent.
    pub sent: u32,
    /// How often it failed.
    pub tries: Tries,
    /// The most that one call can cost.
    pub worst: Amount,
    /// The answer, while it is being committed.
    pub answer: Option<(Arc<Answer>, Duration)>,
}

/// All questions that somebody waits for, and in which order they are sent.
#[derive(Default)]
pub struct Flights {
    by_question: HashMap<Fingerprint, Flight>,
    /// Questions that may be sent now, those of the earliest session first.
    ready: BTreeSet<(u64, Fingerprint)>,
    /// Questions that wait for a time.
    waiting: BinaryHeap<Reverse<(Instant, Fingerprint)>>,
}

impl Flights {
    pub fn is_empty(&self) -> bool {
        self.by_question.is_empty()
    }

    pub fn get_mut(&mut self, fingerprint: &Fingerprint) -> Option<&mut Flight> {
        self.by_question.get_mut(fingerprint)
    }

    /// Takes in a new question, to be sent as soon as there is a slot.
    pub fn add(&mut self, fingerprint: Fingerprint, flight: Flight) {
        self.ready.insert((flight.priority, fingerprint));
        self.by_question.insert(fingerprint, flight);
    }

    pub fn remove(&mut self, fingerprint: &Fingerprint) -> Option<Flight> {
        self.by_question.remove(fingerprint)
    }

    /// Returns the questions that may be sent, the most urgent first.
    pub fn ready(&self) -> impl Iterator<Item = Fingerprint> {
        self.ready.iter().map(|(_, fingerprint)| *fingerprint)
    }

    /// Takes a question that is being sent out of the queue.
    pub fn sent(&mut self, fingerprint: Fingerprint) -> Option<&mut Flight> {
        let flight = self.by_question.get_mut(&fingerprint)?;
        self.ready.remove(&(flight.priority, fingerprint));
        flight.sent += 1;
        Some(flight)
    }

    /// Puts a question back into the queue, to be sent after a wait.
    pub fn again(&mut self, fingerprint: Fingerprint, at: Option<Instant>) {
        let Some(flight) = self.by_question.get(&fingerprint) else { return };
        match at {
            Some(at) => self.waiting.push(Reverse((at, fingerprint))),
            None => drop(self.ready.insert((flight.priority, fingerprint))),
        }
    }

    /// Makes ready what has waited long enough.
    pub fn wake(&mut self, now: Instant) {
        while let Some(Reverse((at, fingerprint))) = self.waiting.peek().copied() {
            if at > now {
                break;
            }
            self.waiting.pop();
            self.again(fingerprint, None);
        }
    }

    /// Returns when the next question has waited long enough.
    pub fn next_wake(&self) -> Option<Instant> {
        self.waiting.peek().map(|Reverse((at, _))| *at)
    }

    /// Sends home the sessions that wait for a question.
    pub fn let_go(&mut self, fingerprint: &Fingerprint) {
        for (_, reply_to) in self.remove(fingerprint).into_iter().flat_map(|flight| flight.waiters) {
            let _ = reply_to.send(Reply::Stopping);
        }
    }

    /// Sends home everyone whose question is not in the air.
    pub fn let_go_unsent(&mut self) {
        let unsent = std::mem::take(&mut self.ready).into_iter().map(|(_, fingerprint)| fingerprint);
        let waiting = std::mem::take(&mut self.waiting).into_iter().map(|Reverse((_, fingerprint))| fingerprint);
        for fingerprint in unsent.chain(waiting).collect::<Vec<_>>() {
            self.let_go(&fingerprint);
        }
    }
}
