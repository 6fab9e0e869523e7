use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::history::{RunHistory, RunState};
use super::inputs::{InputHashing, SeenInput};
use super::line::{EndKind, LogBegin, LogEnd, LogEvent, LogLine, LogModel, LogProgress, LogTime, VERSION};
use super::masking::{Masking, TEXT_BYTES_MAX};
use super::presence::Presence;
use super::rotation::RotatedFile;
use super::{CALLS, FOLDER, PROGRESS, RUNS};
use crate::files::{Owner, create_directories};
use crate::job::Keys;
use crate::report::Tally;

/// Events that wait to be written. A further one is dropped and counted.
const QUEUE_MAX: usize = 1_024;
/// Events before a run that are kept for its log.
const PENDING_MAX: usize = 32;
/// How often progress is written, where there is any.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);
/// How long the end of a run waits for its log, at most.
const END_WAIT_MAX: Duration = Duration::from_secs(2);

/// What was called: told by whoever calls a job, because a job does not know its command line.
#[derive(Clone, Debug, Default)]
pub struct Invocation {
    /// The command.
    pub command: String,
    /// The options that were set, by name.
    pub options: BTreeMap<String, Value>,
    /// Keys, which are masked wherever they are quoted.
    pub keys: Keys,
}

/// Writes the log of one run. Clones write the same one.
///
/// A job begins it when it opens its store; until then, and in jobs that send no call, nothing is written. Whoever calls the
/// job ends it, because only the caller knows the exit code; else it ends when the last clone is dropped.
#[derive(Clone, Debug, Default)]
pub struct RunLog(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    counts: Arc<Counts>,
}

/// What the thread of the log looks at.
#[derive(Debug, Default)]
struct Counts {
    progress: Mutex<LogProgress>,
    /// Events that found the queue full.
    dropped: AtomicU64,
}

impl Counts {
    fn progress(&self) -> MutexGuard<'_, LogProgress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct State {
    invocation: Invocation,
    pending: Vec<(LogTime, LogEvent)>,
    open: Option<Open>,
    inputs: Vec<SeenInput>,
    /// What the command's earlier runs of the worker came to.
    before: LogProgress,
    outcome: Option<(EndKind, String)>,
}

#[derive(Debug)]
struct Open {
    sender: SyncSender<Message>,
    hashing: Option<InputHashing>,
    store: PathBuf,
    done: Receiver<()>,
}

type Message = (LogTime, LogEvent);

impl RunLog {
    /// The log of a call of this.
    pub fn of(invocation: Invocation) -> Self {
        let log = Self::default();
        log.state().invocation = invocation;
        log
    }

    /// Tells what the command line and the configuration file set together, with the right types, and the keys. The teacher
    /// of the file does not take the place of the command line's.
    pub fn describe(&self, options: impl IntoIterator<Item = (String, Value)>, keys: Keys) {
        let mut state = self.state();
        let known = &mut state.invocation.options;
        for (name, value) in options {
            if name != "teacher" || !known.contains_key(&name) {
                known.insert(name, value);
            }
        }
        state.invocation.keys = keys;
    }

    /// Writes an event, if a run has begun. Never waits.
    pub fn record(&self, event: LogEvent) {
        let mut state = self.state();
        match &state.open {
            Some(open) => self.0.send(open, event),
            None if state.pending.len() < PENDING_MAX => state.pending.push((LogTime::now(), event)),
            None => {}
        }
    }

    /// Ends the log. `failure` says which error ended the run, if one did. Waits for a moment until it is written.
    pub fn end(&self, exit_code: Option<u8>, failure: Option<&str>) {
        self.0.end(exit_code, failure);
    }

    /// Begins the log of a run. `next_run` is the number that the store's next run gets.
    pub(in crate::job) fn begin(&self, store: &Path, next_run: u32, models: Vec<LogModel>) {
        // A caller may use one context for several jobs.
        self.0.end(None, None);
        let mut state = self.state();
        let masking = Masking::of(&state.invocation.keys);
        let begin = LogEvent::Begin(Box::new(begin(&state.invocation, models, &masking)));
        let (sender, receiver) = sync_channel(QUEUE_MAX);
        let (done, is_done) = channel();
        let (counts, path) = (Arc::clone(&self.0.counts), store.to_owned());
        let thread = std::thread::Builder::new().name("run-log".to_owned()).spawn(move || {
            Writer::new(&path, masking).write_all(next_run, &receiver, &counts);
            drop(done);
        });
        if thread.is_err() {
            return;
        }
        let open = Open { sender, hashing: None, store: store.to_owned(), done: is_done };
        self.0.send(&open, begin);
        for (time, event) in std::mem::take(&mut state.pending) {
            let _ = open.sender.try_send((time, event));
        }
        (state.before, state.outcome, *self.0.counts.progress()) = Default::default();
        state.open = Some(open);
    }

