use std::time::Duration;

use crate::model::Failure;

/// How long calls in flight may take to finish once a run is stopping.
pub const DRAIN_MAX: Duration = Duration::from_secs(60);

/// How urgently the person wants the run to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
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
pub enum StopReason {
    /// The person asked for it.
    Asked,
    /// Every further question would have failed the same way.
    Refused(Failure),
}
