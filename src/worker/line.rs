use std::sync::Arc;

use tokio::time::Instant;

use crate::conversation::{Fingerprint, Message, Question, Role, Sampling, Slot, Target};
use crate::model::{Breaker, Model, Pace, PaceLimits};

/// One model of a run: whom to ask, how many at a time, and whether it is there at all.
pub struct Line {
    pub model: Arc<dyn Model>,
    pub pace: Pace,
    pub breaker: Breaker,
    pub in_flight: usize,
    /// The server asked to be left alone until then.
    pub closed_until: Option<Instant>,
    /// A probe is under way.
    pub is_probing: bool,
    /// What a probe is made of.
    target: Option<Arc<Target>>,
}

/// Whether a line takes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It does.
    Open,
    /// Not before this time.
    Until(Instant),
    /// Not before something else happens: a call ends, a probe is answered.
    Shut,
}

impl Line {
    pub fn new(model: Arc<dyn Model>, limits: PaceLimits, now: Instant) -> Self {
        let (pace, breaker) = (Pace::new(limits, now), Breaker::default());
        Self { model, pace, breaker, in_flight: 0, closed_until: None, is_probing: false, target: None }
    }

    /// Says whether a call of `tokens` tokens may go out now.
    pub fn gate(&mut self, tokens: u64, now: Instant) -> Gate {
        if self.breaker.is_open() || self.in_flight >= self.pace.limit() {
            return Gate::Shut;
        }
        if let Some(until) = self.closed_until.filter(|until| *until > now) {
            return Gate::Until(until);
        }
        match self.pace.ready_at(tokens, now) {
            at if at > now => Gate::Until(at),
            _ => Gate::Open,
        }
    }

    /// Books a call that goes out.
    pub fn on_sent(&mut self, question: &Question, tokens: u64) {
        self.in_flight += 1;
        self.pace.on_sent(tokens);
        if self.target.is_none() {
            self.target = Some(Arc::clone(&question.target));
        }
    }

    /// Returns when a probe is due, if one is.
    pub fn probe_due(&self) -> Option<Instant> {
        self.breaker.next_probe().filter(|_| !self.is_probing)
    }

    /// Returns the cheapest real question there is: one word in, one token out. A health route may lie.
    pub fn probe(&self) -> Option<Question> {
        let target = self.target.as_ref()?;
        let sampling = Sampling { max_tokens: Some(1), seed: None, ..target.sampling().clone() };
        Some(Question {
            slot: Slot::main(0),
            target: Target::new(target.model(), target.dialect(), sampling),
            sample: 0,
            messages: vec![Message::new(Role::User, "Hi")],
        })
    }
}

/// What a call that is under way was for.
#[derive(Clone, Debug)]
pub enum Purpose {
    /// A question that somebody waits for.
    Question(Fingerprint),
    /// A look whether the model answers again.
    Probe,
}
