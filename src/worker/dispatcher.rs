use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use super::budget::{Budget, Grant};
use super::committer::Committer;
use super::event::{Event, Observer};
use super::flights::{Flight, Flights, Waiter};
use super::model_queue::{CallEnd, CallPurpose, ModelQueue, Replica, SendGate, with_margin};
use super::occupancy::Occupancy;
use super::session::{self, ConversationEnd, ReplySender, SessionContext, SessionReply, SessionRequest};
use super::stop::{DRAIN_MAX, RunStop, StopStage};
use super::{Admit, Ended, RowOrder, Work, WorkerError};
use crate::conversation::{ConversationKey, FailureCode, Fingerprint, Question};
use crate::model::retry::Tries;
use crate::model::{Call, Failure, FailureClass};
use crate::store::{Ledger, Store, Unsettled};

/// Time limit of a probe: a server that is loading its model refuses probes, or answers one late.
const PROBE_MAX: Duration = Duration::from_secs(60);
/// For pacing by tokens a minute; the server's own count differs slightly.
const BYTES_PER_TOKEN: u64 = 3;

/// Runs until every conversation is done or the run is stopped.
///
/// One loop owns all state; calls, sessions and the committer are tasks that send it messages.
pub async fn run(
    work: Work,
    mut stop: watch::Receiver<StopStage>,
    observer: &mut dyn Observer,
) -> Result<Ended, WorkerError> {
    let (session_requests, mut from_sessions) = unbounded_channel();
    let (acknowledge, mut acknowledged) = unbounded_channel();
    let committer = Committer::start(work.commit_mode, Arc::clone(&work.store), acknowledge, |result| result)
        .map_err(|error| WorkerError::Died(error.to_string()))?;
    let mut sessions: JoinSet<SessionEnd> = JoinSet::new();
    let mut dispatcher = Dispatcher::new(work, session_requests, committer, observer)?;
    loop {
        dispatcher.run_timers()?;
        dispatcher.admit(&mut sessions)?;
        dispatcher.send_calls();
        if sessions.is_empty() && dispatcher.is_done() {
            break;
        }
        let wake = dispatcher.next_wake();
        tokio::select! {
            // In order of priority: a stop request, then everything that frees a slot.
            biased;
            Ok(()) = stop.changed() => {
                let stage = *stop.borrow_and_update();
                dispatcher.on_stop(stage);
            }
            result = acknowledged.recv() => match result {
                Some(result) => dispatcher.on_committed(result?),
                None => return Err(WorkerError::Died("the committer ended early".to_owned())),
            },
            Some((number, request)) = from_sessions.recv() => {
                dispatcher.on_request(number, request)?;
                dispatcher.drain_requests(&mut from_sessions)?;
            }
            Some(ended) = dispatcher.calls.join_next(), if !dispatcher.calls.is_empty() => dispatcher.on_call_end(ended)?,
            Some(ended) = sessions.join_next(), if !sessions.is_empty() => dispatcher.on_session_end(ended)?,
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
        }
        if dispatcher.stop_now {
            break;
        }
    }
    let bound = dispatcher.occupancy.bound(Instant::now());
    dispatcher.observer.on_event(&Event::Measured(bound));
    Ok(dispatcher.stopping.map_or(Ended::Finished, Ended::Stopped))
}

/// A session's number and how it ended.
type SessionEnd = (u64, Result<ConversationEnd, WorkerError>);

/// The recipient of a commit's acknowledgement.
pub(super) enum CommitToken {
    Answer { fingerprint: Fingerprint, slot: Option<u64> },
    Note(ReplySender),
}

pub(super) struct Dispatcher<'a> {
    pub(super) context: Arc<SessionContext>,
    pub(super) store: Arc<dyn Store>,
    rows: Option<RowOrder>,
    /// True if the admission order has more rows to check.
    admission_pending: bool,
    pub(super) queues: BTreeMap<String, ModelQueue>,
    pub(super) flights: Flights,
    pub(super) occupancy: Occupancy,
    /// The summed latencies of each open session's calls so far.
    pub(super) chains: HashMap<u64, Duration>,
    pub(super) budget: Budget,
    pub(super) ledger: Option<Ledger>,
    pub(super) calls: JoinSet<CallEnd>,
    pub(super) committer: Committer<CommitToken>,
    session_requests: UnboundedSender<(u64, SessionRequest)>,
    pub(super) observer: &'a mut dyn Observer,
    next_session: u64,
    pub(super) commits_pending: usize,
    /// The limit on open conversations, and on answers in flight or waiting for their commit.
    window: usize,
    /// True once an answer, of this run or an earlier one, has shown that the server accepts such questions.
    pub(super) is_proven: bool,
    pub(super) refused_from_start: u32,
    /// Consecutive questions that were forbidden.
    pub(super) forbidden: u32,
    give_up_after: Option<Duration>,
    deadline: Option<(Instant, String)>,
    /// The earliest time at which a question that is held back may be sent.
    gate_opens: Option<Instant>,
    pub(super) stopping: Option<RunStop>,
    drain_until: Option<Instant>,
    stop_now: bool,
}

