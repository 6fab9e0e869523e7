use crate::conversation::{ConversationStop, Dialogue, Lane, Lesson, Reading};

/// A tutored conversation, as far as there are answers.
#[derive(Clone, Debug, Default)]
pub struct Tutored {
    /// Each turn that the student has answered, in order. The last one may not be graded or corrected yet.
    pub lessons: Vec<Lesson>,
    /// The messages that became history, turn by turn.
    pub dialogue: Dialogue,
    /// How it ended; `None` while it has not.
    pub end: Option<TutoredEnd>,
    /// How grades and verdicts were read, with who gave them.
    pub readings: Vec<(Party, Reading)>,
}

/// A role in a tutored conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// Answers.
    Student,
    /// Corrects.
    Teacher,
    /// Grades.
    Grader,
    /// Compares.
    Judge,
}

impl Party {
    /// Every party.
    pub const ALL: [Party; 4] = [Party::Student, Party::Teacher, Party::Grader, Party::Judge];

    /// Returns the party that answers in a lane.
    pub fn of(lane: Lane) -> Option<Self> {
        match lane {
            Lane::Student => Some(Party::Student),
            Lane::Main => Some(Party::Teacher),
            Lane::Grader => Some(Party::Grader),
            Lane::Judge => Some(Party::Judge),
            Lane::User | Lane::Tool | Lane::System(_) => None,
        }
    }

    /// Returns the name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Party::Student => "student",
            Party::Teacher => "teacher",
            Party::Grader => "grader",
            Party::Judge => "judge",
        }
    }
}

/// How a tutored conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TutoredEnd {
    /// Every turn is tutored.
    Complete,
    /// The student's answer is unusable as history, or three in a row were broken or repeated; the last fault.
    StudentRejected(&'static str),
    /// No attempt at a grade was valid; the last fault.
    GradeInvalid(&'static str),
    /// No attempt at a correction was good; the last fault.
    TeacherRejected(&'static str),
}

impl TutoredEnd {
    /// Returns the reason's code.
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::StudentRejected(_) => "student_rejected",
            Self::GradeInvalid(_) => "grade_invalid",
            Self::TeacherRejected(_) => "teacher_rejected",
        }
    }

    /// Returns why the conversation stopped; `None` where every turn is tutored.
    pub fn stop(self) -> Option<ConversationStop> {
        match self {
            Self::Complete => None,
            Self::StudentRejected(fault) => Some(ConversationStop::StudentRejected(fault.into())),
            Self::GradeInvalid(fault) => Some(ConversationStop::GradeInvalid(fault.into())),
            Self::TeacherRejected(fault) => Some(ConversationStop::TeacherRejected(fault.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lane_has_its_party_and_each_party_its_name() {
        let lanes = [Lane::Student, Lane::Main, Lane::Grader, Lane::Judge];
        assert_eq!(lanes.map(Party::of), Party::ALL.map(Some));
        assert_eq!([Lane::User, Lane::System(0)].map(Party::of), [None, None]);
        assert_eq!(Party::ALL.map(Party::name), ["student", "teacher", "grader", "judge"]);
    }

    #[test]
    fn each_end_has_its_code_and_its_reason() {
        let ends = [
            (TutoredEnd::StudentRejected("echo"), "student_rejected", "student_rejected: echo"),
            (TutoredEnd::GradeInvalid("no_json"), "grade_invalid", "grade_invalid: no_json"),
            (TutoredEnd::TeacherRejected("length"), "teacher_rejected", "teacher_rejected: length"),
        ];
        for (end, name, reason) in ends {
            assert_eq!((end.name(), end.stop().map(|stop| stop.to_string()).as_deref()), (name, Some(reason)));
        }
        assert_eq!((TutoredEnd::Complete.name(), TutoredEnd::Complete.stop()), ("complete", None));
    }
}
