use std::fmt;

use crate::conversation::{ConversationStop, FailureReason, TurnIndex};
use crate::dataset::Skip;
use crate::export::{LeftOutKind, Unfit};
use crate::recipe::{NoAnswer, SimulatedEnd, TutoredEnd};
use crate::report::EndClass;
use crate::worker::RunStop;

/// Why a row is not in the output, or only a part of it is. `Display` gives the reason as outputs have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// The row is invalid; why, in words.
    Invalid(String),
    /// The row is not what it was before the run; why, in words.
    Changed(String),
    /// A reading rule leaves the row out.
    Skipped(Skip),
    /// The row is in another shard of the input.
    Elsewhere,
    /// The row holds something that no record can hold.
    NoRecord(Skip),
    /// The output format cannot hold the row.
    Unfit(Unfit),
    /// The row is cut before its first empty answer.
    EmptyAnswer,
    /// The recipe stopped the conversation at a turn.
    Stopped {
        /// The turn.
        turn: TurnIndex,
        /// Why.
        reason: ConversationStop,
    },
    /// A question failed.
    Failed {
        /// The turn; `None` where a recipe does not go turn by turn.
        turn: Option<TurnIndex>,
        /// What the server said, for each lane.
        reason: FailureReason,
        /// True where sending the same question again can only fail again.
        permanent: bool,
    },
    /// The conversation has grown too long for a model; what the server said.
    Context(FailureReason),
    /// A system that is compared has no answer at a turn.
    AnswerMissing {
        /// The turn.
        turn: TurnIndex,
        /// Why.
        reason: NoAnswer,
    },
    /// Not every question is answered; no failure is known.
    NotAsked,
    /// The judge has not given every verdict.
    NotJudged,
    /// A verdict of the judge is invalid.
    VerdictInvalid,
    /// There is nothing in the row to judge.
    Unmarked(Unmarked),
    /// The filter rejects the row.
    Rejected(Rejection),
    /// The conversation has fewer turns than `--min-turns`.
    Short,
    /// No attempt at a simulated user's message was valid; the last fault.
    UserInvalid(&'static str),
    /// No attempt at a teacher's answer was good; the last fault.
    TeacherRejected(&'static str),
    /// The student's answers are unusable; the last fault.
    StudentRejected(&'static str),
    /// No attempt at a grade was valid; the last fault.
    GradeInvalid(&'static str),
    /// A cap was reached before the next question.
    Budget,
    /// The next question was not sent.
    Unasked,
}

/// Why the filter rejects a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// A rule rejects its answer.
    Rule {
        /// The turn.
        turn: TurnIndex,
        /// The rule.
        rule: &'static str,
    },
    /// Its users say what an earlier row's say.
    Duplicate,
    /// Its users say nearly what those of a kept row say.
    NearDuplicate {
        /// The kept row, from 0.
        of: u32,
    },
    /// Other rows have better scores.
    Outscored,
    /// It has no score.
    NoScore,
}

impl Rejection {
    /// Returns the rule or the reason, without turn and row.
    pub fn code(self) -> &'static str {
        match self {
            Self::Rule { rule, .. } => rule,
            Self::Duplicate => "duplicate",
            Self::NearDuplicate { .. } => "near_duplicate",
            Self::Outscored => "outscored",
            Self::NoScore => "no_score",
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule { turn, rule } => write!(f, "turn {turn}: {rule}"),
            Self::NearDuplicate { of } => write!(f, "near_duplicate of kept row {}", of + 1),
            other => f.write_str(other.code()),
        }
    }
}

/// Why there is nothing in a row to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmarked {
    /// It has no answer.
    NoAnswer,
    /// It has no criteria.
    NoCriteria,
    /// It has no answers that could be shared as history.
    NoSharedHistory,
}

impl Unmarked {
    /// Returns the code in outputs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoAnswer => "no_answer",
            Self::NoCriteria => "no_criteria",
            Self::NoSharedHistory => "no_shared_history",
        }
    }
}

impl LeftOut {
    /// Returns why questions are open after a run whose rows are written; nothing where its rows are not: it stopped for
    /// another reason than a cap. A cap is an end like others: the conversations so far can be used.
    pub fn of_run(stopped: Option<&RunStop>) -> Option<Self> {
        match stopped {
            None => Some(Self::Unasked),
            Some(RunStop::Budget(_)) => Some(Self::Budget),
            Some(_) => None,
        }
    }

    /// Returns why a simulated conversation is cut; nothing where it ended as planned.
    pub fn of_simulation(end: SimulatedEnd) -> Option<Self> {
        match end {
            SimulatedEnd::MaxTurns | SimulatedEnd::UserStop => None,
            SimulatedEnd::UserInvalid(fault) => Some(Self::UserInvalid(fault)),
            SimulatedEnd::TeacherRejected(fault) => Some(Self::TeacherRejected(fault)),
        }
    }