impl<'a> Dispatcher<'a> {
    fn new(
        work: Work,
        session_requests: UnboundedSender<(u64, SessionRequest)>,
        committer: Committer<CommitToken>,
        observer: &'a mut dyn Observer,
    ) -> Result<Self, WorkerError> {
        let context = SessionContext {
            recipe: work.recipe,
            store: Arc::clone(&work.store),
            seeds: work.seeds,
            run: work.run,
            retry_failed: work.retry_failed,
        };
        let now = Instant::now();
        let queue = |served| ModelQueue::new(served, work.pace, now);
        Ok(Self {
            context: Arc::new(context),
            budget: Budget::new(work.budget, &work.store.spending()?),
            store: work.store,
            rows: Some(work.rows),
            admission_pending: false,
            queues: work.models.into_iter().map(|(name, served)| (name, queue(served))).collect(),
            flights: Flights::default(),
            occupancy: Occupancy::new(now),
            chains: HashMap::new(),
            ledger: work.ledger,
            calls: JoinSet::new(),
            committer,
            session_requests,
            observer,
            next_session: 0,
            commits_pending: 0,
            window: 0,
            is_proven: false,
            refused_from_start: 0,
            forbidden: 0,
            give_up_after: work.give_up_after,
            deadline: work.deadline.map(|deadline| (now + deadline.after, deadline.name)),
            gate_opens: None,
            stopping: None,
            drain_until: None,
            stop_now: false,
        })
    }

    /// Opens conversations: as many as calls may be in flight and a few more, so that a slot never waits for a commit,
    /// a parse or a replay.
    fn admit(&mut self, sessions: &mut JoinSet<SessionEnd>) -> Result<(), WorkerError> {
        let slots: usize = self.queues.values().map(ModelQueue::limit).sum();
        self.occupancy.on_limit(slots, Instant::now());
        self.window = with_margin(slots);
        self.admission_pending = false;
        while self.chains.len() < self.window && self.stopping.is_none() {
            let row = match self.rows.as_mut().and_then(Iterator::next).transpose().map_err(WorkerError::Order)? {
                Some(Admit::Row(row)) => row,
                Some(Admit::Later) => {
                    self.admission_pending = true;
                    break;
                }
                None => {
                    self.rows = None;
                    break;
                }
            };
            let number = self.next_session;
            self.next_session += 1;
            self.chains.insert(number, Duration::ZERO);
            self.observer.on_event(&Event::Opened);
            let conversation =
                session::run_session(Arc::clone(&self.context), row, number, self.session_requests.clone());
            sessions.spawn(async move { (number, conversation.await) });
        }
        Ok(())
    }

