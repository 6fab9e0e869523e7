use crate::conversation::{Record, TurnIndex};
use crate::job::left_out::Rejection;

/// A rule that flagged an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The turn.
    pub turn: TurnIndex,
    /// The rule.
    pub rule: &'static str,
}

/// What happens to a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// It is kept, with its score where it has one, and with what was flagged.
    Keep { score: Option<f64>, flags: Vec<Flag> },
    /// It is kept up to this line; the turn and the rule that cut it, and what was flagged before.
    Cut { lines: u32, turn: TurnIndex, rule: &'static str, score: Option<f64>, flags: Vec<Flag> },
    /// It is dropped.
    Drop(Rejection),
    /// It could not be read.
    Unread,
}

impl Decision {
    /// True where the row, or a part of it, is kept.
    pub fn is_kept(&self) -> bool {
        matches!(self, Decision::Keep { .. } | Decision::Cut { .. })
    }

    /// True where only a part is kept.
    pub fn cuts(&self) -> bool {
        matches!(self, Decision::Cut { .. })
    }

    /// Returns the score of a row that is kept.
    pub fn score(&self) -> Option<f64> {
        match self {
            Decision::Keep { score, .. } | Decision::Cut { score, .. } => *score,
            Decision::Drop(_) | Decision::Unread => None,
        }
    }

    /// Returns what was flagged in a row that is kept.
    pub fn flags(&self) -> &[Flag] {
        match self {
            Decision::Keep { flags, .. } | Decision::Cut { flags, .. } => flags,
            Decision::Drop(_) | Decision::Unread => &[],
        }
    }

    /// Cuts the row where that was decided, and returns why it is dropped, where it is.
    pub fn apply(&self, record: &mut Record) -> Option<Rejection> {
        match self {
            Decision::Keep { .. } | Decision::Unread => None,
            Decision::Drop(rejection) => Some(*rejection),
            Decision::Cut { lines, turn, rule, .. } => {
                record.lines.truncate(*lines as usize);
                (record.rejected, record.label) = (None, None);
                record.meta.insert("stopped".to_owned(), format!("turn {turn}: {rule}").into());
                if let Some(turns) = record.meta.get_mut("turns").and_then(|turns| turns.as_array_mut()) {
                    turns.truncate(turn.index() as usize);
                }
                None
            }
        }
    }
}
