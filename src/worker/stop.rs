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
    /// The database of a shared store refuses; why.
    SharedStore(String),
    /// All is asked, and another worker of the shared run writes the output; where.
    WrittenElsewhere(String),
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
            RunStop::InputLost(reason) | RunStop::SharedStore(reason) => f.write_str(reason),
            RunStop::RefusedFor { failure, time, .. } => {
                write!(f, "the server has refused every request for {} s: {failure}", time.as_secs())
            }
            RunStop::WrittenElsewhere(place) => write!(f, "all is asked; another worker writes the output: {place}"),
            RunStop::GaveUp(gone) => write!(f, "the server has not answered for {} s", gone.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_minute_of_a_limit_and_at_most_its_half_is_for_calls_in_flight() {
        let now = Instant::now();
        let due = |seconds| {
            let deadline = Deadline { after: Duration::from_secs(seconds), name: "--max-time".to_owned() };
            let due = Due::of(deadline, now)?;
            Some(((due.stop - now).as_secs(), (due.end - now).as_secs(), due.name))
        };
        let name = || "--max-time".to_owned();
        assert_eq!(due(600), Some((540, 600, name())));
        assert_eq!((due(120), due(119)), (Some((60, 120, name())), Some((59, 119, name()))));
        assert_eq!((due(10), due(u64::MAX)), (Some((5, 10, name())), None));
    }

    #[test]
    fn each_reason_to_stop_is_said() {
        use crate::conversation::FailureCode;
        use crate::model::FailureClass;
        let failure = Failure::new(FailureClass::Refused, FailureCode::Http(400), "no");
        let said = failure.to_string();
        let (model, time) = ("m".to_owned(), Duration::from_secs(90));
        let reasons = [
            (RunStop::Requested, "stop requested".to_owned()),
            (RunStop::Refused { model: model.clone(), failure: failure.clone(), after_answers: true }, said.clone()),
            (RunStop::Budget("--max-cost is reached".to_owned()), "--max-cost is reached".to_owned()),
            (RunStop::InputLost("in.jsonl is gone".to_owned()), "in.jsonl is gone".to_owned()),
            (RunStop::GaveUp(time), "the server has not answered for 90 s".to_owned()),
            (
                RunStop::RefusedFor { model, failure, time },
                format!("the server has refused every request for 90 s: {said}"),
            ),
        ];
        for (reason, text) in reasons {
            assert_eq!(reason.to_string(), text);
        }
    }
}
