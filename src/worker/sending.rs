//! Sends questions: the most urgent first, as far as pace, rate limits and caps allow.

use std::sync::Arc;

use tokio::time::{Instant, timeout};

use super::WorkerError;
use super::budget::{Amount, Grant};
use super::dispatcher::{CommitToken, Dispatcher};
use super::event::Event;
use super::model_queue::{CallEnd, CallPurpose, SendGate};
use super::probes::PROBE_MAX;
use super::share::share;
use super::stop::RunStop;
use crate::conversation::{ConversationKey, FailureCode, Fingerprint, Question};
use crate::model::{Call, Failure, FailureClass};
use crate::store::{Entry, Unsettled};

/// A question that may be sent.
pub struct Candidate {
    pub model: String,
    pub session: u64,
    pub fingerprint: Fingerprint,
    pub replica: usize,
}

impl Dispatcher<'_> {
    /// Sends calls until no slot is free.
    pub(super) fn send_calls(&mut self) -> Result<(), WorkerError> {
        self.gate_opens = None;
        self.forget_shortage();
        if self.stopping.is_some() || self.is_paused() || !self.may_ask() {
            return Ok(());
        }
        let now = Instant::now();
        self.send_probes(now)?;
        while self.has_slot()
            && self.may_ask()
            && let Some((fingerprint, replica)) = self.next_to_send(now)
        {
            let Some(flight) = self.flights.get(&fingerprint) else { continue };
            let (question, worst) = (Arc::clone(&flight.question), flight.worst);
            let (attempt, conversation) = (flight.tries.streak + 1, flight.conversation);
            let avoids_flex = flight.tries.avoids_flex();
            let slot = self.begin(fingerprint, &question, &worst)?;
            let purpose = CallPurpose::Question(fingerprint);
            self.spawn_call(replica, purpose, question, Some(conversation), (attempt, avoids_flex), slot);
        }
        self.tell_budget();
        Ok(())
    }

    /// Writes a request into the ledger before it is sent. Without a cap the ledger only reports, so that one that cannot
    /// be written does not stop the run.
    pub(super) fn begin(
        &mut self,
        fingerprint: Fingerprint,
        question: &Question,
        worst: &Amount,
    ) -> Result<Option<u64>, WorkerError> {
        let Some(ledger) = &mut self.ledger else { return Ok(None) };
        let (prompt_tokens, completion_tokens) = (worst.prompt_tokens, worst.output_tokens);
        let model = Unsettled::tag(question.target.model());
        match ledger.begin(&Unsettled { fingerprint, prompt_tokens, completion_tokens, model }) {
            Ok(slot) => Ok(Some(slot)),
            Err(error) if self.budget.is_capped() => Err(WorkerError::Ledger(error)),
            Err(_) => Ok(None),
        }
    }

    /// Books what a call without an answer may have cost. Its place in the ledger is kept until that is on disk.
    pub(super) fn book_unanswered(&mut self, model: &str, came_to: &Amount, slot: Option<u64>) {
        let Amount { requests, prompt_tokens, output_tokens, .. } = *came_to;
        if requests + prompt_tokens + output_tokens == 0 {
            self.end_in_ledger(slot);
            return;
        }
        let (model, completion_tokens) = (model.to_owned(), output_tokens);
        (self.commits_pending, self.unbooked) = (self.commits_pending + 1, self.unbooked + 1);
        let entry = Entry::Unknown { model, calls: requests, prompt_tokens, completion_tokens };
        self.committer.commit(vec![entry], CommitToken::Booked { slot });
    }

    pub(super) fn end_in_ledger(&mut self, slot: Option<u64>) {
        self.ledger.iter_mut().zip(slot).for_each(|(ledger, slot)| ledger.end(slot));
    }

    /// Dequeues the most urgent question that may be sent now and reserves its worst case. Returns it with its replica.
    fn next_to_send(&mut self, now: Instant) -> Option<(Fingerprint, usize)> {
        let shortest = self.shortest_doubted(now);
        let is_doubted = shortest.is_some();
        let Candidate { model, session, fingerprint, replica } = shortest.or_else(|| self.most_urgent(now))?;
        let flight = self.flights.get(&fingerprint)?;
        // The shortest that may be sent proves nothing while a shorter one waits for its retry.
        let is_shortest = is_doubted && !self.flights.is_shorter_delayed(&model, flight.prompt());
        let worst = flight.worst;
        match self.reserve(&worst) {
            Grant::Granted => {
                let flight = self.flights.get(&fingerprint)?;
                let queue = self.queues.get_mut(&model)?;
                queue.replicas[replica].ready.remove(&(session, fingerprint));
                queue.on_sent(replica, &flight.question, flight.tokens, now);
                if is_shortest {
                    queue.acceptance.on_shortest_sent(fingerprint);
                }
                Some((fingerprint, replica))
            }
            Grant::Wait => None,
            Grant::Exhausted(name) => {
                self.stop(RunStop::Budget(format!("{name} is reached")));
                None
            }
        }
    }

    /// Reserves the worst case of a call, if it fits. A shared budget is never exhausted here: the fleet says when it is.
    pub(super) fn reserve(&mut self, worst: &Amount) -> Grant {
        match self.budget.reserve(worst) {
            Grant::Granted => Grant::Granted,
            short if self.fleet.is_none() => short,
            Grant::Wait | Grant::Exhausted(_) => {
                self.on_shortage(worst);
                Grant::Wait
            }
        }
    }

    /// Returns the share of the slots of each model that is at work, and when one of the others may no longer be.
    fn share(&mut self, now: Instant) -> (usize, Option<Instant>) {
        if self.queues.len() < 2 {
            return (self.slots, None);
        }
        let (mut at_work, mut changes) = (0, None);
        for queue in self.queues.values_mut() {
            if queue.is_at_work() {
                queue.turnover.on_work(now);
                at_work += 1;
            } else if let Some(until) = queue.turnover.works_until().filter(|until| *until > now) {
                at_work += 1;
                changes = Some(changes.map_or(until, |earlier: Instant| earlier.min(until)));
            }
        }
        (share(self.slots, at_work), changes)
    }

    /// Returns the most urgent of the questions that may be sent now: those of models that have less than their share come
    /// first, and among them that of the session that was opened first.
    fn most_urgent(&mut self, now: Instant) -> Option<Candidate> {
        let (share, changes) = self.share(now);
        let mut first: Option<(bool, u64, Fingerprint, usize, &String)> = None;
        for (model, queue) in &mut self.queues {
            if !queue.has_room() || queue.acceptance.is_doubted() {
                continue;
            }
            let exceeds = queue.in_flight() >= share;
            if exceeds && !queue.turnover.may_exceed(now) {
                // Its share grows once another model has nothing to do.
                if let Some(at) = changes.filter(|_| queue.has_ready()) {
                    self.gate_opens = Some(self.gate_opens.map_or(at, |earlier| earlier.min(at)));
                }
                continue;
            }
            for replica in 0..queue.replicas.len() {
                let Some(&(session, fingerprint)) = queue.replicas[replica].ready.first() else { continue };
                let tokens = self.flights.get(&fingerprint).map_or(0, |flight| flight.tokens);
                match queue.gate(replica, tokens, now) {
                    SendGate::Open if first.is_none_or(|(more, other, ..)| (exceeds, session) < (more, other)) => {
                        first = Some((exceeds, session, fingerprint, replica, model));
                    }
                    SendGate::Open | SendGate::Shut => {}
                    SendGate::Until(at) => {
                        self.gate_opens = Some(self.gate_opens.map_or(at, |earlier| earlier.min(at)));
                    }
                }
            }
        }
        let (_, session, fingerprint, replica, model) = first?;
        Some(Candidate { model: model.clone(), session, fingerprint, replica })
    }

    /// Queues a question for a replica of its model.
    pub(super) fn enqueue_question(&mut self, fingerprint: Fingerprint) -> Result<(), WorkerError> {
        let Some(flight) = self.flights.get(&fingerprint) else { return Ok(()) };
        let name = flight.question.target.model();
        let queue = self.queues.get_mut(name).ok_or_else(|| WorkerError::UnknownModel(name.to_owned()))?;
        queue.enqueue(flight.session, fingerprint, &flight.question, flight.tokens, flight.avoid, Instant::now());
        Ok(())
    }

    pub(super) fn spawn_call(
        &mut self,
        replica: usize,
        purpose: CallPurpose,
        question: Arc<Question>,
        conversation: Option<ConversationKey>,
        (attempt, avoids_flex): (u32, bool),
        slot: Option<u64>,
    ) {
        let Some(queue) = self.queues.get(question.target.model()) else { return };
        let model = Arc::clone(&queue.replicas[replica].model);
        self.sent += 1;
        if matches!(purpose, CallPurpose::Question(_)) {
            self.observer.on_event(&Event::Sent);
        }
        self.calls.spawn(async move {
            let sent_at = Instant::now();
            let asked = model.ask(Call { question: &question, attempt, conversation, avoids_flex });
            let reply = match purpose {
                CallPurpose::Question(_) => asked.await,
                // A server that accepts a probe but does not answer is still down.
                CallPurpose::Probe(_) => timeout(PROBE_MAX, asked).await.unwrap_or_else(|_| {
                    Err(Failure::new(FailureClass::Outage, FailureCode::Probe, "the probe was not answered")).into()
                }),
            };
            let latency = sent_at.elapsed();
            CallEnd { purpose, model: question.target.model().to_owned(), replica, reply, sent_at, latency, slot }
        });
    }
}
