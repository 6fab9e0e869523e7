use std::fmt;
use std::str::FromStr;

use crate::conversation::{Dice, Digest, Speaker};

/// Whose answers become the history of later turns.
///
/// With the teacher's answers the student works on a good history (forced, as in teacher forcing). With its own it drifts as it
/// would without corrections, and the corrections teach it to recover. The gap between the two is the exposure bias.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum History {
    /// The teacher's.
    #[default]
    Forced,
    /// The student's.
    Student,
    /// The student's with this probability, turn by turn; the choice is the same in every run.
    Mixed(f64),
}

/// The text is not a history policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no history; write forced, student, or mixed:P with P from 0 to 1, such as mixed:0.3")]
pub struct ParseHistoryError(String);

impl History {
    /// Returns whose answer to a turn, from 0, becomes history.
    pub(super) fn speaker(self, seed: &Digest, turn: u32) -> Speaker {
        let is_student = match self {
            History::Forced => false,
            History::Student => true,
            History::Mixed(share) => {
                let mut key = seed.0.to_vec();
                key.extend_from_slice(&turn.to_le_bytes());
                Dice::new("tutor history", &key).fraction() < share
            }
        };
        if is_student { Speaker::Student } else { Speaker::Teacher }
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            History::Forced => f.write_str("forced"),
            History::Student => f.write_str("student"),
            History::Mixed(share) => write!(f, "mixed:{share}"),
        }
    }
}

impl FromStr for History {
    type Err = ParseHistoryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let share = || text.strip_prefix("mixed:")?.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        match text {
            "forced" => Ok(History::Forced),
            "student" => Ok(History::Student),
            _ => share().map(History::Mixed).ok_or_else(|| ParseHistoryError(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_reads_as_it_is_written_and_dice_keep_to_their_share() {
        for text in ["forced", "student", "mixed:0.3"] {
            assert_eq!(text.parse::<History>().unwrap().to_string(), text);
        }
        assert!(
            ["", "mixed", "mixed:", "mixed:1.5", "mixed:NaN", "teacher"]
                .iter()
                .all(|text| text.parse::<History>().is_err())
        );
        let student = |share| {
            let turns =
                (0..10_000).filter(|turn| History::Mixed(share).speaker(&Digest([7; 32]), *turn) == Speaker::Student);
            turns.count()
        };
        assert_eq!((student(0.0), student(1.0)), (0, 10_000));
        assert!(student(0.3).abs_diff(3_000) < 200);
    }
}
