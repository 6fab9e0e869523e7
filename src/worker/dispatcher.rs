use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::committer::Committer;
use super::event::{Event, Observer};
use super::session::{self, ConversationEnd, Reply, ReplySender, Request, SessionContext};
use super::stop::{DRAIN_MAX, Stage, StopReason};
use super::{Ended, RowOrder, Work, WorkerError};
use crate::conversation::{Answer, ConversationKey, Fingerprint, Question, Slot};
use crate::model::retry::{self, Verdict};
use crate::model::{Class, Failure, Model};
use crate::store::{Entry, Store};

/// A run whose first questions are all refused is stopped after this many: the request itself is wrong.
const REFUSALS_FROM_START_MAX: u32 = 20;

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
    let committer = Committer::start(Arc::clone(&work.store), acknowledge, |result| result)
        .map_err(|error| WorkerError::Died(error.to_string()))?;
    let mut sessions: JoinSet<Result<ConversationEnd, WorkerError>> = JoinSet::new();
    let mut dispatcher = Dispatcher::new(work, to_me, committer, observer);
    loop {
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
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => dispatcher.on_wake(),
        }
        if dispatcher.leave_now {
            break;
        }
    }
    Ok(dispatcher.stopping.map_or(Ended::Finished, Ended::Stopped))
}

/// What a call came to.
struct CallEnd {
    fingerprint: Fingerprint,
    result: Result<Answer, Failure>,
    latency: Duration,
}

/// Who is told about a commit.
enum Token {
    Answer(Fingerprint),
    Note(ReplySender),
}

/// A distinct question on its way from the first who asked to everyone who waits.
struct Flight {
    question: Arc<Question>,
    conversation: ConversationKey,
    /// The session that asked first; earlier sessions go first.
    priority: u64,
    waiters: Vec<(Slot, ReplySender)>,
    /// How often it was sent.
    sent: u32,
    /// How many of those count against it.
    counted: u32,
    /// Failures in a row, counted or not.
    streak: u32,
    answer: Option<(Arc<Answer>, Duration)>,
}

/// One model, and whether it is to be left alone for a while.
struct Line {
    model: Arc<dyn Model>,
    closed_until: Option<Instant>,
    /// Failed connections in a row.
    outages: u32,
    /// The one call that tries whether an outage is over.
    probe: Option<Fingerprint>,
}

struct Dispatcher<'a> {
    context: Arc<SessionContext>,
    store: Arc<dyn Store>,
    rows: Option<RowOrder>,
    lines: HashMap<String, Line>,
    flights: HashMap<Fingerprint, Flight>,
    /// Questions that may be sent now, those of the earliest session first.
    ready: BTreeSet<(u64, Fingerprint)>,
    /// Questions that wait for a time.
    waiting: BinaryHeap<Reverse<(Instant, Fingerprint)>>,
    calls: JoinSet<CallEnd>,
    committer: Committer<Token>,
    to_me: UnboundedSender<(u64, Request)>,
    observer: &'a mut dyn Observer,
    concurrency: usize,
    open_sessions: usize,
    next_session: u64,
    commits_pending: usize,
    answered: u64,
    refused_from_start: u32,
    stopping: Option<StopReason>,
    drain_until: Option<Instant>,
    leave_now: bool,
}

impl<'a> Dispatcher<'a> {
    fn new(
        work: Work,
        to_me: UnboundedSender<(u64, Request)>,
        committer: Committer<Token>,
        observer: &'a mut dyn Observer,
    ) -> Self {
        let context = SessionContext {
            recipe: work.recipe,
            store: Arc::clone(&work.store),
            seeds: work.seeds,
            run: work.run,
            retry_failed: work.retry_failed,
        };
        let line = |model| Line { model, closed_until: None, outages: 0, probe: None };
        Self {
            context: Arc::new(context),
            store: work.store,
            rows: Some(work.rows),
            lines: work.models.into_iter().map(|(name, model)| (name, line(model))).collect(),
            flights: HashMap::new(),
            ready: BTreeSet::new(),
            waiting: BinaryHeap::new(),
            calls: JoinSet::new(),
            committer,
            to_me,
            observer,
            concurrency: work.concurrency.max(1),
            open_sessions: 0,
            next_session: 0,
            commits_pending: 0,
            answered: 0,
            refused_from_start: 0,
            stopping: None,
            drain_until: None,
            leave_now: false,
        }
    }

