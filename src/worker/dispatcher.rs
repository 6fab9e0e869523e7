use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::budget::{Budget, Grant};
use super::committer::Committer;
use super::event::{Event, Observer};
use super::flights::{Flight, Flights};
use super::line::{Gate, Line, Purpose};
use super::outcomes::CallEnd;
use super::session::{self, ConversationEnd, Reply, ReplySender, Request, SessionContext};
use super::stop::{DRAIN_MAX, Stage, StopReason};
use super::{Ended, RowOrder, Work, WorkerError};
use crate::conversation::{Fingerprint, Question};
use crate::model::retry::Tries;
use crate::store::{Ledger, Store, Unsettled};

/// Questions that are looked at for one whose model has a free slot.
const LOOK_AHEAD: usize = 64;
/// For pacing by tokens a minute; the server's own count differs a little either way.
const BYTES_PER_TOKEN: u64 = 3;

/// Works until every conversation is done or the run is stopped.
///
/// One loop owns all state; calls, sessions and the committer are tasks that send it messages.
pub async fn run(
    work: Work,
    mut stop: watch::Receiver<Stage>,
    observer: &mut dyn Observer,
) -> Result<Ended, WorkerError> {
    let (to_me, mut from_sessions) = unbounded_channel();
    let (acknowledge, mut acknowledged) = unbounded_channel();
    let committer = Committer::start(work.committing, Arc::clone(&work.store), acknowledge, |result| result)
        .map_err(|error| WorkerError::Died(error.to_string()))?;
    let mut sessions: JoinSet<Result<ConversationEnd, WorkerError>> = JoinSet::new();
    let mut dispatcher = Dispatcher::new(work, to_me, committer, observer)?;
    loop {
        dispatcher.keep_time();
        dispatcher.admit(&mut sessions)?;
        dispatcher.send_calls()?;
        if sessions.is_empty() && dispatcher.is_done() {
            break;
        }
        let wake = dispatcher.next_wake();
        tokio::select! {
            // In this order: a person's wish first, then what frees a slot.
            biased;
            Ok(()) = stop.changed() => {
                let stage = *stop.borrow_and_update();
                dispatcher.on_stop(stage);
            }
            result = acknowledged.recv() => match result {
                Some(result) => dispatcher.on_committed(result?),
                None => return Err(WorkerError::Died("the committer ended before its time".to_owned())),
            },
            Some((number, request)) = from_sessions.recv() => {
                dispatcher.on_request(number, request)?;
                dispatcher.drain_requests(&mut from_sessions)?;
            }
            Some(ended) = dispatcher.calls.join_next(), if !dispatcher.calls.is_empty() => dispatcher.on_call_end(ended)?,
            Some(ended) = sessions.join_next(), if !sessions.is_empty() => dispatcher.on_session_end(ended)?,
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
        }
        if dispatcher.leave_now {
            break;
        }
    }
    Ok(dispatcher.stopping.map_or(Ended::Finished, Ended::Stopped))
}

/// Who is told about a commit.
pub(super) enum Token {
    Answer { fingerprint: Fingerprint, slot: Option<u64> },
    Note(ReplySender),
}

pub(super) struct Dispatcher<'a> {
    pub(super) context: Arc<SessionContext>,
    pub(super) store: Arc<dyn Store>,
    rows: Option<RowOrder>,
    pub(super) lines: HashMap<String, Line>,
    pub(super) flights: Flights,
    pub(super) budget: Budget,
    pub(super) ledger: Option<Ledger>,
    pub(super) calls: JoinSet<CallEnd>,
    pub(super) committer: Committer<Token>,
    to_me: UnboundedSender<(u64, Request)>,
    pub(super) observer: &'a mut dyn Observer,
    open_sessions: usize,
    next_session: u64,
    pub(super) commits_pending: usize,
    /// True once an answer, of this run or an earlier one, has shown that the server takes such questions.
    pub(super) is_proven: bool,
    pub(super) refused_from_start: u32,
    /// Questions in a row that were forbidden.
    pub(super) forbidden: u32,
    give_up_after: Option<Duration>,
    deadline: Option<(Instant, String)>,
    /// The earliest time at which something that may not be sent now may be.
    gate_opens: Option<Instant>,
    pub(super) stopping: Option<StopReason>,
    drain_until: Option<Instant>,
    leave_now: bool,
}