    /// Notes an input, whose bytes are hashed while the run is at work.
    pub(in crate::job) fn saw_input(&self, input: SeenInput) {
        let mut state = self.state();
        if state.open.is_some() {
            state.inputs.push(input);
        }
    }

    /// The first call may be sent from now on.
    pub(in crate::job) fn asking(&self, store_run: u32, tally: &Tally) {
        let mut state = self.state();
        state.before = self.0.counts.progress().clone();
        let inputs = std::mem::take(&mut state.inputs);
        let totals = tally.totals;
        if let Some(open) = &mut state.open {
            let (conversations, turns) = (totals.conversations, totals.turns);
            self.0.send(open, LogEvent::Asking { store_run, conversations, turns });
            if !inputs.is_empty() && open.hashing.is_none() {
                let sender = open.sender.clone();
                let record = move |input| drop(sender.send((LogTime::now(), LogEvent::Input(input))));
                open.hashing = InputHashing::begin(inputs, open.store.clone(), record);
            }
        }
        drop(state);
        self.progressed(tally);
    }

    /// Notes how far the run has come.
    pub(in crate::job) fn progressed(&self, tally: &Tally) {
        let state = self.state();
        let before = &state.before;
        *self.0.counts.progress() = LogProgress {
            turns: before.turns + tally.totals.turns,
            done: before.done + tally.done(),
            answers: before.answers + tally.answered,
            calls: before.calls + tally.sent,
            failed_calls: before.failed_calls + tally.failure_count(),
            cost: before.cost + tally.cost,
            answers_per_s: answers_per_second(tally).unwrap_or(before.answers_per_s),
        };
    }

    /// Notes how the worker's run ended, for the end of the log.
    pub(in crate::job) fn note_outcome(&self, how: EndKind, reason: String) {
        self.state().outcome = Some((how, reason));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state()
    }
}

