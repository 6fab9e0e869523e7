use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::budget::Budget;
use super::committer::Committer;
use super::control::{Controls, PauseState};
use super::early_rows::EarlyRows;
use super::event::{Event, Observer};
use super::fleet::{self, FleetLink};
use super::flights::{Flight, Flights, Waiter};
use super::haste::Haste;
use super::model_queue::{CallEnd, ModelQueue, Replica, with_margin};
use super::occupancy::Occupancy;
use super::prompts::Prompts;
use super::session::{
    self, ClosedConversation, ConversationEnd, READS_MAX, ReplySender, SessionContext, SessionReply, SessionRequest,
};
use super::stop::{DRAIN_MAX, Due, RunStop, StopStage};
use super::wait::TimedWait;
use super::{Admit, Ended, RowOrder, Work, WorkerError};
use crate::conversation::{FailureCause, FailureCode, Fingerprint};
use crate::model::retry::{PAID_ATTEMPTS_MAX, Tries};
use crate::model::{OutageState, PaceLimits};
use crate::store::{Ledger, LostCalls, Spending, Store};

/// How long a server that had answered may refuse everything, unless the user sets a limit.
const REFUSED_MAX: Duration = Duration::from_secs(30 * 60);
/// For pacing by tokens a minute; the server's own count differs slightly.
pub const BYTES_PER_TOKEN: u64 = 3;

