//! The records of slots, statuses and states.

use serde::{Deserialize, Serialize};

use crate::conversation::{ConversationStop, FailureReason, Fingerprint, Lane, SYSTEMS_MAX, Slot, TurnIndex};
use crate::store::entry::{ConversationState, Status};

#[derive(Serialize, Deserialize)]
pub struct SlotV1(pub(super) u8, pub(super) u32, pub(super) u32);

#[derive(Serialize, Deserialize)]
pub enum StatusV1 {
    Open,
    Complete,
    Stopped { turn: u32, reason: String },
    Failed { turn: u32, reason: String, permanent: bool },
}

#[derive(Serialize, Deserialize)]
pub struct StateV1 {
    history: Vec<(SlotV1, [u8; 32])>,
    cursor: u32,
    status: StatusV1,
}

/// The tag of the first system's lane; those of the other systems follow.
pub(super) const FIRST_SYSTEM: u8 = 64;

impl From<Slot> for SlotV1 {
    fn from(slot: Slot) -> Self {
        let lane = match slot.lane {
            Lane::Main => 0,
            Lane::User => 1,
            Lane::Judge => 2,
            Lane::Student => 3,
            Lane::Grader => 4,
            Lane::Tool => 5,
            Lane::System(number) => FIRST_SYSTEM + number,
        };
        Self(lane, slot.turn, slot.attempt)
    }
}

impl SlotV1 {
    pub fn into_slot(self) -> Option<Slot> {
        let lane = match self.0 {
            0 => Lane::Main,
            1 => Lane::User,
            2 => Lane::Judge,
            3 => Lane::Student,
            4 => Lane::Grader,
            5 => Lane::Tool,
            FIRST_SYSTEM.. if usize::from(self.0 - FIRST_SYSTEM) < SYSTEMS_MAX => Lane::System(self.0 - FIRST_SYSTEM),
            _ => return None,
        };
        Some(Slot { lane, turn: self.1, attempt: self.2 })
    }
}

impl From<&Status> for StatusV1 {
    fn from(status: &Status) -> Self {
        match status {
            Status::Open => Self::Open,
            Status::Complete => Self::Complete,
            Status::Stopped { turn, reason } => Self::Stopped { turn: turn.index(), reason: reason.to_string() },
            Status::Failed { turn, reason, permanent } => {
                Self::Failed { turn: turn.index(), reason: reason.to_string(), permanent: *permanent }
            }
        }
    }
}

impl StatusV1 {
    pub fn into_status(self) -> Status {
        match self {
            Self::Open => Status::Open,
            Self::Complete => Status::Complete,
            Self::Stopped { turn, reason } => {
                Status::Stopped { turn: TurnIndex::from_index(turn), reason: ConversationStop::from(reason) }
            }
            Self::Failed { turn, reason, permanent } => {
                Status::Failed { turn: TurnIndex::from_index(turn), reason: FailureReason::from(&*reason), permanent }
            }
        }
    }
}

impl From<&ConversationState> for StateV1 {
    fn from(state: &ConversationState) -> Self {
        let history = state.history.iter().map(|(slot, fingerprint)| ((*slot).into(), fingerprint.0)).collect();
        Self { history, cursor: state.cursor, status: (&state.status).into() }
    }
}

impl StateV1 {
    pub fn into_state(self) -> Option<ConversationState> {
        let history = self.history.into_iter().map(|(slot, hash)| Some((slot.into_slot()?, Fingerprint(hash))));
        Some(ConversationState {
            history: history.collect::<Option<_>>()?,
            cursor: self.cursor,
            status: self.status.into_status(),
        })
    }
}