/// Returns how many answers a run pays for in a second; nothing before it has some that count.
fn answers_per_second(tally: &Tally) -> Option<f64> {
    let counted = tally.rates.rates(Instant::now()).counted;
    (tally.counted > 0).then(|| counted * tally.answered as f64 / tally.counted as f64)
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, open: &Open, event: LogEvent) {
        if let Err(TrySendError::Full(_)) = open.sender.try_send((LogTime::now(), event)) {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn end(&self, exit_code: Option<u8>, failure: Option<&str>) {
        let mut state = self.state();
        let Some(mut open) = state.open.take() else { return };
        let inputs = std::mem::take(&mut state.inputs);
        let (how, reason) = match (failure, state.outcome.take()) {
            (Some(failure), _) => (EndKind::Failed, failure.to_owned()),
            (None, Some(outcome)) => outcome,
            (None, None) => (EndKind::Failed, "it ended before it asked".to_owned()),
        };
        let end = LogEvent::End(LogEnd { how, reason, exit_code, progress: self.counts.progress().clone() });
        drop(state);
        let deadline = Instant::now() + END_WAIT_MAX;
        // Inputs of a run that never asked are recorded without a hash.
        for input in inputs {
            self.send(&open, LogEvent::Input(input.unhashed()));
        }
        if let Some(hashing) = open.hashing.take() {
            hashing.finish();
        }
        let mut message = (LogTime::now(), end);
        while let Err(TrySendError::Full(back)) = open.sender.try_send(message) {
            if Instant::now() > deadline {
                return;
            }
            message = back;
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(open.sender);
        let _ = open.done.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.end(None, None);
    }
}

fn begin(invocation: &Invocation, models: Vec<LogModel>, masking: &Masking) -> LogBegin {
    let altered = |(name, value): (&String, &Value)| {
        let is_long = value.to_string().len() > TEXT_BYTES_MAX;
        (is_long || masking.value(value.clone()) != *value).then(|| name.clone())
    };
    let directory = Path::new(".").canonicalize().unwrap_or_default();
    let owner = Owner::this();
    LogBegin {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        command: invocation.command.clone(),
        altered: invocation.options.iter().filter_map(altered).collect(),
        options: invocation.options.clone(),
        directory: directory.to_string_lossy().into_owned(),
        models,
        host: owner.host().to_owned(),
        pid: std::process::id(),
    }
}

/// The files, on the thread of the log.
struct Writer {
    store: PathBuf,
    folder: PathBuf,
    run: u32,
    /// Of runs, of calls and of progress.
    files: [RotatedFile; 3],
    masking: Masking,
    /// Events that could not be written.
    lost: u64,
}

impl Writer {
    fn new(store: &Path, masking: Masking) -> Self {
        let folder = store.join(FOLDER);
        let file = |(name, bytes_max): (&str, u64)| RotatedFile::new(folder.join(name), bytes_max);
        let files = [RUNS, CALLS, PROGRESS].map(file);
        Self { store: store.to_owned(), folder, run: 0, files, masking, lost: 0 }
    }

    /// Writes all that arrives until the end.
    fn write_all(mut self, next_run: u32, messages: &Receiver<Message>, counts: &Counts) {
        let _ = create_directories(&self.folder, false);
        let _presence = Presence::begin(&self.folder);
        let earlier = RunHistory::read(&self.store, 0);
        let last = earlier.runs.iter().map(|run| run.run).max().unwrap_or(0);
        for run in earlier.runs.into_iter().filter(|run| !matches!(run.state, RunState::Ended { .. })) {
            let reason = format!("it wrote no end; its last record is of {}", run.last);
            let end = LogEnd { how: EndKind::Killed, reason, exit_code: None, progress: run.progress };
            self.run = run.run;
            self.write(vec![(LogTime::now(), LogEvent::End(end))]);
        }
        self.run = last.saturating_add(1).max(next_run);
        let mut written = LogProgress::default();
        let mut next_progress = Instant::now() + PROGRESS_EVERY;
        loop {
            let mut batch = Vec::new();
            match messages.recv_timeout(next_progress.saturating_duration_since(Instant::now())) {
                Ok(message) => batch.push(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            batch.extend(messages.try_iter().take(QUEUE_MAX));
            let is_end = batch.iter().any(|(_, event)| matches!(event, LogEvent::End(_)));
            if is_end || Instant::now() >= next_progress {
                next_progress = Instant::now() + PROGRESS_EVERY;
                let now = counts.progress().clone();
                let dropped = counts.dropped.swap(0, Ordering::Relaxed) + std::mem::take(&mut self.lost);
                let at = if is_end { 0 } else { batch.len() };
                if dropped > 0 {
                    batch.insert(at, (LogTime::now(), LogEvent::Dropped { count: dropped }));
                }
                if !is_end && now != written {
                    batch.push((LogTime::now(), LogEvent::Progress(now.clone())));
                    written = now;
                }
            }
            self.write(batch);
            if is_end {
                return;
            }
        }
    }

    fn write(&mut self, messages: Vec<Message>) {
        let mut lines: [Lines; 3] = Default::default();
        for (time, event) in messages {
            let lines = match &event {
                LogEvent::FailedCall { .. } | LogEvent::Concurrency { .. } => &mut lines[1],
                LogEvent::Progress(_) => &mut lines[2],
                _ => &mut lines[0],
            };
            let line = LogLine { v: VERSION, time, run: self.run, event };
            match serde_json::to_value(line).ok().and_then(|line| self.masking.line(line)) {
                Some(line) => lines.add(&line),
                None => self.lost += 1,
            }
        }
        for (file, lines) in self.files.iter_mut().zip(lines) {
            // The folder may have been deleted.
            let written = match lines.count {
                0 => Ok(()),
                _ => file.append(&lines.bytes).or_else(|error| {
                    if error.kind() != io::ErrorKind::NotFound {
                        return Err(error);
                    }
                    create_directories(&self.folder, false)?;
                    file.append(&lines.bytes)
                }),
            };
            if written.is_err() {
                self.lost += lines.count;
            }
        }
    }
}

/// Lines of one file.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    count: u64,
}

impl Lines {
    fn add(&mut self, line: &str) {
        self.bytes.extend_from_slice(line.as_bytes());
        self.count += 1;
    }
}
