//! The results of tutoring: the student's scores, turn by turn, and how they change with history and rounds.
//! This file defines the report; `counting` fills it conversation by conversation, `words` puts it into lines.

mod counting;
mod words;

pub use counting::Tutoring;

use std::collections::BTreeMap;

use serde::Serialize;

use super::evaluation::{Example, ScoreReport, SliceReport};
use super::replies::RepliesReport;
use super::simulation::{EndClass, RoleCost};
use crate::conversation::{Answer, Lesson, Price, Reading};

/// The results of tutoring: a fold over conversations in the order of their rows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TutoringReport {
    /// The version of this schema.
    pub schema: u32,
    /// Why the figures cannot be trusted, where that is so.
    pub incomplete: Vec<String>,
    /// Limits of the figures.
    pub cautions: Vec<String>,
    /// Each round under each history.
    pub passes: Vec<PassReport>,
    /// The student's gain on the teacher's history over its own, for each round with both histories.
    pub exposure: Vec<ExposureReport>,
    /// The changes from round to round.
    pub changes: Vec<ChangeReport>,
    /// Pairs of the newest round whose correction is better by the most.
    pub examples: Vec<Example>,
}

/// One round under one history.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PassReport {
    /// The round, from 1.
    pub round: u32,
    /// Whose answers became history: `forced`, `student`, `mixed:P`.
    pub history: String,
    /// False where it ran for the student's scores alone.
    pub writes_rows: bool,
    /// Conversations that have a turn that the student has answered.
    pub conversations: u64,
    /// Turns that the student has answered.
    pub turns: u64,
    /// Why conversations ended: `complete`, `student_rejected`, `grade_invalid`, `teacher_rejected`, `context`, `budget`, `failed`, `unasked`.
    pub ends: BTreeMap<String, u64>,
    /// Conversations whose end is not known: they were capped, or a server has refused them.
    #[serde(skip)]
    pub open: u64,
    /// Conversations that ended because the student's answers are unusable.
    #[serde(skip)]
    pub collapsed: u64,
    /// The same with the fault that led to it.
    pub reasons: BTreeMap<String, u64>,
    /// The student's scores, 1 to 10; an answer that code rejects has 1.
    pub student: ScoreReport,
    /// The same turn by turn, from 1.
    pub curve: Vec<SliceReport>,
    /// Those of the corrections, in turns where there is one.
    pub teacher: ScoreReport,
    /// Student's answers that code rejects, by rule; they are not graded.
    pub faults: BTreeMap<&'static str, u64>,
    /// Errors that the teacher has quoted in the student's answers, by type.
    pub errors: BTreeMap<&'static str, u64>,
    /// Errors that the teacher has named too and that were left out, because their quotes are not in the answer.
    pub errors_dropped: u64,
    /// The remedies for the student's answers: `keep`, `revise`, `rewrite`.
    pub remedies: BTreeMap<&'static str, u64>,
    /// Whether answer and correction make a pair: `accepted`, or why not.
    pub pairs: BTreeMap<&'static str, u64>,
    /// The mean difference of the scores, over accepted pairs.
    pub margin_mean: Option<f64>,
    /// Turns whose correction is better by 1 or more.
    pub hard: u64,
    /// Conversations with such a turn.
    pub hard_conversations: u64,
    /// The form of the replies of `grader` and `judge`, and how they were read.
    pub replies: BTreeMap<&'static str, RepliesReport>,
    /// The usage and cost of each role: `student`, `teacher`, `grader`, `judge`. An answer shared with an earlier pass counts there.
    pub roles: BTreeMap<&'static str, RoleCost>,
}

/// The exposure bias: scores on the teacher's history minus those on the student's own, from turn 2 on. Turn 1 has no
/// history, and both are the same.
#[derive(Clone, Debug, Serialize)]
pub struct ExposureReport {
    /// The round, from 1.
    pub round: u32,
    /// Over all turns from the second on.
    #[serde(flatten)]
    pub gap: DifferenceReport,
    /// Turn by turn.
    pub curve: Vec<SliceReport>,
}

/// The change from one round to another, on the same rows and turns.
#[derive(Clone, Debug, Serialize)]
pub struct ChangeReport {
    /// The earlier round.
    pub from: u32,
    /// The later one.
    pub to: u32,
    /// Whose answers became history.
    pub history: String,
    /// The later round's scores minus the earlier one's, over every turn that both have.
    pub all: DifferenceReport,
    /// The same over turns with identical history. After the first turn corrections differ from round to round.
    pub same_prompt: DifferenceReport,
}

/// A mean of paired differences.
#[derive(Clone, Debug, Serialize)]
pub struct DifferenceReport {
    /// The differences.
    #[serde(flatten)]
    pub score: ScoreReport,
    /// The two-sided p of the conversations' means, by flipping their signs.
    pub p: f64,
    /// The smallest detectable difference for this number of conversations (power 80 %).
    pub detectable: Option<f64>,
    /// By rule: the interval and the test agree.
    pub verdict: DifferenceVerdict,
}

/// Whether a difference is above or below zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceVerdict {
    /// Above.
    Higher,
    /// Below.
    Lower,
    /// The data do not say.
    Inconclusive,
}

impl DifferenceVerdict {
    /// Returns the name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Higher => "higher",
            Self::Lower => "lower",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// A conversation in one pass.
#[derive(Debug)]
pub struct TutoredPass<'a> {
    /// Each turn that the student has answered.
    pub lessons: &'a [Lesson],
    /// How it ended.
    pub end: &'a str,
    /// The class of that end.
    pub class: EndClass,
    /// The same with the fault.
    pub reason: String,
    /// How grades and verdicts were read, with the role that gave them.
    pub readings: Vec<(&'static str, Reading)>,
    /// The paid answers with their role and price.
    pub paid: Vec<(&'static str, &'a Answer, Option<&'a Price>)>,
}