    /// As many conversations are open as calls may be in flight, and a few more, so that a slot never waits for
    /// a commit, a parse or a replay.
    fn admit(&mut self, sessions: &mut JoinSet<Result<ConversationEnd, WorkerError>>) -> Result<(), WorkerError> {
        let window = self.concurrency + (self.concurrency / 4).max(4);
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
        if self.calls.len() >= self.concurrency || self.stopping.is_some() {
            return Ok(());
        }
        let now = Instant::now();
        let mut held_back = Vec::new();
        while self.calls.len() < self.concurrency {
            let Some((priority, fingerprint)) = self.ready.pop_first() else { break };
            let Some(flight) = self.flights.get_mut(&fingerprint) else { continue };
            let name = flight.question.target.model();
            let line = self.lines.get_mut(name).ok_or_else(|| WorkerError::UnknownModel(name.to_owned()))?;
            if line.closed_until.is_some_and(|until| until > now) || line.probe.is_some() {
                held_back.push((priority, fingerprint));
                // With one model nothing behind this one may go either.
                if self.lines.len() == 1 {
                    break;
                }
                continue;
            }
            if line.outages > 0 {
                line.probe = Some(fingerprint);
            }
            flight.sent += 1;
            let (model, question, attempt) = (Arc::clone(&line.model), Arc::clone(&flight.question), flight.sent);
            self.observer.on_event(&Event::Sent);
            self.calls.spawn(async move {
                let started = Instant::now();
                let result = model.ask(&question, attempt).await;
                CallEnd { fingerprint, result, latency: started.elapsed() }
            });
        }
        self.ready.extend(held_back);
        Ok(())
    }

    fn is_done(&self) -> bool {
        let nothing_to_open = self.rows.is_none() || self.stopping.is_some();
        nothing_to_open && self.calls.is_empty() && self.commits_pending == 0 && self.flights.is_empty()
    }

