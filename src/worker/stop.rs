use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::Failure;

/// Time limit for calls in flight once a run is stopping.
pub const DRAIN_MAX: Duration = Duration::from_secs(60);

/// The time limit of a run. The last minute of it, at most its second half, is for calls in flight.
#[derive(Clone, Debug)]
pub struct Deadline {
    /// The time from the start of the run.
    pub after: Duration,
    /// The option that sets it.
    pub name: String,
}

/// The moments of a deadline. The wait for calls in flight is inside the time limit: a scheduler kills at its end.
#[derive(Debug)]
pub(super) struct Due {
    /// Nothing more is sent from here on.
    pub stop: Instant,
    /// Nothing is waited for any longer.
    pub end: Instant,
    /// The option that sets it.
    pub name: String,
}

impl Due {
    /// Returns the moments of a deadline of a run that begins now, `None` for one that the clock cannot reach. At least half of
    /// the time is for sending.
    pub fn of(deadline: Deadline, now: Instant) -> Option<Self> {
        let Deadline { after, name } = deadline;
        let end = now.checked_add(after)?;
        Some(Self { stop: end - DRAIN_MAX.min(after / 2), end, name })
    }
}

/// The urgency of a stop request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopStage {
    /// No stop is requested.
    #[default]
    Go,
    /// Opens nothing more; calls in flight finish and are committed.
    Drain,
    /// Stops at once; calls in flight are lost.
    Now,
}

/// Why a run stopped early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunStop {
    /// A stop was requested.
    Requested,
    /// The server refuses every request of the run, or the account has no credit. Nothing is recorded as failed.
    Refused {
        /// The model whose server refuses.
        model: String,
        /// The failure.
        failure: Failure,
        /// True if the server had answered a question of this run before.
        after_answers: bool,
    },
    /// A cap on cost, tokens, requests or time is reached.
    Budget(String),
    /// A server was down for longer than the limit.
    GaveUp(Duration),
    /// The file system has lost an input; why.
    InputLost(String),
    /// A server that had answered refused everything, probes included, for longer than the limit.
    RefusedFor {
        /// The model whose server refuses.
        model: String,
        /// The last refusal.
        failure: Failure,
        /// For how long.
        time: Duration,
    },
}

impl fmt::Display for RunStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunStop::Requested => f.write_str("stop requested"),
            RunStop::Refused { failure, .. } => failure.fmt(f),
            RunStop::Budget(cap) => f.write_str(cap),
            RunStop::InputLost(reason) => f.write_str(reason),
            RunStop::RefusedFor { failure, time, .. } => {
                write!(f, "the server has refused every request for {} s: {failure}", time.as_secs())
            }
            RunStop::GaveUp(gone) => write!(f, "the server has not answered for {} s", gone.as_secs()),
        }
    }
}
