use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::budget::Amount;
use super::session::{ReplySender, SessionReply};
use crate::conversation::{Answer, ConversationKey, Fingerprint, Question, Slot};
use crate::model::Failure;
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
    /// The time of its retry, while it is delayed.
    pub due: Option<Instant>,
    /// The failure that waits for a proof of whose fault it is.
    pub doubt: Option<Doubt>,
    /// The answer, while it is being committed.
    pub answer: Option<Arc<Answer>>,
}

impl Flight {
    /// The length of the prompt, for comparisons.
    pub fn prompt(&self) -> u64 {
        self.worst.prompt_tokens
    }
}

/// A failed call of which nothing shows yet whether the question or the server is at fault.
#[derive(Clone, Debug)]
pub struct Doubt {
    pub failure: Failure,
    /// The replica that failed it.
    pub replica: usize,
    /// The replica's answers at that time.
    pub answers: u64,
    /// The replica's outages at that time.
    pub outages: u64,
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
    /// Questions that wait for a retry. An entry whose time is not its question's `due` is void.
    delayed: BinaryHeap<Reverse<(Instant, Fingerprint)>>,
    /// Delayed questions whose server named no time: they may go as soon as it answers again. Ordered by session.
    limited: BTreeSet<(u64, Fingerprint)>,
}

impl Flights {
    pub fn is_empty(&self) -> bool {
        self.by_question.is_empty()
    }

    /// Returns the number of questions.
    pub fn len(&self) -> usize {
        self.by_question.len()
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
        let flight = self.by_question.remove(fingerprint)?;
        self.limited.remove(&(flight.session, *fingerprint));
        Some(flight)
    }

    /// Delays a question until `until`.
    pub fn delay(&mut self, fingerprint: Fingerprint, until: Instant) {
        if let Some(flight) = self.by_question.get_mut(&fingerprint) {
            flight.due = Some(until);
            self.delayed.push(Reverse((until, fingerprint)));
        }
    }

    /// Delays a question of a server that asked for a slower pace and named no time.
    pub fn delay_limited(&mut self, fingerprint: Fingerprint, until: Instant) {
        self.delay(fingerprint, until);
        if let Some(flight) = self.by_question.get(&fingerprint) {
            self.limited.insert((flight.session, fingerprint));
        }
    }

    /// Returns a question whose delay is over.
    pub fn pop_due(&mut self, now: Instant) -> Option<Fingerprint> {
        while let Some(Reverse((at, fingerprint))) = self.delayed.peek().copied() {
            if at > now {
                return None;
            }
            self.delayed.pop();
            if self.end_delay(&fingerprint, |due| due == at) {
                return Some(fingerprint);
            }
        }
        None
    }

    /// Ends the delay of one question of a model whose server answers again.
    pub fn pop_limited(&mut self, model: &str) -> Option<Fingerprint> {
        let limited = self.limited.iter().map(|(_, fingerprint)| *fingerprint);
        let is_for = |flight: &Flight| flight.question.target.model() == model;
        let fingerprint = limited.into_iter().find(|fingerprint| self.get(fingerprint).is_some_and(is_for))?;
        self.end_delay(&fingerprint, |_| true).then_some(fingerprint)
    }

    fn end_delay(&mut self, fingerprint: &Fingerprint, is_due: impl Fn(Instant) -> bool) -> bool {
        let Some(flight) = self.by_question.get_mut(fingerprint) else { return false };
        if !flight.due.is_some_and(is_due) {
            return false;
        }
        flight.due = None;
        self.limited.remove(&(flight.session, *fingerprint));
        true
    }

    /// Returns the time at which the next delay is over.
    pub fn next_wake(&self) -> Option<Instant> {
        self.delayed.peek().map(|Reverse((at, _))| *at)
    }

    /// Returns the question whose delay is over next, and when.
    pub fn next_retry(&self) -> Option<(Instant, &Flight)> {
        let Reverse((at, fingerprint)) = self.delayed.peek()?;
        let flight = self.by_question.get(fingerprint)?;
        (flight.due == Some(*at)).then_some((*at, flight))
    }

    /// Drops a question and tells its sessions that the run is stopping.
    pub fn release(&mut self, fingerprint: &Fingerprint) {
        for waiter in self.remove(fingerprint).into_iter().flat_map(|flight| flight.waiters) {
            let _ = waiter.reply_to.send(SessionReply::Stopping);
        }
    }

    /// Empties the delays and returns their questions. A void entry's question may be in flight: it stays.
    pub fn take_delayed(&mut self) -> Vec<Fingerprint> {
        let delayed = std::mem::take(&mut self.delayed);
        let ended =
            delayed.into_iter().filter(|Reverse((at, fingerprint))| self.end_delay(fingerprint, |due| due == *at));
        ended.map(|Reverse((_, fingerprint))| fingerprint).collect()
    }

    /// Returns every question in flight, in arbitrary order.
    pub fn iter(&self) -> impl Iterator<Item = (&Fingerprint, &Flight)> {
        self.by_question.iter()
    }
}
