use std::sync::Arc;

use super::direction::Move;
use super::goal::Goal;
use crate::conversation::{Answer, ConversationStop, Dialogue, Reading};

/// A simulated conversation, as far as there are answers.
#[derive(Clone, Debug, Default)]
pub struct SimulatedDialogue {
    /// The messages.
    pub dialogue: Dialogue,
    /// Each user turn that was reached, in order.
    pub user_turns: Vec<UserTurn>,
    /// The user's goal, where a card could be read.
    pub goal: Option<Goal>,
    /// How the card with the goal was read, if one was asked for.
    pub card: Option<Reading>,
    /// Who the user is, where personas were given.
    pub persona: Option<String>,
    /// How it ended; `None` while it has not.
    pub end: Option<SimulatedEnd>,
    /// The paid answers in the user's role.
    pub user_answers: Vec<Arc<Answer>>,
}

/// Where a user turn comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserTurn {
    /// The move that the simulated user made; `None` for a message of the source.
    pub simulated: Option<Move>,
    /// The faults of rejected attempts.
    pub rejected: Vec<&'static str>,
}

/// How a simulated conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SimulatedEnd {
    /// It has all its turns.
    MaxTurns,
    /// The user had nothing more to ask.
    UserStop,
    /// No attempt at a user's message was valid; the last fault.
    UserInvalid(&'static str),
    /// No attempt at an answer was good; the last fault.
    TeacherRejected(&'static str),
}

impl SimulatedEnd {
    /// Returns the reason's code.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaxTurns => "max_turns",
            Self::UserStop => "user_stop",
            Self::UserInvalid(_) => "user_invalid",
            Self::TeacherRejected(_) => "teacher_rejected",
        }
    }

    /// Returns why the conversation stopped; `None` where it ended as planned.
    pub fn stop(self) -> Option<ConversationStop> {
        match self {
            Self::MaxTurns | Self::UserStop => None,
            Self::UserInvalid(fault) => Some(ConversationStop::UserInvalid(fault.into())),
            Self::TeacherRejected(fault) => Some(ConversationStop::TeacherRejected(fault.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_its_code_and_its_reason() {
        let ends = [
            (SimulatedEnd::MaxTurns, "max_turns", None),
            (SimulatedEnd::UserStop, "user_stop", None),
            (SimulatedEnd::UserInvalid("echo"), "user_invalid", Some("user_invalid: echo")),
            (SimulatedEnd::TeacherRejected("length"), "teacher_rejected", Some("teacher_rejected: length")),
        ];
        for (end, name, reason) in ends {
            assert_eq!((end.name(), end.stop().map(|stop| stop.to_string()).as_deref()), (name, reason));
        }
    }
}
