use std::time::Duration;

use super::occupancy::LowerBound;
use super::session::ConversationEnd;
use crate::conversation::{FailureCode, Finish, Usage};
use crate::model::{FailureClass, PaceChange};

/// Something that happened in a run, for whoever watches.
#[derive(Clone, Debug)]
pub enum Event {
    /// A conversation was opened.
    Opened,
    /// A conversation took an answer that an earlier run had paid for.
    Reused,
    /// A conversation took an answer that another conversation of this run had asked for.
    Shared,
    /// A call went out.
    Sent,
    /// An answer was committed.
    Answered {
        /// The model's name as it was asked for.
        model: String,
        /// What it cost.
        usage: Usage,
        /// How it ended.
        finish: Finish,
        /// From the request to the whole answer.
        latency: Duration,
    },
    /// A call failed.
    Failed {
        /// What kind of failure.
        class: FailureClass,
        /// Its code.
        code: FailureCode,
        /// What was said.
        message: String,
        /// When the question is asked again; `None` where it is not.
        again_after: Option<Duration>,
    },
    /// The number of calls that a model may have in flight changed.
    Pace {
        /// The model.
        model: String,
        /// From what to what, and why.
        change: PaceChange,
    },
    /// A model is left alone for a while because its server says that a limit is used up.
    Rested {
        /// The model.
        model: String,
        /// How long.
        wait: Duration,
    },
    /// A server stopped answering; nothing is sent until the next try.
    Parked {
        /// The model.
        model: String,
        /// What was said.
        message: String,
        /// Until the next try.
        next_try: Duration,
    },
    /// It answers again.
    Recovered {
        /// The model.
        model: String,
    },
    /// A replica is left alone for a while, its conversations move to the others.
    Drained {
        /// The replica.
        model: String,
        /// Why, in words.
        reason: &'static str,
    },
    /// A conversation came to its end.
    Closed(ConversationEnd),
    /// The run is stopping; this many calls are still in flight.
    Stopping {
        /// Why, in words.
        reason: String,
        /// Calls in flight.
        in_flight: usize,
    },
    /// The run is over; this is the least time that what it did could have taken.
    Measured(LowerBound),
}

/// Watches a run. Called from the dispatcher, so it must be quick.
pub trait Observer: Send {
    /// Takes note of an event.
    fn on_event(&mut self, event: &Event);
}

/// Watches nothing.
pub struct Silent;

impl Observer for Silent {
    fn on_event(&mut self, _: &Event) {}
}
