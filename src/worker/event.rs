use std::time::Duration;

use super::occupancy::LowerBound;
use super::session::ClosedConversation;
use super::wait::Wait;
use crate::conversation::{FailureCode, Finish, Usage};
use crate::model::{Adjustment, FailureClass, PaceChange, RejectedReply};

/// Something that happened in a run, for observers.
#[derive(Clone, Debug)]
pub enum Event {
    /// A conversation was opened.
    Opened,
    /// A conversation that had failed was opened again. Its end had settled this many answers that it would not use.
    Reopened {
        /// How many.
        unused: u64,
    },
    /// A conversation reused an answer of an earlier run that counts towards the total and was not counted before.
    Reused,
    /// Answers that were counted as stored cannot be used.
    NotStored(u64),
    /// A conversation shared an answer to another conversation's question in this run, and it counts towards the total.
    Shared,
    /// A call was sent.
    Sent,
    /// An answer was committed.
    Answered {
        /// The requested model's name.
        model: String,
        /// The model's name as the server reports it.
        reported: String,
        /// The tokens used.
        usage: Usage,
        /// True if the prompt has grown since the conversation's last turn and the server counted no more tokens: it cuts
        /// the history.
        history_cut: bool,
        /// The answer's finish.
        finish: Finish,
        /// The time from the request to the complete answer.
        latency: Duration,
        /// True if the answer counts towards the total; false for a further attempt.
        is_counted: bool,
        /// True if the text has a character that is not what the model wrote: half of it was lost on the way.
        is_damaged: bool,
    },
    /// A call failed.
    Failed {
        /// The server's name in messages: the model's name, with the host where there are several.
        model: String,
        /// The failure's class.
        class: FailureClass,
        /// The failure's code.
        code: FailureCode,
        /// The failure's message.
        message: String,
        /// The wait before the retry; `None` if there is no retry.
        again_after: Option<Duration>,
        /// The reply, if one arrived and was rejected as unusable.
        reply: Option<RejectedReply>,
    },
    /// A refusal revealed a setting of a server; requests are written differently from now on.
    Adjusted {
        /// The model.
        model: String,
        /// The setting.
        adjustment: Adjustment,
    },
    /// A model's limit on calls in flight changed.
    Pace {
        /// The model.
        model: String,
        /// The old and new limit, and the reason.
        change: PaceChange,
    },
    /// A model is paused because its server reports an exhausted rate limit.
    Rested {
        /// The model.
        model: String,
        /// The length of the pause.
        wait: Duration,
    },
    /// A server is down; only probes are sent.
    Parked {
        /// The model.
        model: String,
        /// The failure's message.
        message: String,
        /// The wait until the next probe.
        next_try: Duration,
    },
    /// A server answers again.
    Recovered {
        /// The model.
        model: String,
    },
    /// A replica is paused; its conversations move to the others.
    Drained {
        /// The replica.
        model: String,
        /// The reason, for the user.
        reason: &'static str,
    },
    /// The number of calls that may be in flight changed.
    Slots(usize),
    /// No call is in flight, and the next one waits for this; or calls are sent again.
    Waiting(Option<Wait>),
    /// A server that was added during the run cannot be used; it gets nothing.
    Rejected {
        /// The replica.
        model: String,
        /// The failure's message.
        message: String,
    },
    /// A conversation ended.
    Closed(ClosedConversation),
    /// The run is stopping; calls in flight may finish.
    Stopping {
        /// The reason, for the user.
        reason: String,
        /// Calls in flight.
        in_flight: usize,
    },
    /// The run is over; this is the least time that its calls could have taken.
    Measured(LowerBound),
}

/// Observes a run. The dispatcher calls it, so it must return quickly.
pub trait Observer: Send {
    /// Handles an event.
    fn on_event(&mut self, event: &Event);
}

/// Ignores every event.
pub struct Silent;

impl Observer for Silent {
    fn on_event(&mut self, _: &Event) {}
}