    /// Returns why a tutored conversation is cut; nothing where every turn is tutored.
    pub fn of_tutoring(end: TutoredEnd) -> Option<Self> {
        match end {
            TutoredEnd::Complete => None,
            TutoredEnd::StudentRejected(fault) => Some(Self::StudentRejected(fault)),
            TutoredEnd::GradeInvalid(fault) => Some(Self::GradeInvalid(fault)),
            TutoredEnd::TeacherRejected(fault) => Some(Self::TeacherRejected(fault)),
        }
    }

    /// Returns the kind of reason.
    pub fn kind(&self) -> LeftOutKind {
        match self {
            Self::Invalid(_) | Self::Changed(_) => LeftOutKind::Invalid,
            Self::Skipped(_) | Self::Elsewhere => LeftOutKind::Skipped,
            Self::NoRecord(_) | Self::Unfit(_) | Self::EmptyAnswer => LeftOutKind::Unfit,
            Self::Stopped { .. } => LeftOutKind::Stopped,
            Self::Failed { .. } | Self::AnswerMissing { .. } => LeftOutKind::Failed,
            Self::Context(_) => LeftOutKind::Context,
            Self::NotAsked | Self::NotJudged | Self::VerdictInvalid => LeftOutKind::Unanswered,
            Self::Unmarked(_) => LeftOutKind::Unmarked,
            Self::Rejected(_) => LeftOutKind::Rejected,
            Self::Short => LeftOutKind::Short,
            Self::UserInvalid(_) => LeftOutKind::UserInvalid,
            Self::TeacherRejected(_) => LeftOutKind::TeacherRejected,
            Self::StudentRejected(_) => LeftOutKind::StudentRejected,
            Self::GradeInvalid(_) => LeftOutKind::GradeInvalid,
            Self::Budget => LeftOutKind::Budget,
            Self::Unasked => LeftOutKind::Unasked,
        }
    }

    /// Returns the class of this end in reports.
    pub fn end_class(&self) -> EndClass {
        match self {
            Self::StudentRejected(_) => EndClass::Collapsed,
            Self::Budget | Self::Unasked | Self::Failed { .. } | Self::AnswerMissing { .. } | Self::Context(_) => {
                EndClass::Open
            }
            _ => EndClass::Ended,
        }
    }

    /// True where a run of the same command may complete the row.
    pub fn may_heal(&self) -> bool {
        matches!(
            self,
            Self::Changed(_) | Self::NotAsked | Self::Budget | Self::Unasked | Self::Failed { permanent: false, .. }
        )
    }

    /// Returns the reason as it is counted: rows whose failures differ in turn, token counts or ids only have the same.
    pub fn group(&self) -> String {
        match self {
            Self::Failed { reason, .. } | Self::Context(reason) => reason.without_numbers().to_string(),
            // The turn and the other row would make as many reasons as there are rows.
            Self::Rejected(rejection) => rejection.code().to_owned(),
            Self::Stopped { reason: reason @ ConversationStop::Calls(_), .. } => reason.to_string(),
            other => other.to_string(),
        }
    }

    /// Returns the code of a reason that is counted: without what a server said in its own words.
    pub fn code(&self) -> String {
        match self {
            Self::Failed { .. } | Self::Context(_) => self.kind().name().to_owned(),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(reason) | Self::Changed(reason) => f.write_str(reason),
            Self::Context(reason) => reason.fmt(f),
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::Failed { turn: None, reason, .. } => reason.fmt(f),
            Self::Skipped(skip) | Self::NoRecord(skip) => f.write_str(skip.name()),
            Self::Unfit(unfit) => f.write_str(unfit.name()),
            Self::Failed { turn: Some(turn), reason, .. } => write!(f, "turn {turn}: {reason}"),
            Self::Stopped { turn, reason } => write!(f, "turn {turn}: {reason}"),
            Self::AnswerMissing { turn, reason } => write!(f, "turn {turn}: {reason}"),
            Self::Elsewhere => f.write_str("another_shard"),
            Self::EmptyAnswer => f.write_str("empty_answer"),
            Self::NotAsked => f.write_str("not asked yet"),
            Self::NotJudged => f.write_str("the judge has not answered"),
            Self::VerdictInvalid => f.write_str("the judge's verdict is invalid"),
            Self::Unmarked(unmarked) => f.write_str(unmarked.name()),
            Self::Short => f.write_str("fewer turns than --min-turns"),
            Self::UserInvalid(fault)
            | Self::TeacherRejected(fault)
            | Self::StudentRejected(fault)
            | Self::GradeInvalid(fault) => write!(f, "{}: {fault}", self.kind().name()),
            Self::Budget | Self::Unasked => f.write_str(self.kind().name()),
        }
    }
}