/// Runs until every conversation is done or the run is stopped.
///
/// One loop owns all state; calls, sessions and the committer are tasks that send it messages.
pub async fn run(
    mut work: Work,
    mut stop: watch::Receiver<StopStage>,
    observer: &mut dyn Observer,
) -> Result<Ended, WorkerError> {
    let (session_requests, mut from_sessions) = unbounded_channel();
    let (acknowledge, mut acknowledged) = unbounded_channel();
    let committer = Committer::start(work.commit_mode, Arc::clone(&work.store), acknowledge, |result| result)
        .map_err(|error| WorkerError::Died(error.to_string()))?;
    let mut sessions: JoinSet<SessionEnd> = JoinSet::new();
    let Controls { held, commands } = std::mem::take(&mut work.controls);
    let mut controls = Controls { held: Vec::new(), commands };
    let mut dispatcher = Dispatcher::new(work, session_requests, committer, observer)?;
    for control in held {
        // What no longer applies, such as a server of another run, changes nothing.
        let _ = dispatcher.apply(control)?;
    }
    dispatcher.on_fleet();
    loop {
        dispatcher.run_timers()?;
        dispatcher.admit(&mut sessions)?;
        dispatcher.judge_refusals(&mut sessions);
        dispatcher.send_calls()?;
        dispatcher.report_wait();
        if sessions.is_empty() && dispatcher.is_done() {
            break;
        }
        let wake = dispatcher.next_wake();
        tokio::select! {
            // In order of priority: what a person wants, then everything that frees a slot.
            biased;
            Ok(()) = stop.changed() => {
                let stage = *stop.borrow_and_update();
                dispatcher.on_stop(stage);
            }
            () = fleet::changed(dispatcher.fleet.as_mut()) => dispatcher.on_fleet(),
            command = controls.next() => dispatcher.on_command(command)?,
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
pub(super) type SessionEnd = (u64, Result<ClosedConversation, WorkerError>);

/// The recipient of a commit's acknowledgement.
pub(super) enum CommitToken {
    Answer {
        fingerprint: Fingerprint,
        slot: Option<u64>,
        since: Instant,
    },
    Note(ReplySender),
    /// A call without an answer, in the ledger until it is booked.
    Booked {
        slot: Option<u64>,
    },
    Unwatched,
}

/// A row whose conversation has failed in this run.
pub(super) struct FailedRow {
    pub row: u64,
    /// Answers that its end has settled without using them.
    pub unused: u64,
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
    /// The rows of open sessions.
    pub(super) open_rows: HashMap<u64, u64>,
    /// Rows whose conversations have failed in this run.
    pub(super) failed_rows: Vec<FailedRow>,
    /// Rows of failed conversations that are opened again.
    pub(super) reopen: VecDeque<FailedRow>,
    /// Calls that were sent.
    pub(super) sent: u64,
    pub(super) commits_pending: usize,
    /// Calls without an answer that are not booked on disk yet.
    pub(super) unbooked: usize,
    /// A probe is due and waits for a slot, or for room below a cap.
    pub(super) probe_waits: bool,
    /// The limits of the run, over all models.
    pub(super) pace: PaceLimits,
    /// The other workers, where the run is shared.
    pub(super) fleet: Option<FleetLink>,
    /// Whether calls may be sent.
    pub(super) pause: PauseState,
    /// How many calls may be in flight at present, over all models.
    pub(super) slots: usize,
    /// What the next call waits for, as it was last reported.
    pub(super) wait: Option<TimedWait>,
    pub(super) haste: Haste,
    pub(super) prompts: Prompts,
    pub(super) early: EarlyRows,
    give_up_after: Option<Duration>,
    deadline: Option<Due>,
    /// The earliest time at which a question that is held back may be sent.
    pub(super) gate_opens: Option<Instant>,
    pub(super) stopping: Option<RunStop>,
    drain_until: Option<Instant>,
    pub(super) stop_now: bool,
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
            retry_failed: AtomicBool::new(work.retry_failed),
            stored: work.stored,
            reads: Semaphore::new(READS_MAX),
        };
        let now = Instant::now();
        let (spending, no_spending) = (work.store.spending()?, Spending::new());
        let queue = |(name, served): (String, _)| {
            let mut queue = ModelQueue::new(served, work.pace, now);
            queue.has_answered_before = spending.get(&name).is_some_and(|spent| spent.calls > 0);
            (name, queue)
        };
        Ok(Self {
            context: Arc::new(context),
            budget: Budget::new(work.budget, if work.fleet.is_some() { &no_spending } else { &spending }),
            store: work.store,
            rows: Some(work.rows),
            admission_pending: false,
            queues: work.models.into_iter().map(queue).collect(),
            flights: Flights::default(),
            occupancy: Occupancy::new(now),
            chains: HashMap::new(),
            ledger: work.ledger,
            calls: JoinSet::new(),
            committer,
            session_requests,
            observer,
            next_session: 0,
            open_rows: HashMap::new(),
            failed_rows: Vec::new(),
            reopen: VecDeque::new(),
            sent: 0,
            commits_pending: 0,
            unbooked: 0,
            probe_waits: false,
            pace: work.pace,
            fleet: work.fleet.map(|fleet| FleetLink::new(fleet, work.pace)),
            pause: PauseState::default(),
            slots: 0,
            wait: None,
            haste: Haste::default(),
            prompts: Prompts::default(),
            early: EarlyRows::default(),
            give_up_after: work.give_up_after,
            deadline: work.deadline.and_then(|deadline| Due::of(deadline, now)),
            gate_opens: None,
            stopping: None,
            drain_until: None,
            stop_now: false,
        })
    }

    /// Adds up how many calls may be in flight: what the servers take, and in total no more than the run's number.
    pub(super) fn measure_slots(&mut self) {
        let now = Instant::now();
        let calls_max = self.pace.concurrency.or(self.pace.calls_max).unwrap_or(usize::MAX).max(1);
        // While the run is paused there is nothing to use.
        let usable_max = if self.is_paused() { 0 } else { calls_max };
        let usable = |slots: usize| slots.min(usable_max);
        let mut slots = 0usize;
        for (model, queue) in &self.queues {
            slots = slots.saturating_add(queue.limit());
            self.occupancy.on_model_limit(model, usable(queue.limit()), now);
        }
        self.occupancy.on_limit(usable(slots), now);
        let slots = slots.min(calls_max);
        if std::mem::replace(&mut self.slots, slots) != slots {
            self.observer.on_event(&Event::Slots(slots));
        }
    }

    /// True if one more call may be in flight, probes included. A kill repeats the calls in flight and those whose answers
    /// are not on disk yet: where a number was asked for, they count together and a kill costs at most that number. Else
    /// a slot is free when its answer arrives, within a margin.
    pub(super) fn has_slot(&self) -> bool {
        let calls = self.calls.len();
        let uncommitted: usize = self.queues.values().map(ModelQueue::uncommitted).sum();
        let at_stake_max = if self.pace.concurrency.is_some() { self.slots } else { with_margin(self.slots) };
        let queued_max = with_margin(self.slots);
        calls < self.slots
            && calls + uncommitted + self.unbooked < at_stake_max
            && calls + self.commits_pending < queued_max
    }

    /// Opens conversations: as many as calls may be in flight, and a few more where a slot would otherwise wait noticeably
    /// for a commit, a parse or a replay.
    fn admit(&mut self, sessions: &mut JoinSet<SessionEnd>) -> Result<(), WorkerError> {
        self.admission_pending = false;
        if self.is_paused() {
            return Ok(());
        }
        self.measure_slots();
        // More conversations than slots evict each other's caches on the server.
        let open_max = if self.haste.needs_margin() { with_margin(self.slots) } else { self.slots };
        while self.chains.len() < open_max && self.stopping.is_none() {
            if let Some(FailedRow { row, unused }) = self.reopen.pop_front() {
                self.observer.on_event(&Event::Reopened { unused });
                self.start(row, true, sessions);
                continue;
            }
            let row = match self.rows.as_mut().and_then(Iterator::next).transpose().map_err(WorkerError::Order)? {
                // A row of a shared run comes again where its slot was lost and is held again.
                Some(Admit::Row(row)) if self.fleet.is_none() && self.early.is_opened(row) => continue,
                Some(Admit::Row(row)) => row,
                Some(Admit::Waiting) => break,
                Some(Admit::Later) => {
                    self.admission_pending = true;
                    break;
                }
                None => {
                    self.rows = None;
                    break;
                }
            };
            self.open(row, sessions);
        }
        Ok(())
    }

    /// Opens the conversation of a row.
    pub(super) fn open(&mut self, row: u64, sessions: &mut JoinSet<SessionEnd>) -> u64 {
        self.early.on_opened(row);
        self.observer.on_event(&Event::Opened);
        self.start(row, false, sessions)
    }

    fn start(&mut self, row: u64, is_again: bool, sessions: &mut JoinSet<SessionEnd>) -> u64 {
        let number = self.next_session;
        self.next_session += 1;
        self.chains.insert(number, Duration::ZERO);
        self.open_rows.insert(number, row);
        let (context, dispatcher) = (Arc::clone(&self.context), self.session_requests.clone());
        let conversation = session::run_session(context, (row, is_again), number, dispatcher);
        sessions.spawn(async move { (number, conversation.await) });
        number
    }

    pub(super) fn replicas(&self) -> impl Iterator<Item = &Replica> {
        self.queues.values().flat_map(|queue| &queue.replicas)
    }

    fn is_done(&self) -> bool {
        let nothing_to_open = self.rows.is_none() && self.reopen.is_empty() || self.stopping.is_some();
        let has_calls = self.calls.len() > self.replicas().filter(|replica| replica.is_probing).count();
        nothing_to_open && !has_calls && self.commits_pending == 0 && self.flights.is_empty()
    }

    fn next_wake(&self) -> Option<Instant> {
        // A probe that waits for others is sent when a call ends.
        let now = Instant::now();
        let probes = self.replicas().filter_map(Replica::probe_due).filter(|at| !self.probe_waits || *at > now).min();
        let give_up = self.patience().map(|(end, _)| end).min();
        let deadline = self.deadline.as_ref().map(|due| due.stop);
        let look = self.admission_pending.then(Instant::now);
        let timers = [self.flights.next_wake(), self.gate_opens, probes, give_up, deadline, look];
        let timers = match self.stopping {
            Some(_) => [None; 6],
            // Retries that are due queue up; deadlines keep running.
            None if self.is_paused() => [self.flights.next_wake(), deadline, None, None, None, None],
            None => timers,
        };
        timers.into_iter().chain([self.drain_until]).flatten().min()
    }

    /// Handles the timers that are due.
    fn run_timers(&mut self) -> Result<(), WorkerError> {
        let now = Instant::now();
        while let Some(fingerprint) = self.flights.pop_due(now) {
            self.resolve_doubt(fingerprint)?;
        }
        if self.drain_until.is_some_and(|until| until <= now) {
            self.stop_now = true;
        }
        if self.stopping.is_some() {
            return Ok(());
        }
        if let Some(Due { name, .. }) = self.deadline.as_ref().filter(|due| due.stop <= now) {
            let reason = RunStop::Budget(format!("{name} is reached"));
            self.stop(reason);
        }
        let over = self.patience().find(|(end, _)| *end <= now).map(|(_, reason)| reason);
        if let Some(reason) = over {
            self.stop(reason);
        }
        Ok(())
    }

    /// Returns when the run stops because of a server that is down, and with which reason, for each such server.
    fn patience(&self) -> impl Iterator<Item = (Instant, RunStop)> {
        self.queues.iter().filter(|_| !self.is_paused()).filter_map(|(name, queue)| {
            let (since, state) = queue.gone_since()?;
            let refusal = queue.replicas.iter().find_map(|replica| replica.refusal.clone());
            let refusal = refusal.filter(|_| state == OutageState::Refusing);
            let time = self.give_up_after.or(refusal.as_ref().map(|_| REFUSED_MAX))?;
            let reason = match refusal {
                Some(failure) => RunStop::RefusedFor { model: name.clone(), failure, time },
                None => RunStop::GaveUp(time),
            };
            // A server that was not asked during a pause gets its time again.
            let since = if let PauseState::Resumed(at) = self.pause { since.max(at) } else { since };
            Some((since + time, reason))
        })
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
                self.observer.on_event(if by_this_run { &Event::Shared } else { &Event::Reused });
            }
            SessionRequest::NotStored { answers } => self.observer.on_event(&Event::NotStored(answers)),
            SessionRequest::Note { entries, reply_to } => {
                self.commits_pending += 1;
                self.committer.commit(entries, CommitToken::Note(reply_to));
            }
            SessionRequest::Ask { fingerprint, question, conversation, earlier, reply_to } => {
                self.early.on_asked(number);
                let slot = question.slot;
                let chain = self.chains.get(&number).copied().unwrap_or_default();
                let waiter = Waiter { session: number, slot, reply_to, chain };
                if let Some(flight) = self.flights.get_mut(&fingerprint) {
                    flight.waiters.push(waiter);
                    return Ok(());
                }
                // The answer may have been committed for another session since this session looked it up.
                if let Some(stored) = self.store.answer_at_hand(&fingerprint)? {
                    if self.context.recipe.is_counted(slot) {
                        self.observer.on_event(&Event::Shared);
                    }
                    let answered = SessionReply::Answered { slot, fingerprint, answer: stored.answer, own: false };
                    let _ = waiter.reply_to.send(answered);
                    return Ok(());
                }
                if let Some(reply) = self.lost_reply(number) {
                    let _ = waiter.reply_to.send(reply);
                    return Ok(());
                }
                if self.stopping.is_some() {
                    let _ = waiter.reply_to.send(SessionReply::Stopping);
                    return Ok(());
                }
                let lost = if self.context.retry_failed.load(Ordering::Relaxed) {
                    LostCalls::default()
                } else {
                    self.store.lost_at_hand(&fingerprint)?
                };
                if lost.calls >= PAID_ATTEMPTS_MAX {
                    let (code, message) = lost.reason.split_once(": ").unwrap_or((&lost.reason, ""));
                    let cause = FailureCause::new(slot.lane, FailureCode::from(code), message.to_owned());
                    let _ = waiter.reply_to.send(SessionReply::Failed { slot, cause, permanent: true });
                    return Ok(());
                }
                let worst = self.budget.worst_case(&question);
                self.on_worst(&worst);
                let flight = Flight {
                    worst,
                    tokens: worst.prompt_tokens / BYTES_PER_TOKEN + worst.output_tokens,
                    question: Arc::new(question),
                    conversation,
                    session: number,
                    waiters: vec![waiter],
                    avoid: None,
                    tries: Tries { paid: lost.calls, ..Tries::default() },
                    latency: Duration::ZERO,
                    due: None,
                    doubt: None,
                    answer: None,
                    earlier,
                };
                self.flights.add(fingerprint, flight);
                self.enqueue_question(fingerprint)?;
            }
        }
        Ok(())
    }

    fn on_session_end(&mut self, ended: Result<SessionEnd, JoinError>) -> Result<(), WorkerError> {
        let (number, closed) = ended.map_err(|error| WorkerError::Died(error.to_string()))?;
        let closed = closed?;
        self.early.on_asked(number);
        self.prompts.leave(number);
        if let Some(chain) = self.chains.remove(&number) {
            self.occupancy.on_chain(chain);
        }
        self.queues.values_mut().for_each(|queue| queue.leave(number));
        let row = self.open_rows.remove(&number);
        if let Some(row) = row {
            self.tell_end(row, &closed.end);
        }
        if let (Some(row), ConversationEnd::Failed { .. }) = (row, &closed.end) {
            self.remember_failed(FailedRow { row, unused: closed.unused });
        }
        if let ConversationEnd::InputLost(reason) = &closed.end {
            self.stop(RunStop::InputLost(reason.clone()));
        }
        self.observer.on_event(&Event::Closed(closed));
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
        let patience = Instant::now() + DRAIN_MAX;
        self.drain_until = Some(self.deadline.as_ref().map_or(patience, |due| patience.min(due.end)));
        self.observer.on_event(&Event::Stopping { reason: reason.to_string(), in_flight: self.calls.len() });
        self.stopping = Some(reason);
        let mut waiting = self.flights.take_delayed();
        for queue in self.queues.values_mut() {
            waiting.extend(queue.take_ready());
            waiting.extend(queue.take_waiting());
        }
        for fingerprint in waiting {
            self.book_open_doubt(&fingerprint);
            self.flights.release(&fingerprint);
        }
    }
}