impl<'a> Dispatcher<'a> {
    fn new(
        work: Work,
        to_me: UnboundedSender<(u64, Request)>,
        committer: Committer<Token>,
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
        let line = |model| Line::new(model, work.pace, now);
        Ok(Self {
            context: Arc::new(context),
            budget: Budget::new(work.budget, &work.store.spending()?),
            store: work.store,
            rows: Some(work.rows),
            lines: work.models.into_iter().map(|(name, model)| (name, line(model))).collect(),
            flights: Flights::default(),
            ledger: work.ledger,
            calls: JoinSet::new(),
            committer,
            to_me,
            observer,
            open_sessions: 0,
            next_session: 0,
            commits_pending: 0,
            is_proven: false,
            refused_from_start: 0,
            forbidden: 0,
            give_up_after: work.give_up_after,
            deadline: work.deadline.map(|deadline| (now + deadline.after, deadline.name)),
            gate_opens: None,
            stopping: None,
            drain_until: None,
            leave_now: false,
        })
    }

    /// As many conversations are open as calls may be in flight, and a few more, so that a slot never waits for
    /// a commit, a parse or a replay.
    fn admit(&mut self, sessions: &mut JoinSet<Result<ConversationEnd, WorkerError>>) -> Result<(), WorkerError> {
        let slots: usize = self.lines.values().map(|line| line.pace.limit()).sum();
        let window = slots + (slots / 4).max(4);
        while self.open_sessions < window && self.stopping.is_none() {
            let Some(row) = self.rows.as_mut().and_then(Iterator::next) else {
                self.rows = None;
                break;
            };
            let row = row.map_err(WorkerError::Order)?;
            let number = self.next_session;
            self.next_session += 1;
            self.open_sessions += 1;
            self.observer.on_event(&Event::Opened);
            sessions.spawn(session::lead(Arc::clone(&self.context), row, number, self.to_me.clone()));
        }
        Ok(())
    }

    /// Fills the free slots.
    fn send_calls(&mut self) -> Result<(), WorkerError> {
        self.gate_opens = None;
        if self.stopping.is_some() {
            return Ok(());
        }
        let now = Instant::now();
        self.send_probes(now);
        while let Some(fingerprint) = self.next_to_send(now)? {
            let Some(flight) = self.flights.sent(fingerprint) else { continue };
            let (question, attempt, worst) = (Arc::clone(&flight.question), flight.sent, flight.worst);
            let slot = self.ledger.as_mut().map(|ledger| {
                let (prompt_tokens, completion_tokens) = (worst.prompt_tokens, worst.output_tokens);
                ledger.begin(&Unsettled { fingerprint, prompt_tokens, completion_tokens })
            });
            self.call(Purpose::Question(fingerprint), question, attempt, slot);
        }
        Ok(())
    }

