use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::budget::Amount;
use super::session::{EarlierTokens, ReplySender, SessionReply};
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
    /// The token ids that its prompt probably begins with.
    pub earlier: Option<EarlierTokens>,
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

    /// True if a shorter question of a model waits for a retry.
    pub fn is_shorter_delayed(&self, model: &str, prompt: u64) -> bool {
        let is_shorter = |flight: &Flight| flight.question.target.model() == model && flight.prompt() < prompt;
        self.by_question.values().any(|flight| flight.due.is_some() && is_shorter(flight))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::conversation::{Message, Role, Sampling, Target};

    /// A question that is delayed, by looking at every question.
    #[derive(Clone, Debug, Default)]
    struct Delay {
        due: Option<u64>,
        is_limited: bool,
    }

    fn flight(session: u64, model: &str) -> Flight {
        let question = Question {
            slot: Slot::main(0),
            target: Target::new(model, "openai", Sampling::default()),
            sample: 0,
            messages: vec![Message::new(Role::User, "Hi")].into(),
        };
        Flight {
            question: Arc::new(question),
            conversation: ConversationKey([0; 32]),
            session,
            waiters: Vec::new(),
            tries: Tries::default(),
            worst: Amount { prompt_tokens: 10 + session, ..Amount::default() },
            avoid: None,
            tokens: 0,
            latency: Duration::ZERO,
            due: None,
            doubt: None,
            answer: None,
            earlier: None,
        }
    }

    /// Even questions are for one model, odd ones for the other. Sessions are in the opposite order of questions.
    fn model_of(number: u8) -> &'static str {
        if number.is_multiple_of(2) { "even" } else { "odd" }
    }

    fn question(number: u8) -> Fingerprint {
        Fingerprint([number; 32])
    }

    proptest! {
        #[test]
        fn delays_end_as_if_every_question_were_looked_at(steps in prop::collection::vec((0..8u8, 0..6u8, 0..12u64), 0..80)) {
            let start = Instant::now();
            let at = |second: u64| start + Duration::from_secs(second);
            let mut flights = Flights::default();
            let mut naive: std::collections::BTreeMap<u8, Delay> = std::collections::BTreeMap::new();
            for (step, number, second) in steps {
                match step {
                    0 if !naive.contains_key(&number) => {
                        flights.add(question(number), flight(9 - u64::from(number), model_of(number)));
                        naive.insert(number, Delay::default());
                    }
                    1 | 2 => {
                        if step == 1 { flights.delay(question(number), at(second)) } else { flights.delay_limited(question(number), at(second)) }
                        if let Some(delay) = naive.get_mut(&number) {
                            delay.due = Some(second);
                            delay.is_limited |= step == 2;
                        }
                    }
                    3 | 4 => {
                        while let Some(popped) = flights.pop_due(at(second)) {
                            let first = naive.iter().filter_map(|(number, delay)| Some((delay.due?, *number))).min();
                            let (due, number) = first.unwrap();
                            prop_assert!(due <= second);
                            prop_assert_eq!(popped, question(number));
                            naive.insert(number, Delay::default());
                        }
                        prop_assert!(naive.values().all(|delay| delay.due.is_none_or(|due| due > second)));
                    }
                    5 => {
                        let model = model_of(number);
                        let limited = naive.iter().filter(|(number, delay)| delay.is_limited && model_of(**number) == model);
                        // The highest number has the earliest session.
                        let first = limited.map(|(number, _)| *number).max();
                        prop_assert_eq!(flights.pop_limited(model), first.map(question));
                        first.map(|number| naive.insert(number, Delay::default()));
                    }
                    6 => {
                        prop_assert_eq!(flights.remove(&question(number)).is_some(), naive.remove(&number).is_some());
                    }
                    7 if number == 0 => {
                        let mut taken = flights.take_delayed();
                        taken.sort_unstable();
                        let delayed = naive.iter_mut().filter(|(_, delay)| delay.due.is_some());
                        let delayed: Vec<Fingerprint> = delayed.map(|(number, delay)| {
                            *delay = Delay::default();
                            question(*number)
                        }).collect();
                        prop_assert_eq!(taken, delayed);
                        prop_assert_eq!(flights.next_wake(), None);
                    }
                    _ => {}
                }
                prop_assert_eq!((flights.len(), flights.is_empty()), (naive.len(), naive.is_empty()));
                for (number, delay) in &naive {
                    prop_assert_eq!(flights.get(&question(*number)).unwrap().due, delay.due.map(at));
                }
                let next = naive.values().filter_map(|delay| delay.due).min().map(at);
                // A void entry may come first: it wakes the run for nothing.
                prop_assert!(next.is_none_or(|next| flights.next_wake().is_some_and(|wake| wake <= next)));
                if let Some((time, flight)) = flights.next_retry() {
                    prop_assert_eq!((Some(time), flight.due), (next, next));
                }
                for number in 0..6 {
                    // The higher the number, the shorter the prompt.
                    let (model, prompt) = (model_of(number), flight(9 - u64::from(number), "").prompt());
                    let is_shorter = |other: &u8| model_of(*other) == model && *other > number;
                    let expected = naive.iter().any(|(other, delay)| is_shorter(other) && delay.due.is_some());
                    prop_assert_eq!(flights.is_shorter_delayed(model, prompt), expected);
                }
            }
        }
    }

    #[test]
    fn a_question_that_is_dropped_tells_each_of_its_sessions_once() {
        let (mut flights, (reply_to, mut replies)) = (Flights::default(), tokio::sync::mpsc::unbounded_channel());
        let waiter = || Waiter { session: 1, slot: Slot::main(0), reply_to: reply_to.clone(), chain: Duration::ZERO };
        flights.add(question(1), Flight { waiters: vec![waiter(), waiter()], ..flight(1, "m") });
        assert_eq!((flights.get(&question(1)).unwrap().prompt(), flights.next_retry().is_none()), (11, true));
        let due = Instant::now() + Duration::from_secs(1);
        flights.delay(question(1), due);
        assert_eq!(flights.next_retry().map(|(at, flight)| (at, flight.session)), Some((due, 1)));
        flights.get_mut(&question(1)).unwrap().tokens = 7;
        assert_eq!(flights.iter().map(|(_, flight)| flight.tokens).collect::<Vec<_>>(), [7]);
        flights.release(&question(1));
        flights.release(&question(1));
        let told: Vec<_> = std::iter::from_fn(|| replies.try_recv().ok()).collect();
        assert!(matches!(told[..], [SessionReply::Stopping, SessionReply::Stopping]) && flights.is_empty(), "{told:?}");
        assert!(flights.next_retry().is_none() && flights.pop_due(due).is_none(), "its entry is void");
    }
}
