use std::collections::VecDeque;
use std::path::Path;

use super::line::{EndKind, LogBegin, LogEnd, LogEvent, LogInput, LogLine, LogProgress, LogTime};
use super::presence::{Alive, look};
use super::rotation::each_line;
use super::{CALLS, FOLDER, PROGRESS, RUNS};

/// The runs of a store, as its log tells them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunHistory {
    /// The runs, oldest first. The log is bounded: the first runs of an old store may be missing.
    pub runs: Vec<LoggedRun>,
    /// The last failed calls of all runs, newest last.
    pub failed_calls: VecDeque<FailedCall>,
    /// Lines that cannot be read.
    pub unreadable: u64,
}

/// A run of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedRun {
    /// Its number.
    pub run: u32,
    /// When it began.
    pub begun: LogTime,
    /// When it wrote last.
    pub last: LogTime,
    /// How it began.
    pub begin: LogBegin,
    /// Its inputs.
    pub inputs: Vec<LogInput>,
    /// The numbers of its runs in the store.
    pub store_runs: Vec<u32>,
    /// How far it has come.
    pub progress: LogProgress,
    /// Failed calls in the log.
    pub failed_calls: u64,
    /// Outages.
    pub outages: u64,
    /// The last of its events that are neither failed calls nor progress, newest last.
    pub events: VecDeque<(LogTime, LogEvent)>,
    /// Events that the log lacks.
    pub dropped: u64,
    /// Whether it is over, and how it ended.
    pub state: RunState,
}

/// Whether a run is over.
#[derive(Clone, Debug, PartialEq)]
pub enum RunState {
    /// It is at work.
    Running,
    /// It ended.
    Ended {
        /// When.
        time: LogTime,
        /// How.
        end: LogEnd,
    },
    /// It wrote no end, and it is gone: it was killed, some time after its last line.
    Killed,
    /// It wrote no end, and it cannot be told from here whether it is at work.
    Unknown,
}

/// A failed call of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCall {
    /// When it failed.
    pub time: LogTime,
    /// The number of its run.
    pub run: u32,
    /// The model.
    pub model: String,
    /// The server's address.
    pub address: Option<String>,
    /// What kind of failure.
    pub code: String,
    /// What the server said.
    pub message: String,
}

/// Events of one run that are kept in memory.
const EVENTS_MAX: usize = 100;

impl RunHistory {
    /// Reads the log of the store in `store`, with at most `failed_calls_max` failed calls. A store without a log has no
    /// runs. Nothing is locked or written.
    pub fn read(store: &Path, failed_calls_max: usize) -> Self {
        let folder = store.join(FOLDER);
        // Before the files: a run that ends in between has written its end.
        let alive = look(&folder);
        let mut history = Self::default();
        for (name, bytes_max) in [RUNS, CALLS, PROGRESS] {
            each_line(&folder.join(name), bytes_max, |line| match serde_json::from_slice(line) {
                Ok(line) => history.take(line, failed_calls_max),
                Err(_) => history.unreadable += 1,
            });
        }
        // And after them: a run that began in between has taken its lock before its first line.
        let alive = if alive == Alive::No { look(&folder) } else { alive };
        let count = history.runs.len();
        for (index, run) in history.runs.iter_mut().enumerate() {
            if run.state == RunState::Unknown {
                run.state = match alive {
                    Alive::Yes if index + 1 == count => RunState::Running,
                    Alive::Unknown if index + 1 == count => RunState::Unknown,
                    _ => RunState::Killed,
                };
            }
        }
        history
    }

    /// Returns the last run of a command.
    pub fn last_of(&self, command: &str) -> Option<&LoggedRun> {
        self.runs.iter().rev().find(|run| run.begin.command == command)
    }

    fn take(&mut self, line: LogLine, failed_calls_max: usize) {
        let LogLine { time, run: number, event, .. } = line;
        if let LogEvent::Begin(begin) = event {
            self.runs.push(LoggedRun::begun(number, time, *begin));
            return;
        }
        if let LogEvent::FailedCall { model, address, code, message, .. } = &event {
            let (model, address, code, message) = (model.clone(), address.clone(), code.clone(), message.clone());
            self.failed_calls.push_back(FailedCall { time, run: number, model, address, code, message });
            if self.failed_calls.len() > failed_calls_max {
                self.failed_calls.pop_front();
            }
        }
        if let Some(run) = self.runs.iter_mut().rev().find(|run| run.run == number) {
            run.take(time, event);
        }
    }
}

impl LoggedRun {
    fn wrote_its_end(&self) -> bool {
        matches!(&self.state, RunState::Ended { end, .. } if end.how != EndKind::Killed)
    }

    fn begun(run: u32, time: LogTime, begin: LogBegin) -> Self {
        Self {
            run,
            begun: time,
            last: time,
            begin,
            inputs: Vec::new(),
            store_runs: Vec::new(),
            progress: LogProgress::default(),
            failed_calls: 0,
            outages: 0,
            events: VecDeque::new(),
            dropped: 0,
            state: RunState::Unknown,
        }
    }

    fn take(&mut self, time: LogTime, event: LogEvent) {
        // The end of a run that was killed is written later, by the next one.
        let is_own = !matches!(&event, LogEvent::End(LogEnd { how: EndKind::Killed, .. }));
        if is_own {
            self.last = self.last.max(time);
        }
        match event {
            LogEvent::Input(input) => self.inputs.push(input),
            LogEvent::Asking { store_run, turns, .. } => {
                self.store_runs.push(store_run);
                self.progress.turns += turns;
            }
            // An end holds the last progress, but for a killed run's: another run wrote that.
            LogEvent::Progress(progress) if !self.wrote_its_end() => self.progress = progress,
            LogEvent::FailedCall { .. } => self.failed_calls += 1,
            LogEvent::Dropped { count } => self.dropped += count,
            LogEvent::End(end) => {
                if is_own {
                    self.progress = end.progress.clone();
                }
                self.state = RunState::Ended { time, end };
            }
            LogEvent::Begin(_) | LogEvent::Progress(_) => {}
            event => {
                self.outages += u64::from(matches!(event, LogEvent::OutageBegin { .. }));
                self.events.push_back((time, event));
                if self.events.len() > EVENTS_MAX {
                    self.events.pop_front();
                }
            }
        }
    }
}