    /// Returns the most urgent question that may be sent now, its worst case set aside.
    fn next_to_send(&mut self, now: Instant) -> Result<Option<Fingerprint>, WorkerError> {
        // With one model, nothing behind the first may go where the first may not.
        let look_ahead = if self.lines.len() > 1 { LOOK_AHEAD } else { 1 };
        for fingerprint in self.flights.ready().take(look_ahead).collect::<Vec<_>>() {
            let Some(flight) = self.flights.get_mut(&fingerprint) else { continue };
            let name = flight.question.target.model();
            let line = self.lines.get_mut(name).ok_or_else(|| WorkerError::UnknownModel(name.to_owned()))?;
            let tokens = flight.worst.prompt_tokens / BYTES_PER_TOKEN + flight.worst.output_tokens;
            match line.gate(tokens, now) {
                Gate::Open => {}
                gate => {
                    if let Gate::Until(at) = gate {
                        self.gate_opens = Some(self.gate_opens.map_or(at, |earlier| earlier.min(at)));
                    }
                    continue;
                }
            }
            match self.budget.reserve(&flight.worst) {
                Grant::Granted => {
                    line.on_sent(&flight.question, tokens);
                    return Ok(Some(fingerprint));
                }
                Grant::Wait => return Ok(None),
                Grant::Exhausted(name) => {
                    self.stop(StopReason::Budget(format!("{name} is reached")));
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }

    /// Looks whether a server that is gone is back.
    fn send_probes(&mut self, now: Instant) {
        let due: Vec<_> =
            self.lines.iter_mut().filter(|(_, line)| line.probe_due().is_some_and(|at| at <= now)).collect();
        let mut probes = Vec::new();
        for (_, line) in due {
            if let Some(question) = line.probe() {
                line.is_probing = true;
                line.in_flight += 1;
                probes.push(question);
            }
        }
        for question in probes {
            self.call(Purpose::Probe, Arc::new(question), 1, None);
        }
    }

    fn call(&mut self, purpose: Purpose, question: Arc<Question>, attempt: u32, slot: Option<u64>) {
        let Some(line) = self.lines.get(question.target.model()) else { return };
        let model = Arc::clone(&line.model);
        if matches!(purpose, Purpose::Question(_)) {
            self.observer.on_event(&Event::Sent);
        }
        self.calls.spawn(async move {
            let sent_at = Instant::now();
            let reply = model.ask(&question, attempt).await;
            CallEnd { purpose, model: question.target.model().to_owned(), reply, sent_at, slot }
        });
    }

    fn is_done(&self) -> bool {
        let nothing_to_open = self.rows.is_none() || self.stopping.is_some();
        let has_calls = self.calls.len() > self.lines.values().filter(|line| line.is_probing).count();
        nothing_to_open && !has_calls && self.commits_pending == 0 && self.flights.is_empty()
    }

    fn next_wake(&self) -> Option<Instant> {
        let probes = self.lines.values().filter_map(Line::probe_due).min();
        let outages = self.lines.values().filter_map(|line| line.breaker.gone_since());
        let give_up = self.give_up_after.and_then(|limit| outages.map(|since| since + limit).min());
        let deadline = self.deadline.as_ref().map(|(at, _)| *at);
        let timers = [self.flights.next_wake(), self.gate_opens, probes, give_up, deadline];
        let timers = if self.stopping.is_some() { [None; 5] } else { timers };
        timers.into_iter().chain([self.drain_until]).flatten().min()
    }

    /// Does what is due.
    fn keep_time(&mut self) {
        let now = Instant::now();
        self.flights.wake(now);
        if self.drain_until.is_some_and(|until| until <= now) {
            self.leave_now = true;
        }
        if self.stopping.is_some() {
            return;
        }
        if let Some((_, name)) = self.deadline.as_ref().filter(|(at, _)| *at <= now) {
            let reason = StopReason::Budget(format!("{name} is reached"));
            self.stop(reason);
        }
        let gone = self.lines.values().filter_map(|line| line.breaker.gone_since()).min();
        if let Some((limit, since)) = self.give_up_after.zip(gone)
            && since + limit <= now
        {
            self.stop(StopReason::GaveUp(now - since));
        }
    }

    fn drain_requests(&mut self, requests: &mut UnboundedReceiver<(u64, Request)>) -> Result<(), WorkerError> {
        const AT_ONCE_MAX: usize = 256;
        for _ in 0..AT_ONCE_MAX {
            let Ok((number, request)) = requests.try_recv() else { break };
            self.on_request(number, request)?;
        }
        Ok(())
    }

    fn on_request(&mut self, number: u64, request: Request) -> Result<(), WorkerError> {
        match request {
            Request::TookStored { by_this_run } => {
                self.is_proven = true;
                self.observer.on_event(if by_this_run { &Event::Shared } else { &Event::Reused });
            }
            Request::Note { entries, reply_to } => {
                self.commits_pending += 1;
                self.committer.commit(entries, Token::Note(reply_to));
            }
            Request::Ask { fingerprint, question, conversation, reply_to } => {
                let slot = question.slot;
                if let Some(flight) = self.flights.get_mut(&fingerprint) {
                    flight.waiters.push((slot, reply_to));
                    return Ok(());
                }
                // Between the session's look and this message the answer may have been committed for another.
                if let Some(stored) = self.store.answer(&fingerprint)? {
                    self.observer.on_event(&Event::Shared);
                    let _ = reply_to.send(Reply::Answered { slot, fingerprint, answer: stored.answer, own: false });
                    return Ok(());
                }
                if self.stopping.is_some() {
                    let _ = reply_to.send(Reply::Stopping);
                    return Ok(());
                }
                let flight = Flight {
                    worst: self.budget.worst_case(&question),
                    question: Arc::new(question),
                    conversation,
                    priority: number,
                    waiters: vec![(slot, reply_to)],
                    sent: 0,
                    tries: Tries::default(),
                    answer: None,
                };
                self.flights.add(fingerprint, flight);
            }
        }
        Ok(())
    }

    fn on_session_end(
        &mut self,
        ended: Result<Result<ConversationEnd, WorkerError>, JoinError>,
    ) -> Result<(), WorkerError> {
        self.open_sessions -= 1;
        let end = ended.map_err(|error| WorkerError::Died(error.to_string()))??;
        self.observer.on_event(&Event::Closed(end));
        Ok(())
    }

    fn on_stop(&mut self, stage: Stage) {
        if stage != Stage::Go {
            // Who asks while the run is stopping for another reason does not want to wait for it.
            self.leave_now |= stage == Stage::Now || self.stopping.is_some();
            self.stop(StopReason::Asked);
        }
    }

    /// Begins to stop: nothing new is opened or sent, what is in flight may finish.
    pub(super) fn stop(&mut self, reason: StopReason) {
        if self.stopping.is_some() {
            return;
        }
        self.drain_until = Some(Instant::now() + DRAIN_MAX);
        self.observer.on_event(&Event::Stopping { reason: reason.to_string(), in_flight: self.calls.len() });
        self.stopping = Some(reason);
        self.flights.let_go_unsent();
    }
}
