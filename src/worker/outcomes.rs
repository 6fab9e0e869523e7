//! What calls come to: answers are committed and handed on, failures are met by their class.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinError;
use tokio::time::Instant;

use super::WorkerError;
use super::dispatcher::{Dispatcher, Token};
use super::event::{Event, Observer};
use super::flights::Flight;
use super::line::Purpose;
use super::session::Reply;
use super::stop::StopReason;
use crate::conversation::{Answer, Fingerprint, Usage};
use crate::model::retry::{self, Verdict};
use crate::model::{self, Class, FORBIDDEN, Failure, PaceChange};
use crate::store::Entry;

/// A run whose first questions are all refused is stopped after this many: the request itself is wrong.
const REFUSALS_FROM_START_MAX: u32 = 20;
/// Questions that may be forbidden one after the other, once the server has answered others.
const FORBIDDEN_IN_A_ROW_MAX: u32 = 5;

/// What a call came to.
pub(super) struct CallEnd {
    pub purpose: Purpose,
    /// The model's name.
    pub model: String,
    pub reply: model::Reply,
    pub sent_at: Instant,
    /// Its slot in the ledger.
    pub slot: Option<u64>,
}

impl Dispatcher<'_> {
    pub(super) fn on_call_end(&mut self, ended: Result<CallEnd, JoinError>) -> Result<(), WorkerError> {
        let ended = ended.map_err(|error| WorkerError::Died(error.to_string()))?;
        let CallEnd { purpose, model, reply, sent_at, slot } = ended;
        if let (Some(wait), Some(line)) = (reply.rest, self.lines.get_mut(&model)) {
            line.closed_until = line.closed_until.max(Some(Instant::now() + wait));
            self.observer.on_event(&Event::Rested { model: model.clone(), wait });
        }
        match purpose {
            Purpose::Probe => self.on_probe_end(&model, reply.result),
            Purpose::Question(fingerprint) => match reply.result {
                Ok(answer) => self.on_answer(fingerprint, answer, sent_at, slot),
                Err(failure) => {
                    self.ledger.iter_mut().zip(slot).for_each(|(ledger, slot)| ledger.end(slot));
                    self.on_failure(fingerprint, failure, sent_at);
                }
            },
        }
        Ok(())
    }

    fn on_probe_end(&mut self, name: &str, result: Result<Answer, Failure>) {
        let Some(line) = self.lines.get_mut(name) else { return };
        line.is_probing = false;
        line.in_flight -= 1;
        match result {
            Err(failure) if matches!(failure.class, Class::NeverThisRun) => self.stop(StopReason::Refused(failure)),
            Err(failure) if matches!(failure.class, Class::Outage | Class::AgainLater | Class::AgainNow) => {
                if let Some(next_try) = line.breaker.on_failed_probe(Instant::now()) {
                    let (model, message) = (name.to_owned(), failure.message);
                    self.observer.on_event(&Event::Parked { model, message, next_try });
                }
            }
            // Whatever else it says, it is there.
            _ => {
                if line.breaker.on_answer() {
                    self.observer.on_event(&Event::Recovered { model: name.to_owned() });
                }
            }
        }
    }

    fn on_answer(&mut self, fingerprint: Fingerprint, answer: Answer, sent_at: Instant, slot: Option<u64>) {
        let now = Instant::now();
        let Some(flight) = self.flights.get_mut(&fingerprint) else { return };
        let model = flight.question.target.model().to_owned();
        if let Some(line) = self.lines.get_mut(&model) {
            let change = line.pace.on_answer(line.in_flight, now);
            line.in_flight -= 1;
            if line.breaker.on_answer() {
                self.observer.on_event(&Event::Recovered { model: model.clone() });
            }
            tell_pace(self.observer, &model, change);
        }
        self.budget.settle(&flight.worst, &model, Some(&answer.usage));
        self.is_proven = true;
        self.forbidden = 0;
        let answer = Arc::new(answer);
        flight.answer = Some((Arc::clone(&answer), now - sent_at));
        let entry = Entry::Answered {
            run: self.context.run,
            conversation: flight.conversation,
            slot: flight.question.slot,
            fingerprint,
            model,
            answer,
        };
        self.commits_pending += 1;
        self.committer.commit(vec![entry], Token::Answer { fingerprint, slot });
    }

    fn on_failure(&mut self, fingerprint: Fingerprint, failure: Failure, sent_at: Instant) {
        let now = Instant::now();
        let Some(flight) = self.flights.get_mut(&fingerprint) else { return };
        let model = flight.question.target.model().to_owned();
        let unpaid = Usage { completion_tokens: Some(0), ..Usage::default() };
        self.budget.settle(&flight.worst, &model, (!failure.may_be_paid()).then_some(&unpaid));
        let mut verdict = retry::decide(&failure, flight.tries, &fingerprint);
        if let Some(line) = self.lines.get_mut(&model) {
            line.in_flight -= 1;
            if failure.class == Class::RateLimited {
                let change = line.pace.on_rate_limit(sent_at, now);
                tell_pace(self.observer, &model, change);
                line.closed_until = line.closed_until.max(failure.retry_after.map(|wait| now + wait));
            }
            if let Some(next_try) = line.breaker.on_failure(&failure, now) {
                let (model, message) = (model.clone(), failure.message.clone());
                self.observer.on_event(&Event::Parked { model, message, next_try });
            }
            // What fails while the server is gone waits for its return, uncharged.
            if line.breaker.is_open() && matches!(failure.class, Class::Outage | Class::AgainLater | Class::AgainNow) {
                verdict = Verdict::Again { after: Duration::ZERO, counted: false };
            }
        }
        flight.tries.add(&failure, matches!(verdict, Verdict::Again { counted: true, .. }));
        let again_after = match &verdict {
            Verdict::Again { after, .. } => Some(*after),
            Verdict::GiveUp | Verdict::StopRun => None,
        };
        let (class, code, message) = (failure.class, failure.code.clone(), failure.message.clone());
        self.observer.on_event(&Event::Failed { class, code, message, again_after });
        match verdict {
            Verdict::Again { .. } if self.stopping.is_some() => self.flights.let_go(&fingerprint),
            Verdict::Again { after, .. } => {
                self.flights.again(fingerprint, (!after.is_zero()).then(|| now + after));
            }
            Verdict::GiveUp => self.give_up(fingerprint, failure),
            Verdict::StopRun
                if failure.code == FORBIDDEN && self.is_proven && self.forbidden < FORBIDDEN_IN_A_ROW_MAX =>
            {
                self.forbidden += 1;
                self.give_up(fingerprint, failure);
            }
            Verdict::StopRun => {
                self.flights.let_go(&fingerprint);
                self.stop(StopReason::Refused(failure));
            }
        }
    }

    fn give_up(&mut self, fingerprint: Fingerprint, failure: Failure) {
        let Some(flight) = self.flights.remove(&fingerprint) else { return };
        let permanent = failure.class == Class::NeverThisQuestion;
        for (slot, reply_to) in flight.waiters {
            let _ = reply_to.send(Reply::Failed { slot, reason: failure.to_string(), permanent });
        }
        let is_about_the_request = !matches!(failure.code.as_str(), "context" | "content_filter" | "too_long");
        if permanent && is_about_the_request && !self.is_proven {
            self.refused_from_start += 1;
            if self.refused_from_start == REFUSALS_FROM_START_MAX {
                self.stop(StopReason::Refused(failure));
            }
        }
    }

    pub(super) fn on_committed(&mut self, tokens: Vec<Token>) {
        self.commits_pending -= tokens.len();
        for token in tokens {
            match token {
                Token::Note(reply_to) => drop(reply_to.send(Reply::Noted)),
                Token::Answer { fingerprint, slot } => {
                    self.ledger.iter_mut().zip(slot).for_each(|(ledger, slot)| ledger.end(slot));
                    self.deliver(fingerprint);
                }
            }
        }
    }

    fn deliver(&mut self, fingerprint: Fingerprint) {
        let Some(Flight { question, waiters, answer: Some((answer, latency)), .. }) = self.flights.remove(&fingerprint)
        else {
            return;
        };
        let (model, usage, finish) = (question.target.model().to_owned(), answer.usage, answer.finish);
        self.observer.on_event(&Event::Answered { model, usage, finish, latency });
        for (index, (slot, reply_to)) in waiters.into_iter().enumerate() {
            let own = index == 0;
            if !own {
                self.observer.on_event(&Event::Shared);
            }
            let _ = reply_to.send(Reply::Answered { slot, fingerprint, answer: Arc::clone(&answer), own });
        }
    }
}

fn tell_pace(observer: &mut dyn Observer, model: &str, change: Option<PaceChange>) {
    if let Some(change) = change {
        observer.on_event(&Event::Pace { model: model.to_owned(), change });
    }
}
