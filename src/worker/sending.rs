//! Sends questions: the most urgent first, as far as pace, rate limits and caps allow.

use std::sync::Arc;

use tokio::time::{Instant, timeout};

use super::WorkerError;
use super::budget::Grant;
use super::dispatcher::Dispatcher;
use super::event::Event;
use super::model_queue::{CallEnd, CallPurpose, SendGate};
use super::probes::PROBE_MAX;
use super::stop::RunStop;
use crate::conversation::{ConversationKey, FailureCode, Fingerprint, Question};
use crate::model::{Call, Failure, FailureClass};
use crate::store::Unsettled;

/// A question that may be sent.
pub struct Candidate {
    pub model: String,
    pub session: u64,
    pub fingerprint: Fingerprint,
    pub replica: usize,
}

impl Dispatcher<'_> {
    /// Sends calls until no slot is free.
    pub(super) fn send_calls(&mut self) {
        self.gate_opens = None;
        if self.stopping.is_some() {
            return;
        }
        let now = Instant::now();
        self.send_probes(now);
        // The bound over all models together, notes and probes included; each model has its own beside it.
        while self.calls.len() + self.commits_pending < self.window
            && let Some((fingerprint, replica)) = self.next_to_send(now)
        {
            let Some(flight) = self.flights.get(&fingerprint) else { continue };
            let (question, worst) = (Arc::clone(&flight.question), flight.worst);
            let (attempt, conversation) = (flight.tries.streak + 1, flight.conversation);
            let avoids_flex = flight.tries.avoids_flex();
            let slot = self.ledger.as_mut().map(|ledger| {
                let (prompt_tokens, completion_tokens) = (worst.prompt_tokens, worst.output_tokens);
                let model = Unsettled::tag(question.target.model());
                ledger.begin(&Unsettled { fingerprint, prompt_tokens, completion_tokens, model })
            });
            let purpose = CallPurpose::Question(fingerprint);
            self.spawn_call(replica, purpose, question, Some(conversation), (attempt, avoids_flex), slot);
        }
    }

    /// Dequeues the most urgent question that may be sent now and reserves its worst case. Returns it with its replica.
    fn next_to_send(&mut self, now: Instant) -> Option<(Fingerprint, usize)> {
        let shortest = self.shortest_doubted(now);
        let is_shortest = shortest.is_some();
        let Candidate { model, session, fingerprint, replica } = shortest.or_else(|| self.most_urgent(now))?;
        let flight = self.flights.get(&fingerprint)?;
        match self.budget.reserve(&flight.worst) {
            Grant::Granted => {
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

    /// Returns the question of the session that was opened first, among those that may be sent now.
    fn most_urgent(&mut self, now: Instant) -> Option<Candidate> {
        let mut first: Option<(u64, Fingerprint, usize, &String)> = None;
        for (model, queue) in &mut self.queues {
            if !queue.has_room() || queue.acceptance.is_doubted() {
                continue;
            }
            for replica in 0..queue.replicas.len() {
                let Some(&(session, fingerprint)) = queue.replicas[replica].ready.first() else { continue };
                let tokens = self.flights.get(&fingerprint).map_or(0, |flight| flight.tokens);
                match queue.gate(replica, tokens, now) {
                    SendGate::Open if first.is_none_or(|(other, ..)| session < other) => {
                        first = Some((session, fingerprint, replica, model));
                    }
                    SendGate::Open | SendGate::Shut => {}
                    SendGate::Until(at) => {
                        self.gate_opens = Some(self.gate_opens.map_or(at, |earlier| earlier.min(at)));
                    }
                }
            }
        }
        let (session, fingerprint, replica, model) = first?;
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
        if matches!(purpose, CallPurpose::Question(_)) {
            self.observer.on_event(&Event::Sent);
        }
        self.calls.spawn(async move {
            let sent_at = Instant::now();
            let asked = model.ask(Call { question: &question, attempt, conversation, avoids_flex });
            let reply = match purpose {
                CallPurpose::Question(_) => asked.await,
                // A server that accepts a probe but does not answer is still down.
                CallPurpose::Probe => timeout(PROBE_MAX, asked).await.unwrap_or_else(|_| {
                    Err(Failure::new(FailureClass::Outage, FailureCode::Probe, "the probe was not answered")).into()
                }),
            };
            let latency = sent_at.elapsed();
            CallEnd { purpose, model: question.target.model().to_owned(), replica, reply, sent_at, latency, slot }
        });
    }
}
