use std::fmt;
use std::time::Duration;

use crate::model::Failure;

/// How long calls in flight may take to finish once a run is stopping.
pub const DRAIN_MAX: Duration = Duration::from_secs(60);

/// How urgently the person wants the run to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopStage {
    /// Not at all.
    #[default]
    Go,
    /// Admit nothing more, let what is in flight finish and commit.
    Drain,
    /// Leave at once; what is in flight is lost.
    Now,
}

/// Why a run stopped early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunStop {
    /// The person asked for it.
    Requested,
    /// Every further question would have failed the same way.
    Refused {
        /// Who refuses.
        model: String,
        /// What was said.
        failure: Failure,
    },
    /// A cap on spending or time is reached.
    Budget(String),
    /// A server was gone for longer than the run was to wait.
    GaveUp(Duration),
}

impl fmt::Display for RunStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunStop::Requested => f.write_str("as asked"),
            RunStop::Refused { failure, .. } => failure.fmt(f),
            RunStop::Budget(cap) => f.write_str(cap),
            RunStop::GaveUp(gone) => write!(f, "the server has not answered for {} s", gone.as_secs()),
        }
    }
}
