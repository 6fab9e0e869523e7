//! Handles the results of calls: answers are committed and delivered, failures are handled by their class.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinError;
use tokio::time::Instant;

use super::WorkerError;
use super::dispatcher::{CommitToken, Dispatcher};
use super::event::{Event, Observer};
use super::flights::Flight;
use super::model_queue::{CallEnd, CallPurpose};
use super::session::SessionReply;
use super::stop::RunStop;
use crate::conversation::{Answer, FailureCause, FailureCode, Fingerprint, Usage};
use crate::model::retry::{self, RetryDecision};
use crate::model::{Failure, FailureClass, PaceChange};
use crate::store::Entry;

/// The run stops if its first questions are all refused: after this many, the request itself is wrong.
const REFUSALS_FROM_START_MAX: u32 = 20;
/// Consecutive questions that may be forbidden once the server has answered others.
const FORBIDDEN_IN_A_ROW_MAX: u32 = 5;

impl Dispatcher<'_> {
    pub(super) fn on_call_end(&mut self, ended: Result<CallEnd, JoinError>) -> Result<(), WorkerError> {
        let ended = ended.map_err(|error| WorkerError::Died(error.to_string()))?;
        let replica = ended.replica;
        if let Some(wait) = ended.reply.limit_reset
            && let Some(queue) = self.queues.get_mut(&ended.model)
        {
            let (replica, now) = (&mut queue.replicas[replica], Instant::now());
            replica.close_until(now + wait);
            let is_closed = replica.is_closed(now);
            self.observer.on_event(&Event::Rested { model: replica.label.clone(), wait });
            if is_closed {
                self.reassign_waiting(&ended.model)?;
            }
        }
        let CallEnd { purpose, model, reply, sent_at, latency, slot, .. } = ended;
        let fingerprint = match purpose {
            CallPurpose::Probe => return self.on_probe_end(&model, replica, reply.result),
            CallPurpose::Question(fingerprint) => fingerprint,
        };
        self.occupancy.on_call(latency);
        if let Some(flight) = self.flights.get_mut(&fingerprint) {
            flight.latency += latency;
        }
        match reply.result {
            Ok(answer) => self.on_answer(fingerprint, answer, replica, latency, slot),
            Err(failure) => {
                self.ledger.iter_mut().zip(slot).for_each(|(ledger, slot)| ledger.end(slot));
                self.on_failure(fingerprint, failure, replica, sent_at)
            }
        }
    }

    fn on_probe_end(&mut self, name: &str, replica: usize, result: Result<Answer, Failure>) -> Result<(), WorkerError> {
        let Some(queue) = self.queues.get_mut(name) else { return Ok(()) };
        let replica = &mut queue.replicas[replica];
        replica.is_probing = false;
        let model = replica.label.clone();
        match result {
            Err(failure) if matches!(failure.class, FailureClass::Fatal) => {
                self.stop(RunStop::Refused { model: name.to_owned(), failure });
            }
            Err(failure) if is_temporary(failure.class) => {
                if let Some(next_try) = replica.breaker.on_failed_probe(Instant::now()) {
                    self.observer.on_event(&Event::Parked { model, message: failure.message, next_try });
                }
            }
            // Any other failure still proves that the server is up.
            _ => {
                if replica.breaker.on_answer() {
                    self.observer.on_event(&Event::Recovered { model });
                    // While all replicas were down, questions stayed in their old queues.
                    return self.reassign_waiting(name);
                }
            }
        }
        Ok(())
    }

    fn on_answer(
        &mut self,
        fingerprint: Fingerprint,
        answer: Answer,
        replica: usize,
        latency: Duration,
        slot: Option<u64>,
    ) -> Result<(), WorkerError> {
        let now = Instant::now();
        let Some(flight) = self.flights.get_mut(&fingerprint) else { return Ok(()) };
        let model = flight.question.target.model().to_owned();
        self.budget.settle(&flight.worst, &model, Some(&answer.usage));
        self.is_proven = true;
        self.forbidden = 0;
        let answer = Arc::new(answer);
        flight.answer = Some(Arc::clone(&answer));
        let entry = Entry::Answered {
            run: self.context.run,
            conversation: flight.conversation,
            slot: flight.question.slot,
            fingerprint,
            model: model.clone(),
            answer: Arc::clone(&answer),
        };
        self.commits_pending += 1;
        self.committer.commit(vec![entry], CommitToken::Answer { fingerprint, slot });
        let Some(queue) = self.queues.get_mut(&model) else { return Ok(()) };
        let in_flight = queue.replicas[replica].in_flight;
        let tokens = answer.usage.completion_tokens.unwrap_or(answer.text().len() as u64);
        let slow_replica = queue.on_answer(replica, latency, tokens, now);
        let answered = &mut queue.replicas[replica];
        if answered.breaker.on_answer() {
            self.observer.on_event(&Event::Recovered { model: answered.label.clone() });
        }
        report_pace(self.observer, &answered.label, answered.pace.on_answer(in_flight, now));
        if let Some((slow_replica, reason)) = slow_replica {
            self.observer.on_event(&Event::Drained { model: queue.replicas[slow_replica].label.clone(), reason });
            return self.reassign_waiting(&model);
        }
        Ok(())
    }

    fn on_failure(
        &mut self,
        fingerprint: Fingerprint,
        failure: Failure,
        replica: usize,
        sent_at: Instant,
    ) -> Result<(), WorkerError> {
        let now = Instant::now();
        let Some(flight) = self.flights.get_mut(&fingerprint) else { return Ok(()) };
        let name = flight.question.target.model().to_owned();
        let unpaid = Usage { completion_tokens: Some(0), ..Usage::default() };
        self.budget.settle(&flight.worst, &name, (!failure.may_be_paid()).then_some(&unpaid));
        let mut decision = retry::decide(&failure, flight.tries, &fingerprint);
        let mut lost_replica = false;
        flight.avoid = Some(replica);
        if let Some(queue) = self.queues.get_mut(&name) {
            queue.on_failure(replica, now);
            let has_other = queue.has_other_usable(replica, now);
            let replica = &mut queue.replicas[replica];
            if failure.class == FailureClass::RateLimited {
                let change = replica.pace.on_rate_limit(sent_at, now);
                report_pace(self.observer, &replica.label, change);
                if let Some(wait) = failure.retry_after {
                    replica.close_until(now + wait);
                }
                // Another replica may have room.
                if has_other && replica.is_closed(now) {
                    lost_replica = true;
                    decision = RetryDecision::Retry { after: Duration::ZERO, counted: false };
                }
            }
            if let Some(next_try) = replica.breaker.on_failure(&failure, now) {
                lost_replica = true;
                let (model, message) = (replica.label.clone(), failure.message.clone());
                self.observer.on_event(&Event::Parked { model, message, next_try });
            }
            // A failure during an outage is retried after it and does not count as an attempt.
            if replica.breaker.is_open() && is_temporary(failure.class) {
                decision = RetryDecision::Retry { after: Duration::ZERO, counted: false };
            }
        }
        flight.tries.add(&failure, matches!(decision, RetryDecision::Retry { counted: true, .. }));
        let again_after = match &decision {
            RetryDecision::Retry { after, .. } => Some(*after),
            RetryDecision::GiveUp | RetryDecision::StopRun => None,
        };
        let (class, code, message) = (failure.class, failure.code.clone(), failure.message.clone());
        let reply = failure.reply.clone();
        self.observer.on_event(&Event::Failed { class, code, message, again_after, reply });
        match decision {
            RetryDecision::Retry { .. } if self.stopping.is_some() => self.flights.release(&fingerprint),
            RetryDecision::Retry { after, .. } if after.is_zero() => self.enqueue_question(fingerprint)?,
            RetryDecision::Retry { after, .. } => self.flights.delay(fingerprint, now + after),
            RetryDecision::GiveUp => self.give_up(fingerprint, failure),
            RetryDecision::StopRun
                if failure.code == FailureCode::Forbidden
                    && self.is_proven
                    && self.forbidden < FORBIDDEN_IN_A_ROW_MAX =>
            {
                self.forbidden += 1;
                self.give_up(fingerprint, failure);
            }
            RetryDecision::StopRun => {
                self.flights.release(&fingerprint);
                self.stop(RunStop::Refused { model: name.clone(), failure });
            }
        }
        if lost_replica { self.reassign_waiting(&name) } else { Ok(()) }
    }

    /// Reassigns every waiting question of a model to a replica: some may have lost theirs.
    fn reassign_waiting(&mut self, name: &str) -> Result<(), WorkerError> {
        let Some(queue) = self.queues.get_mut(name).filter(|queue| queue.replicas.len() > 1) else { return Ok(()) };
        queue.take_ready().into_iter().try_for_each(|fingerprint| self.enqueue_question(fingerprint))
    }

    fn give_up(&mut self, fingerprint: Fingerprint, failure: Failure) {
        let Some(flight) = self.flights.remove(&fingerprint) else { return };
        let permanent = failure.class == FailureClass::Permanent;
        for waiter in flight.waiters {
            let cause = FailureCause::new(waiter.slot.lane, failure.code.clone(), failure.message.clone());
            let _ = waiter.reply_to.send(SessionReply::Failed { slot: waiter.slot, cause, permanent });
        }
        let is_about_the_request =
            !matches!(failure.code, FailureCode::Context | FailureCode::ContentFilter | FailureCode::TooLong);
        if permanent && is_about_the_request && !self.is_proven {
            self.refused_from_start += 1;
            if self.refused_from_start == REFUSALS_FROM_START_MAX {
                let model = flight.question.target.model().to_owned();
                self.stop(RunStop::Refused { model, failure });
            }
        }
    }

    pub(super) fn on_committed(&mut self, tokens: Vec<CommitToken>) {
        self.commits_pending -= tokens.len();
        for token in tokens {
            match token {
                CommitToken::Note(reply_to) => drop(reply_to.send(SessionReply::Noted)),
                CommitToken::Answer { fingerprint, slot } => {
                    self.ledger.iter_mut().zip(slot).for_each(|(ledger, slot)| ledger.end(slot));
                    self.deliver(fingerprint);
                }
            }
        }
    }

    fn deliver(&mut self, fingerprint: Fingerprint) {
        let Some(Flight { question, waiters, answer: Some(answer), latency, .. }) = self.flights.remove(&fingerprint)
        else {
            return;
        };
        let (model, usage, finish) = (question.target.model().to_owned(), answer.usage, answer.finish);
        if let Some(queue) = self.queues.get_mut(&model) {
            queue.on_committed();
        }
        let is_damaged = answer.text().contains(char::REPLACEMENT_CHARACTER);
        self.observer.on_event(&Event::Answered { model, usage, finish, latency, is_damaged });
        for (index, waiter) in waiters.into_iter().enumerate() {
            let own = index == 0;
            if !own {
                self.observer.on_event(&Event::Shared);
            }
            if let Some(chain) = self.chains.get_mut(&waiter.session) {
                *chain = (*chain).max(waiter.chain + latency);
            }
            let answered = SessionReply::Answered { slot: waiter.slot, fingerprint, answer: Arc::clone(&answer), own };
            let _ = waiter.reply_to.send(answered);
        }
    }
}

/// True if the cause may pass without a change of the request.
fn is_temporary(class: FailureClass) -> bool {
    matches!(class, FailureClass::Outage | FailureClass::Transient | FailureClass::RetryNow)
}

fn report_pace(observer: &mut dyn Observer, model: &str, change: Option<PaceChange>) {
    if let Some(change) = change {
        observer.on_event(&Event::Pace { model: model.to_owned(), change });
    }
}
