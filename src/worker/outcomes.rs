//! Handles the results of calls: answers are committed and delivered.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinError;
use tokio::time::Instant;

use super::WorkerError;
use super::budget::Amount;
use super::committer::GroupEnd;
use super::dispatcher::{BYTES_PER_TOKEN, CommitToken, Dispatcher};
use super::event::Event;
use super::failures::report_pace;
use super::flights::Flight;
use super::model_queue::{CallEnd, CallPurpose};
use super::session::SessionReply;
use crate::conversation::{Answer, FailureCode, Fingerprint, ServiceTier};
use crate::model::{Failure, FailureClass, OutageState};
use crate::store::{Entry, StoreError};

impl Dispatcher<'_> {
    pub(super) fn on_call_end(&mut self, ended: Result<CallEnd, JoinError>) -> Result<(), WorkerError> {
        let ended = ended.map_err(|error| WorkerError::Died(error.to_string()))?;
        let replica = ended.replica;
        if let Some(wait) = ended.reply.limit_reset
            && let Some(queue) = self.queues.get_mut(&ended.model)
        {
            let (replica, now) = (&mut queue.replicas[replica], Instant::now());
            let is_news = replica.close_for(wait, now);
            let is_closed = replica.is_closed(now);
            if is_news {
                self.observer.on_event(&Event::Rested { model: replica.label.clone(), wait });
            }
            if is_closed {
                self.reassign_waiting(&ended.model)?;
            }
        }
        let CallEnd { purpose, model, reply, sent_at, latency, slot, .. } = ended;
        for adjustment in reply.adjusted {
            self.observer.on_event(&Event::Adjusted { model: model.clone(), adjustment });
        }
        let fingerprint = match purpose {
            CallPurpose::Probe(worst) => {
                self.settle_probe(&model, &worst, &reply.result, slot);
                return self.on_probe_end(&model, replica, reply.result);
            }
            CallPurpose::Question(fingerprint) => fingerprint,
        };
        if let Some((capacity, queue)) = reply.capacity.zip(self.queues.get_mut(&model)) {
            let server = &mut queue.replicas[replica];
            report_pace(self.observer, &server.label, server.pace.on_capacity(capacity));
        }
        self.occupancy.on_call(&model, latency);
        if let Some(flight) = self.flights.get_mut(&fingerprint) {
            flight.latency += latency;
        }
        match reply.result {
            Ok(answer) => self.on_answer(fingerprint, answer, replica, latency, slot),
            Err(failure) => {
                let worst = self.flights.get(&fingerprint).map(|flight| flight.worst).unwrap_or_default();
                let came_to = self.budget.settle_failed(&worst, &failure);
                self.book_unanswered(&model, &came_to, slot);
                self.on_failure(fingerprint, failure, replica, sent_at)
            }
        }
    }

    fn on_answer(
        &mut self,
        fingerprint: Fingerprint,
        mut answer: Answer,
        replica: usize,
        latency: Duration,
        slot: Option<u64>,
    ) -> Result<(), WorkerError> {
        let now = Instant::now();
        let Some(flight) = self.flights.get_mut(&fingerprint) else { return Ok(()) };
        if let Some((tokens, earlier)) = answer.tokens.take_if(|_| flight.earlier.is_some()).zip(flight.earlier.take())
        {
            answer.tokens = Some(Arc::new(Arc::unwrap_or_clone(tokens).after(earlier.question, &earlier.ids)));
        }
        let model = flight.question.target.model().to_owned();
        let unreported = self.budget.settle(&flight.worst, &model, &answer.usage).unreported;
        let prompt = flight.prompt();
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
        let mut entries = vec![entry];
        if self.budget.is_capped() && unreported != Amount::default() {
            let Amount { prompt_tokens, output_tokens: completion_tokens, .. } = unreported;
            entries.push(Entry::Unknown { model: model.clone(), calls: 0, prompt_tokens, completion_tokens });
        }
        self.commits_pending += 1;
        self.haste.on_latency(latency);
        self.committer.commit(entries, CommitToken::Answer { fingerprint, slot, since: now });
        let Some(queue) = self.queues.get_mut(&model) else { return Ok(()) };
        let in_flight = queue.replicas[replica].in_flight;
        let tokens = answer.usage.completion_tokens.unwrap_or(answer.text().len() as u64);
        let all_tokens = tokens + answer.usage.prompt_tokens.unwrap_or(prompt / BYTES_PER_TOKEN);
        let slow_replica = queue.on_answer(replica, latency, tokens, now);
        let (at_fault, again) = queue.acceptance.on_answer(prompt);
        let answered = &mut queue.replicas[replica];
        answered.answers += 1;
        if answer.usage.tier == ServiceTier::Flex {
            answered.flex_full_since = None;
        }
        if answered.breaker.on_answer().is_some_and(|state| state != OutageState::Suspected) {
            self.observer.on_event(&Event::Recovered { model: answered.label.clone() });
        }
        report_pace(self.observer, &answered.label, answered.pace.on_answer(in_flight, all_tokens, now));
        if let Some((slow_replica, reason)) = slow_replica {
            self.observer.on_event(&Event::Drained { model: queue.replicas[slow_replica].label.clone(), reason });
            self.reassign_waiting(&model)?;
        }
        self.resolve_unproven(&model, replica)?;
        if let Some(limited) = self.flights.pop_limited(&model) {
            self.enqueue_question(limited)?;
        }
        for held in at_fault {
            self.give_up(held.fingerprint, held.failure, true);
        }
        again.into_iter().try_for_each(|held| self.enqueue_question(held.fingerprint))
    }

    pub(super) fn on_committed(&mut self, group: GroupEnd<CommitToken>) {
        self.commits_pending -= group.committed.len() + group.refused.len();
        for (token, error) in group.refused {
            self.on_commit_refused(token, &error);
        }
        for token in group.committed {
            match token {
                CommitToken::Unwatched => {}
                CommitToken::Booked { slot } => self.on_booked(slot),
                CommitToken::Note(reply_to) => drop(reply_to.send(SessionReply::Noted)),
                CommitToken::Answer { fingerprint, slot, since } => {
                    self.haste.on_commit(since.elapsed());
                    self.end_in_ledger(slot);
                    self.deliver(fingerprint);
                }
            }
        }
    }

    fn on_booked(&mut self, slot: Option<u64>) {
        self.unbooked -= 1;
        self.end_in_ledger(slot);
    }

    /// An answer that the store cannot hold is a failure of its question alone: it would come again as large.
    fn on_commit_refused(&mut self, token: CommitToken, error: &StoreError) {
        let (fingerprint, slot) = match token {
            CommitToken::Unwatched => return,
            // A count of calls has no size to speak of.
            CommitToken::Booked { slot } => return self.on_booked(slot),
            // What a note records is found again by a replay.
            CommitToken::Note(reply_to) => return drop(reply_to.send(SessionReply::Noted)),
            CommitToken::Answer { fingerprint, slot, .. } => (fingerprint, slot),
        };
        // It was paid for, and later runs count it against their caps.
        let mut asked = String::new();
        match self.flights.get(&fingerprint) {
            None => self.end_in_ledger(slot),
            Some(flight) => {
                let (model, worst) = (flight.question.target.model().to_owned(), flight.worst);
                asked.clone_from(&model);
                self.book_unanswered(&model, &worst, slot);
                if let Some(queue) = self.queues.get_mut(&model) {
                    queue.on_committed();
                }
            }
        }
        let failure = Failure::new(FailureClass::Permanent, FailureCode::TooLong, error.to_string());
        let (class, code, message) = (failure.class, failure.code.clone(), failure.message.clone());
        let failed = Event::Failed { model: asked, class, code, message, again_after: None, reply: None };
        self.observer.on_event(&failed);
        self.give_up(fingerprint, failure, true);
    }

    fn deliver(&mut self, fingerprint: Fingerprint) {
        let Some(Flight { question, session, worst, waiters, answer: Some(answer), latency, .. }) =
            self.flights.remove(&fingerprint)
        else {
            return;
        };
        let (model, usage, finish) = (question.target.model().to_owned(), answer.usage, answer.finish);
        // Of two workers' answers the first one counts. What this one has cost is booked.
        let answer = self.store.winner(&fingerprint).unwrap_or(answer);
        let reported = answer.model.clone();
        let history_cut = self.prompts.is_cut(session, question.slot.lane, worst.prompt_tokens, usage.prompt_tokens);
        if let Some(queue) = self.queues.get_mut(&model) {
            queue.on_committed();
        }
        let is_damaged = answer.text().contains(char::REPLACEMENT_CHARACTER);
        let is_counted = self.context.recipe.is_counted(question.slot);
        let answered = Event::Answered { model, reported, usage, history_cut, is_counted, is_damaged, finish, latency };
        self.observer.on_event(&answered);
        for (index, waiter) in waiters.into_iter().enumerate() {
            let own = index == 0;
            if !own && self.context.recipe.is_counted(waiter.slot) {
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
