use serde::Serialize;

use super::json_row::append_row;

/// A row that is missing from an output, or shorter there than in its source. This is the row of `OUT.incomplete.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Incomplete<'a> {
    /// The row's id, if it has one.
    pub id: Option<&'a str>,
    /// The input that contains it.
    pub source: &'a str,
    /// The line on which it begins, from 1.
    pub line: u64,
    /// The kind of reason.
    pub kind: LeftOutKind,
    /// The reason, in words or as a code.
    pub reason: &'a str,
    /// Turns that have a complete answer.
    pub turns_answered: u32,
    /// Turns of the source row.
    pub turns: u32,
}

/// The kinds of reasons for which a row is left out or cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOutKind {
    /// The row is invalid.
    Invalid,
    /// A reading rule leaves the row out.
    Skipped,
    /// The recipe stopped the conversation because of an answer.
    Stopped,
    /// A question failed.
    Failed,
    /// Not every question is answered.
    Unanswered,
    /// The output format cannot hold the row.
    Unfit,
    /// The row contains nothing to judge.
    Unmarked,
    /// The filter rejects the row.
    Rejected,
    /// The conversation has fewer turns than wanted.
    Short,
    /// No attempt at a simulated user's message was valid.
    UserInvalid,
    /// No attempt at a teacher's answer was good.
    TeacherRejected,
    /// The student's answers are unusable.
    StudentRejected,
    /// No attempt at a grade was valid.
    GradeInvalid,
    /// The conversation has grown too long for a model.
    Context,
    /// A cap was reached first.
    Budget,
    /// The question was not sent.
    Unasked,
}

impl LeftOutKind {
    /// Every kind.
    pub const ALL: [Self; 16] = [
        Self::Invalid,
        Self::Skipped,
        Self::Stopped,
        Self::Failed,
        Self::Unanswered,
        Self::Unfit,
        Self::Unmarked,
        Self::Rejected,
        Self::Short,
        Self::UserInvalid,
        Self::TeacherRejected,
        Self::StudentRejected,
        Self::GradeInvalid,
        Self::Context,
        Self::Budget,
        Self::Unasked,
    ];

    /// Returns the name in outputs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Skipped => "skipped",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Unanswered => "unanswered",
            Self::Unfit => "unfit",
            Self::Unmarked => "unmarked",
            Self::Rejected => "rejected",
            Self::Short => "short",
            Self::UserInvalid => "user_invalid",
            Self::TeacherRejected => "teacher_rejected",
            Self::StudentRejected => "student_rejected",
            Self::GradeInvalid => "grade_invalid",
            Self::Context => "context",
            Self::Budget => "budget",
            Self::Unasked => "unasked",
        }
    }
}

/// Appends the row for `OUT.incomplete.jsonl`.
pub fn incomplete_row(row: &Incomplete<'_>, out: &mut Vec<u8>) {
    append_row(out, row);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_the_same_name_in_rows_and_reports() {
        let names = LeftOutKind::ALL.map(LeftOutKind::name);
        assert_eq!(
            LeftOutKind::ALL.map(|kind| serde_json::to_value(kind).unwrap()),
            names.map(serde_json::Value::from)
        );
        assert_eq!(
            names.join(" "),
            "invalid skipped stopped failed unanswered unfit unmarked rejected short user_invalid teacher_rejected \
             student_rejected grade_invalid context budget unasked"
        );
    }
}