    fn next_wake(&self) -> Option<Instant> {
        let waiting = self.waiting.peek().map(|Reverse((at, _))| *at);
        let closed = self.lines.values().filter_map(|line| line.closed_until).min();
        let closed = closed.filter(|_| !self.ready.is_empty());
        [waiting, closed, self.drain_until].into_iter().flatten().min()
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
                    question: Arc::new(question),
                    conversation,
                    priority: number,
                    waiters: vec![(slot, reply_to)],
                    sent: 0,
                    counted: 0,
                    streak: 0,
                    answer: None,
                };
                self.flights.insert(fingerprint, flight);
                self.ready.insert((number, fingerprint));
            }
        }
        Ok(())
    }

    fn on_call_end(&mut self, ended: Result<CallEnd, JoinError>) -> Result<(), WorkerError> {
        let CallEnd { fingerprint, result, latency } = ended.map_err(|error| WorkerError::Died(error.to_string()))?;
        let Some(flight) = self.flights.get_mut(&fingerprint) else { return Ok(()) };
        let name = flight.question.target.model().to_owned();
        if let Some(line) = self.lines.get_mut(&name) {
            line.probe = line.probe.filter(|probe| *probe != fingerprint);
            let answered = !matches!(&result, Err(failure) if failure.class == Class::Outage);
            if answered && std::mem::take(&mut line.outages) > 0 {
                line.closed_until = None;
                self.observer.on_event(&Event::Recovered { model: name.clone() });
            }
        }
        match result {
            Ok(answer) => self.on_answer(fingerprint, name, answer, latency),
            Err(failure) => self.on_failure(fingerprint, &name, failure),
        }
        Ok(())
    }

    fn on_answer(&mut self, fingerprint: Fingerprint, model: String, answer: Answer, latency: Duration) {
        let Some(flight) = self.flights.get_mut(&fingerprint) else { return };
        self.answered += 1;
        let answer = Arc::new(answer);
        flight.answer = Some((Arc::clone(&answer), latency));
        let entry = Entry::Answered {
            run: self.context.run,
            conversation: flight.conversation,
            slot: flight.question.slot,
            fingerprint,
            model,
            answer,
        };
        self.commits_pending += 1;
        self.committer.commit(vec![entry], Token::Answer(fingerprint));
    }

    fn on_failure(&mut self, fingerprint: Fingerprint, model: &str, failure: Failure) {
        let Some(flight) = self.flights.get_mut(&fingerprint) else { return };
        flight.streak += 1;
        let verdict = retry::decide(&failure, flight.counted + 1, flight.streak, &fingerprint);
        let again_after = match &verdict {
            Verdict::Again { after, .. } => Some(*after),
            Verdict::GiveUp | Verdict::StopRun => None,
        };
        self.observer.on_event(&Event::Failed {
            class: failure.class,
            code: failure.code.clone(),
            message: failure.message.clone(),
            again_after,
        });
        match verdict {
            Verdict::Again { after, counted } => {
                flight.counted += u32::from(counted);
                let after = self.close_line(model, &failure).unwrap_or(after);
                self.wait_or_let_go(fingerprint, after);
            }
            Verdict::GiveUp => {
                self.give_up(fingerprint, &failure);
                if failure.class == Class::NeverThisQuestion && self.answered == 0 {
                    self.refused_from_start += 1;
                    if self.refused_from_start == REFUSALS_FROM_START_MAX {
                        self.stop(StopReason::Refused(failure));
                    }
                }
            }
            Verdict::StopRun => {
                self.let_go(fingerprint);
                self.stop(StopReason::Refused(failure));
            }
        }
    }

    /// Keeps a model alone for as long as it asks for, or as an outage lasts. Returns how long.
    fn close_line(&mut self, model: &str, failure: &Failure) -> Option<Duration> {
        let line = self.lines.get_mut(model)?;
        let now = Instant::now();
        match failure.class {
            Class::RateLimited => {
                let until = now + failure.retry_after?;
                line.closed_until = line.closed_until.max(Some(until));
                Some(until - now)
            }
            Class::Outage => {
                // The calls that were in flight together fail together; that is one outage.
                if line.closed_until.is_none_or(|until| until <= now) {
                    line.outages += 1;
                    let next_try = outage_wait(line.outages);
                    line.closed_until = Some(now + next_try);
                    let (model, message) = (model.to_owned(), failure.message.clone());
                    self.observer.on_event(&Event::Parked { model, message, next_try });
                }
                Some(Duration::ZERO)
            }
            _ => None,
        }
    }

    fn wait_or_let_go(&mut self, fingerprint: Fingerprint, after: Duration) {
        if self.stopping.is_some() {
            self.let_go(fingerprint);
        } else if after.is_zero() {
            let priority = self.flights.get(&fingerprint).map_or(0, |flight| flight.priority);
            self.ready.insert((priority, fingerprint));
        } else {
            self.waiting.push(Reverse((Instant::now() + after, fingerprint)));
        }
    }

    fn give_up(&mut self, fingerprint: Fingerprint, failure: &Failure) {
        let Some(flight) = self.flights.remove(&fingerprint) else { return };
        let permanent = failure.class == Class::NeverThisQuestion;
        for (slot, reply_to) in flight.waiters {
            let _ = reply_to.send(Reply::Failed { slot, reason: failure.to_string(), permanent });
        }
    }

    /// Sends the sessions that wait for a question home.
    fn let_go(&mut self, fingerprint: Fingerprint) {
        let Some(flight) = self.flights.remove(&fingerprint) else { return };
        for (_, reply_to) in flight.waiters {
            let _ = reply_to.send(Reply::Stopping);
        }
    }

    fn on_committed(&mut self, tokens: Vec<Token>) {
        self.commits_pending -= tokens.len();
        for token in tokens {
            match token {
                Token::Note(reply_to) => drop(reply_to.send(Reply::Noted)),
                Token::Answer(fingerprint) => self.deliver(fingerprint),
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

    fn on_session_end(
        &mut self,
        ended: Result<Result<ConversationEnd, WorkerError>, JoinError>,
    ) -> Result<(), WorkerError> {
        self.open_sessions -= 1;
        let end = ended.map_err(|error| WorkerError::Died(error.to_string()))??;
        self.observer.on_event(&Event::Closed(end));
        Ok(())
    }

    fn on_wake(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((at, fingerprint))) = self.waiting.peek().copied() {
            if at > now {
                break;
            }
            self.waiting.pop();
            self.wait_or_let_go(fingerprint, Duration::ZERO);
        }
        for line in self.lines.values_mut() {
            line.closed_until = line.closed_until.filter(|until| *until > now);
        }
        if self.drain_until.is_some_and(|until| until <= now) {
            self.leave_now = true;
        }
    }

    fn on_stop(&mut self, stage: Stage) {
        match stage {
            Stage::Go => {}
            Stage::Drain => self.stop(StopReason::Asked),
            Stage::Now => {
                self.stop(StopReason::Asked);
                self.leave_now = true;
            }
        }
    }

    /// Begins to stop: nothing new is opened or sent, what is in flight may finish.
    fn stop(&mut self, reason: StopReason) {
        if self.stopping.is_some() {
            return;
        }
        self.drain_until = Some(Instant::now() + DRAIN_MAX);
        let words = match &reason {
            StopReason::Asked => "stopping as asked".to_owned(),
            StopReason::Refused(failure) => failure.to_string(),
        };
        self.observer.on_event(&Event::Stopping { reason: words, in_flight: self.calls.len() });
        self.stopping = Some(reason);
        let unsent = std::mem::take(&mut self.ready).into_iter().map(|(_, fingerprint)| fingerprint);
        let waiting = std::mem::take(&mut self.waiting).into_iter().map(|Reverse((_, fingerprint))| fingerprint);
        for fingerprint in unsent.chain(waiting).collect::<Vec<_>>() {
            self.let_go(fingerprint);
        }
    }
}

/// How long to leave a server alone after its `outages`-th failed connection in a row.
fn outage_wait(outages: u32) -> Duration {
    const WAIT_MAX: Duration = Duration::from_secs(60);
    Duration::from_secs(1).saturating_mul(1 << outages.saturating_sub(1).min(8)).min(WAIT_MAX)
}