    /// Sends calls until no slot is free.
    fn send_calls(&mut self) {
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
            let slot = self.ledger.as_mut().map(|ledger| {
                let (prompt_tokens, completion_tokens) = (worst.prompt_tokens, worst.output_tokens);
                let model = Unsettled::tag(question.target.model());
                ledger.begin(&Unsettled { fingerprint, prompt_tokens, completion_tokens, model })
            });
            self.spawn_call(replica, CallPurpose::Question(fingerprint), question, Some(conversation), attempt, slot);
        }
    }

    /// Dequeues the most urgent question that may be sent now and reserves its worst case. Returns it with its replica.
    fn next_to_send(&mut self, now: Instant) -> Option<(Fingerprint, usize)> {
        let mut first: Option<(u64, Fingerprint, &mut ModelQueue, usize)> = None;
        for queue in self.queues.values_mut().filter(|queue| queue.has_room()) {
            let mut best: Option<(u64, Fingerprint, usize)> = None;
            for replica in 0..queue.replicas.len() {
                let Some(&(session, fingerprint)) = queue.replicas[replica].ready.first() else { continue };
                let tokens = self.flights.get(&fingerprint).map_or(0, |flight| flight.tokens);
                match queue.gate(replica, tokens, now) {
                    SendGate::Open if best.is_none_or(|(other, ..)| session < other) => {
                        best = Some((session, fingerprint, replica));
                    }
                    SendGate::Open | SendGate::Shut => {}
                    SendGate::Until(at) => {
                        self.gate_opens = Some(self.gate_opens.map_or(at, |earlier| earlier.min(at)));
                    }
                }
            }
            if let Some((session, fingerprint, replica)) = best
                && first.as_ref().is_none_or(|(other, ..)| session < *other)
            {
                first = Some((session, fingerprint, queue, replica));
            }
        }
        let (session, fingerprint, queue, replica) = first?;
        let flight = self.flights.get(&fingerprint)?;
        match self.budget.reserve(&flight.worst) {
            Grant::Granted => {
                queue.replicas[replica].ready.remove(&(session, fingerprint));
                queue.on_sent(replica, &flight.question, flight.tokens, now);
                Some((fingerprint, replica))
            }
            Grant::Wait => None,
            Grant::Exhausted(name) => {
                self.stop(RunStop::Budget(format!("{name} is reached")));
                None
            }
        }
    }

    /// Queues a question for a replica of its model.
    pub(super) fn enqueue_question(&mut self, fingerprint: Fingerprint) -> Result<(), WorkerError> {
        let Some(flight) = self.flights.get(&fingerprint) else { return Ok(()) };
        let name = flight.question.target.model();
        let queue = self.queues.get_mut(name).ok_or_else(|| WorkerError::UnknownModel(name.to_owned()))?;
        queue.enqueue(flight.session, fingerprint, &flight.question, flight.tokens, flight.avoid, Instant::now());
        Ok(())
    }

    /// Probes servers that are down.
    fn send_probes(&mut self, now: Instant) {
        let mut probes = Vec::new();
        for queue in self.queues.values_mut() {
            let probe = queue.probe();
            for (index, replica) in queue.replicas.iter_mut().enumerate() {
                if replica.probe_due().is_some_and(|at| at <= now)
                    && let Some(question) = &probe
                {
                    replica.is_probing = true;
                    probes.push((index, question.clone()));
                }
            }
        }
        for (replica, question) in probes {
            self.spawn_call(replica, CallPurpose::Probe, Arc::new(question), None, 1, None);
        }
    }

    fn spawn_call(
        &mut self,
        replica: usize,
        purpose: CallPurpose,
        question: Arc<Question>,
        conversation: Option<ConversationKey>,
        attempt: u32,
        slot: Option<u64>,
    ) {
        let Some(queue) = self.queues.get(question.target.model()) else { return };
        let model = Arc::clone(&queue.replicas[replica].model);
        if matches!(purpose, CallPurpose::Question(_)) {
            self.observer.on_event(&Event::Sent);
        }
        self.calls.spawn(async move {
            let sent_at = Instant::now();
            let asked = model.ask(Call { question: &question, attempt, conversation });
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

    fn replicas(&self) -> impl Iterator<Item = &Replica> {
        self.queues.values().flat_map(|queue| &queue.replicas)
    }

    fn is_done(&self) -> bool {
        let nothing_to_open = self.rows.is_none() || self.stopping.is_some();
        let has_calls = self.calls.len() > self.replicas().filter(|replica| replica.is_probing).count();
        nothing_to_open && !has_calls && self.commits_pending == 0 && self.flights.is_empty()
    }

    fn next_wake(&self) -> Option<Instant> {
        let probes = self.replicas().filter_map(Replica::probe_due).min();
        let outages = self.queues.values().filter_map(ModelQueue::gone_since);
        let give_up = self.give_up_after.and_then(|limit| outages.map(|since| since + limit).min());
        let deadline = self.deadline.as_ref().map(|(at, _)| *at);
        let look = self.admission_pending.then(Instant::now);
        let timers = [self.flights.next_wake(), self.gate_opens, probes, give_up, deadline, look];
        let timers = if self.stopping.is_some() { [None; 6] } else { timers };
        timers.into_iter().chain([self.drain_until]).flatten().min()
    }

    /// Handles the timers that are due.
    fn run_timers(&mut self) -> Result<(), WorkerError> {
        let now = Instant::now();
        while let Some(fingerprint) = self.flights.pop_due(now) {
            self.enqueue_question(fingerprint)?;
        }
        if self.drain_until.is_some_and(|until| until <= now) {
            self.stop_now = true;
        }
        if self.stopping.is_some() {
            return Ok(());
        }
        if let Some((_, name)) = self.deadline.as_ref().filter(|(at, _)| *at <= now) {
            let reason = RunStop::Budget(format!("{name} is reached"));
            self.stop(reason);
        }
        let gone = self.queues.values().filter_map(ModelQueue::gone_since).min();
        if let Some((limit, since)) = self.give_up_after.zip(gone)
            && since + limit <= now
        {
            self.stop(RunStop::GaveUp(now - since));
        }
        Ok(())
    }

    fn drain_requests(&mut self, requests: &mut UnboundedReceiver<(u64, SessionRequest)>) -> Result<(), WorkerError> {
        const AT_ONCE_MAX: usize = 256;
        for _ in 0..AT_ONCE_MAX {
            let Ok((number, request)) = requests.try_recv() else { break };
            self.on_request(number, request)?;
        }
        Ok(())
    }

    fn on_request(&mut self, number: u64, request: SessionRequest) -> Result<(), WorkerError> {
        match request {
            SessionRequest::TookStored { by_this_run } => {
                self.is_proven = true;
                self.observer.on_event(if by_this_run { &Event::Shared } else { &Event::Reused });
            }
            SessionRequest::Note { entries, reply_to } => {
                self.commits_pending += 1;
                self.committer.commit(entries, CommitToken::Note(reply_to));
            }
            SessionRequest::Ask { fingerprint, question, conversation, reply_to } => {
                let slot = question.slot;
                let chain = self.chains.get(&number).copied().unwrap_or_default();
                let waiter = Waiter { session: number, slot, reply_to, chain };
                if let Some(flight) = self.flights.get_mut(&fingerprint) {
                    flight.waiters.push(waiter);
                    return Ok(());
                }
                // The answer may have been committed for another session since this session looked it up.
                if let Some(stored) = self.store.answer(&fingerprint)? {
                    self.observer.on_event(&Event::Shared);
                    let answered = SessionReply::Answered { slot, fingerprint, answer: stored.answer, own: false };
                    let _ = waiter.reply_to.send(answered);
                    return Ok(());
                }
                if self.stopping.is_some() {
                    let _ = waiter.reply_to.send(SessionReply::Stopping);
                    return Ok(());
                }
                let worst = self.budget.worst_case(&question);
                let flight = Flight {
                    worst,
                    tokens: worst.prompt_tokens / BYTES_PER_TOKEN + worst.output_tokens,
                    question: Arc::new(question),
                    conversation,
                    session: number,
                    waiters: vec![waiter],
                    avoid: None,
                    tries: Tries::default(),
                    latency: Duration::ZERO,
                    answer: None,
                };
                self.flights.add(fingerprint, flight);
                self.enqueue_question(fingerprint)?;
            }
        }
        Ok(())
    }

    fn on_session_end(&mut self, ended: Result<SessionEnd, JoinError>) -> Result<(), WorkerError> {
        let (number, end) = ended.map_err(|error| WorkerError::Died(error.to_string()))?;
        let end = end?;
        if let Some(chain) = self.chains.remove(&number) {
            self.occupancy.on_chain(chain);
        }
        self.queues.values_mut().for_each(|queue| queue.leave(number));
        self.observer.on_event(&Event::Closed(end));
        Ok(())
    }

    fn on_stop(&mut self, stage: StopStage) {
        if stage != StopStage::Go {
            // A stop request while the run is already stopping does not wait for the calls in flight.
            self.stop_now |= stage == StopStage::Now || self.stopping.is_some();
            self.stop(RunStop::Requested);
        }
    }

    /// Begins to stop: nothing new is opened or sent; calls in flight may finish.
    pub(super) fn stop(&mut self, reason: RunStop) {
        if self.stopping.is_some() {
            return;
        }
        self.drain_until = Some(Instant::now() + DRAIN_MAX);
        self.observer.on_event(&Event::Stopping { reason: reason.to_string(), in_flight: self.calls.len() });
        self.stopping = Some(reason);
        self.flights.release_delayed();
        for fingerprint in self.queues.values_mut().flat_map(ModelQueue::take_ready).collect::<Vec<_>>() {
            self.flights.release(&fingerprint);
        }
    }
}
