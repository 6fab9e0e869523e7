//! Handles failed calls by their class.

use std::time::Duration;

use tokio::time::Instant;

use super::WorkerError;
use super::dispatcher::Dispatcher;
use super::event::{Event, Observer};
use super::flights::Doubt;
use super::session::SessionReply;
use super::stop::RunStop;
use crate::conversation::{FailureCause, FailureCode, Fingerprint};
use crate::model::retry::{self, RetryDecision};
use crate::model::{Failure, FailureClass, PaceChange};

impl Dispatcher<'_> {
    pub(super) fn on_failure(
        &mut self,
        fingerprint: Fingerprint,
        failure: Failure,
        replica: usize,
        sent_at: Instant,
    ) -> Result<(), WorkerError> {
        let now = Instant::now();
        let Some(flight) = self.flights.get_mut(&fingerprint) else { return Ok(()) };
        let name = flight.question.target.model().to_owned();
        // Neither a slower pace nor another server's answers make room in the flex tier.
        let is_flex_full = failure.code == FailureCode::FlexFull;
        if is_flex_full
            && let Some(queue) = self.queues.get_mut(&name)
            && queue.replicas[replica].on_flex_full(now)
        {
            flight.tries.stop_waiting_for_flex();
        }
        let mut decision = retry::decide(&failure, flight.tries, &fingerprint);
        let mut lost_replica = false;
        let (mut is_held, mut after_answers) = (false, false);
        if failure.class != FailureClass::Learned {
            flight.avoid = Some(replica);
        }
        if let Some(queue) = self.queues.get_mut(&name) {
            queue.on_failure(replica, now);
            let has_other = queue.has_other_usable(replica, now);
            after_answers = queue.acceptance.is_answering();
            is_held = failure.class == FailureClass::Refused && !after_answers;
            let server = &mut queue.replicas[replica];
            if failure.class == FailureClass::RateLimited && !is_flex_full {
                let change = server.pace.on_rate_limit(sent_at, server.in_flight, now);
                report_pace(self.observer, &server.label, change);
                if let Some(wait) = failure.retry_after
                    && server.close_for(wait, now)
                {
                    self.observer.on_event(&Event::Rested { model: server.label.clone(), wait });
                }
                // Another replica may have room.
                if has_other && server.is_closed(now) {
                    lost_replica = true;
                    decision = RetryDecision::Retry { after: Duration::ZERO, counted: false };
                }
            }
            if failure.class == FailureClass::Refused {
                server.refusal = Some(failure.clone());
            }
            if !is_held && let Some(next_try) = server.breaker.on_failure(&failure, now) {
                lost_replica = true;
                let (model, message) = (server.label.clone(), failure.message.clone());
                self.observer.on_event(&Event::Parked { model, message, next_try });
            }
            // A failure during an outage is retried after it and does not count as an attempt. Until a probe has shown that
            // it is one, a call that may have been paid for stays in doubt.
            let is_outage = server.breaker.is_down()
                || server.breaker.is_open() && !matches!(decision, RetryDecision::Prove { .. });
            if is_outage && is_temporary(failure.class) {
                decision = RetryDecision::Retry { after: Duration::ZERO, counted: false };
            }
            if !is_held && matches!(decision, RetryDecision::Prove { .. }) {
                let (answers, outages) = (server.answers, server.breaker.outages());
                flight.doubt = Some(Doubt { failure: failure.clone(), replica, answers, outages });
            }
        }
        flight.tries.add(&failure, matches!(decision, RetryDecision::Retry { counted: true, .. }));
        let prompt = flight.prompt();
        let again_after = match &decision {
            RetryDecision::Prove { .. } if is_held => None,
            RetryDecision::Retry { after, .. } | RetryDecision::Prove { after } => Some(*after),
            RetryDecision::GiveUp | RetryDecision::StopRun => None,
        };
        let (class, code, message) = (failure.class, failure.code.clone(), failure.message.clone());
        let reply = failure.reply.clone();
        let server = self.queues.get(&name).map(|queue| queue.replicas[replica].label.clone());
        let model = server.unwrap_or_else(|| name.clone());
        self.observer.on_event(&Event::Failed { model, class, code, message, again_after, reply });
        match decision {
            RetryDecision::Retry { .. } | RetryDecision::Prove { .. } if self.stopping.is_some() => {
                self.book_open_doubt(&fingerprint);
                self.flights.release(&fingerprint);
            }
            RetryDecision::Prove { .. } if is_held => {
                if let Some(queue) = self.queues.get_mut(&name) {
                    queue.acceptance.hold(fingerprint, failure, prompt);
                }
            }
            RetryDecision::Retry { after, .. } if after.is_zero() => self.enqueue_question(fingerprint)?,
            RetryDecision::Retry { after, .. }
                if class == FailureClass::RateLimited && failure.retry_after.is_none() && !is_flex_full =>
            {
                self.flights.delay_limited(fingerprint, now + after);
            }
            RetryDecision::Retry { after, .. } | RetryDecision::Prove { after } => {
                self.flights.delay(fingerprint, now + after);
            }
            RetryDecision::GiveUp => {
                let permanent = failure.class == FailureClass::Permanent;
                self.give_up(fingerprint, failure, permanent);
            }
            RetryDecision::StopRun => {
                self.flights.release(&fingerprint);
                self.stop(RunStop::Refused { model: name.clone(), failure, after_answers });
            }
        }
        if lost_replica { self.reassign_waiting(&name) } else { Ok(()) }
    }

    /// Reassigns every waiting question of a model to a replica: some may have lost theirs.
    pub(super) fn reassign_waiting(&mut self, name: &str) -> Result<(), WorkerError> {
        let Some(queue) = self.queues.get_mut(name).filter(|queue| queue.replicas.len() > 1) else { return Ok(()) };
        queue.take_ready().into_iter().try_for_each(|fingerprint| self.enqueue_question(fingerprint))
    }

    /// Tells the sessions that wait for a question that it has failed; `permanent` if it would fail again.
    pub(super) fn give_up(&mut self, fingerprint: Fingerprint, failure: Failure, permanent: bool) {
        let Some(flight) = self.flights.remove(&fingerprint) else { return };
        for waiter in flight.waiters {
            let cause = FailureCause::new(waiter.slot.lane, failure.code.clone(), failure.message.clone());
            let _ = waiter.reply_to.send(SessionReply::Failed { slot: waiter.slot, cause, permanent });
        }
    }
}

/// True if the cause may pass without a change of the request.
fn is_temporary(class: FailureClass) -> bool {
    matches!(class, FailureClass::Outage | FailureClass::Transient | FailureClass::RetryNow)
}

pub(super) fn report_pace(observer: &mut dyn Observer, model: &str, change: Option<PaceChange>) {
    if let Some(change) = change {
        observer.on_event(&Event::Pace { model: model.to_owned(), change });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_outage_explains_may_pass_without_a_change_of_the_request() {
        use FailureClass as Class;
        assert!([Class::Outage, Class::Transient, Class::RetryNow].into_iter().all(is_temporary));
        let lasting = [Class::Learned, Class::RateLimited, Class::Refused, Class::Permanent, Class::Fatal];
        assert!(!lasting.into_iter().any(is_temporary));
    }
}
