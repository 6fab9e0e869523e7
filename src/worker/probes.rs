//! Probes: while a server is down or suspected, they are all that is sent to it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::WorkerError;
use super::budget::{Amount, Grant};
use super::dispatcher::Dispatcher;
use super::event::Event;
use super::model_queue::{CallPurpose, Replica, Standing};
use super::stop::RunStop;
use crate::conversation::Answer;
use crate::model::{Failure, FailureClass, OutageState};

/// Time limit of a probe: a server that is loading its model refuses probes, or answers one late.
pub const PROBE_MAX: Duration = Duration::from_secs(60);

/// How many probes in full, over two minutes, are refused in other words than the questions before the probe counts as
/// the only thing that the server refuses.
const REFUSED_PROBES_MAX: u32 = 7;

/// What a probe shows.
enum Shown {
    /// The server answers.
    Answering,
    /// The server replies, but not with an answer.
    Up,
    /// The server is still down.
    Down(Failure),
    /// Nothing: the probe's own form may be at fault.
    Nothing,
}

impl Dispatcher<'_> {
    /// Probes servers that are down or suspected. A probe takes a slot like any call, and takes it first.
    pub(super) fn send_probes(&mut self, now: Instant) -> Result<(), WorkerError> {
        self.probe_waits = false;
        let mut probes = Vec::new();
        for queue in self.queues.values_mut() {
            let mut due = Vec::new();
            for (index, replica) in queue.replicas.iter_mut().enumerate() {
                replica.suspect_if_idle(now);
                if replica.probe_due().is_some_and(|at| at <= now) {
                    due.push((index, replica.probes_in_full));
                }
            }
            for (index, in_full) in due {
                if let Some(question) = queue.probe(in_full) {
                    probes.push((index, question));
                }
            }
        }
        for (replica, question) in probes {
            if !self.has_slot() {
                self.probe_waits = true;
                break;
            }
            let worst = self.budget.worst_case(&question);
            match self.reserve(&worst) {
                Grant::Granted => {}
                Grant::Wait => {
                    self.probe_waits = true;
                    break;
                }
                Grant::Exhausted(name) => {
                    self.stop(RunStop::Budget(format!("{name} is reached")));
                    break;
                }
            }
            let slot = self.begin(question.fingerprint(), &question, &worst)?;
            let Some(queue) = self.queues.get_mut(question.target.model()) else { continue };
            queue.replicas[replica].is_probing = true;
            self.spawn_call(replica, CallPurpose::Probe(worst), Arc::new(question), None, (1, false), slot);
        }
        Ok(())
    }

    /// Books what a probe came to: its answer is stored nowhere.
    pub(super) fn settle_probe(
        &mut self,
        model: &str,
        worst: &Amount,
        result: &Result<Answer, Failure>,
        slot: Option<u64>,
    ) {
        let came_to = match result {
            Ok(answer) => self.budget.settle(worst, model, &answer.usage).came_to,
            Err(failure) => self.budget.settle_failed(worst, failure),
        };
        self.book_unanswered(model, &came_to, slot);
    }

    pub(super) fn on_probe_end(
        &mut self,
        name: &str,
        index: usize,
        result: Result<Answer, Failure>,
    ) -> Result<(), WorkerError> {
        let now = Instant::now();
        let Some(queue) = self.queues.get_mut(name) else { return Ok(()) };
        let after_answers = queue.acceptance.is_answering();
        if queue.is_tried_again(index, &result) {
            queue.replicas[index].is_probing = false;
            return Ok(());
        }
        let result = queue.tried_for_tokens(index, result);
        let is_first_trial = queue.is_on_token_trial;
        let ends_trial = queue.is_tried_by_probe() && result.is_ok();
        let has_other = queue.has_other_usable(index, now);
        let replica = &mut queue.replicas[index];
        replica.is_probing = false;
        // A server that a person has just added, and that cannot be used, does not end a run that has another.
        if let Err(failure) = &result
            && failure.class == FailureClass::Fatal
            && replica.standing == Standing::OnTrial
            && has_other
            && !is_first_trial
        {
            replica.standing = Standing::Drained;
            let label = replica.label.clone();
            self.observer.on_event(&Event::Rejected { model: label, message: failure.to_string() });
            return self.reassign_waiting(name);
        }
        match shown(replica, result) {
            Err(failure) => self.stop(RunStop::Refused { model: name.to_owned(), failure, after_answers }),
            Ok(Shown::Down(failure)) => {
                if let Some(next_try) = replica.breaker.on_failed_probe(&failure, now) {
                    let (model, message) = (replica.label.clone(), failure.message.clone());
                    self.observer.on_event(&Event::Parked { model, message, next_try });
                }
                match failure.class {
                    // What the questions were told is kept.
                    FailureClass::Refused => drop(replica.refusal.get_or_insert(failure)),
                    _ => replica.refusal = None,
                }
                self.resolve_unproven(name, index)?;
            }
            Ok(Shown::Nothing) => replica.probes_in_full = true,
            Ok(shown) => {
                replica.answers += u64::from(matches!(shown, Shown::Answering));
                if replica.standing == Standing::OnTrial {
                    replica.standing = Standing::Member;
                }
                let ended = replica.breaker.on_answer();
                if ended.is_some_and(|state| state != OutageState::Suspected) {
                    self.observer.on_event(&Event::Recovered { model: replica.label.clone() });
                }
                let held = if ends_trial { queue.acceptance.on_probe_answer() } else { Vec::new() };
                self.resolve_unproven(name, index)?;
                held.into_iter().try_for_each(|held| self.enqueue_question(held.fingerprint))?;
                // While all replicas were down, questions stayed in their old queues.
                self.reassign_waiting(name)?;
            }
        }
        Ok(())
    }
}

/// Returns what a probe shows; fails where no question would be answered until somebody acts.
fn shown(replica: &Replica, result: Result<Answer, Failure>) -> Result<Shown, Failure> {
    let was_down = replica.breaker.gone_since().is_some_and(|(_, state)| state == OutageState::Down);
    Ok(match result {
        Ok(_) => Shown::Answering,
        Err(failure) => match failure.class {
            FailureClass::Fatal => return Err(failure),
            FailureClass::Outage | FailureClass::Transient | FailureClass::RetryNow => Shown::Down(failure),
            // A server that was down is up again, whatever it says. A suspected one refuses everything if it refuses the
            // probe like the questions. In other words, the probe's own form may be at fault: it is sent in full. Refused
            // again, the server quotes requests or ids; the limit is for a server that takes no probe in any form.
            FailureClass::Refused if was_down => Shown::Up,
            FailureClass::Refused => match &replica.refusal {
                Some(refusal) if refusal.kind() == failure.kind() => Shown::Down(failure),
                _ if !replica.probes_in_full => Shown::Nothing,
                _ if replica.breaker.probes() < REFUSED_PROBES_MAX => Shown::Down(failure),
                _ => Shown::Answering,
            },
            FailureClass::Learned | FailureClass::RateLimited | FailureClass::Permanent => Shown::Answering,
        },
    })
}
