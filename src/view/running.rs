//! The run that is at work on a store: what its socket says, and what is asked of it. Without one, how the last run ended.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use crate::job::{ControlClient, JobError, LoggedRun, RunHistory, RunState, Verb, keep_limits};

/// How long a reply is good for: many pages ask as often as one.
const FRESH: Duration = Duration::from_millis(900);

/// The run of a store.
pub struct Running {
    store: PathBuf,
    known: Mutex<Known>,
    /// Held while the run is asked, so that one that does not reply keeps one request waiting and no more.
    asking: Mutex<()>,
}

#[derive(Default)]
struct Known {
    shown: ShownRun,
    asked: Option<Instant>,
}

/// A run as the page shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ShownRun {
    /// What the run at work says of itself, as `cohobate ctl status --json` prints it; nothing without one.
    pub status: Option<Value>,
    /// Why a run that may be at work cannot be asked.
    pub problem: Option<String>,
    /// How the last run ended, where none is at work.
    pub last: Option<Value>,
}

impl Running {
    /// The run of this store.
    pub fn of(store: &Path) -> Self {
        Self { store: store.to_owned(), known: Mutex::default(), asking: Mutex::default() }
    }

    /// Returns how the run is. It is asked over its socket, so nothing of the store is read.
    pub fn shown(&self) -> ShownRun {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let known = known();
            if known.asked.is_some_and(|asked| asked.elapsed() < FRESH) {
                return known.shown.clone();
            }
        }
        let Ok(_asking) = self.asking.try_lock() else { return known().shown.clone() };
        let shown = self.ask();
        *known() = Known { shown: shown.clone(), asked: Some(Instant::now()) };
        shown
    }

    /// Asks something of the run; returns what it says and how it is then. Limits are kept for later runs where none is at work.
    pub fn steer(&self, verb: &Verb) -> Result<Value, JobError> {
        let reply = match (ControlClient::connect(&self.store)?, verb) {
            (_, Verb::Tail) => return Err(JobError::usage("the page follows the run by itself", "ask for the status")),
            (Some(mut run), verb) => run.ask(verb)?,
            (None, Verb::Set(limits)) => {
                keep_limits(&self.store, limits)?;
                json!({"said": format!("{verb}: no run is at work; kept for later runs"), "status": null})
            }
            (None, _) => {
                return Err(JobError::usage("no run is at work on this store", "start one; the page follows it"));
            }
        };
        // What the page asks for next is what holds from now on.
        self.known.lock().unwrap_or_else(PoisonError::into_inner).asked = None;
        Ok(reply)
    }

    fn ask(&self) -> ShownRun {
        let reply = ControlClient::connect(&self.store).and_then(|run| match run {
            Some(mut run) => run.ask(&Verb::Status).map(Some),
            None => Ok(None),
        });
        match reply {
            Ok(Some(mut reply)) => ShownRun { status: Some(reply["status"].take()), ..ShownRun::default() },
            Ok(None) => ShownRun { last: self.last(), ..ShownRun::default() },
            Err(error) => ShownRun { problem: Some(error.to_string()), last: self.last(), ..ShownRun::default() },
        }
    }

    /// Returns how the last run ended. The log is small whatever the store holds.
    fn last(&self) -> Option<Value> {
        let LoggedRun { run, begin, state, progress, failed_calls, .. } =
            RunHistory::read(&self.store, 0).runs.pop()?;
        let (state, reason, progress) = match state {
            RunState::Ended { end, .. } => (end.how.to_string(), end.reason, end.progress),
            RunState::Running => ("at work".to_owned(), String::new(), progress),
            RunState::Killed => ("killed".to_owned(), String::new(), progress),
            RunState::Unknown => ("not known".to_owned(), String::new(), progress),
        };
        Some(json!({
            "run": run, "command": begin.command, "state": state, "reason": reason,
            "answers": progress.answers, "cost": progress.cost, "failed_calls": failed_calls.max(progress.failed_calls),
        }))
    }
}
