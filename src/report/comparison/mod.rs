//! The results of duels between systems. This file defines the report; `counting` fills it conversation by conversation, `verdict` says
//! what the figures mean, `words` puts them into lines.

mod counting;
mod examples;
mod pair;
mod verdict;
mod words;

pub use counting::Comparison;
pub(super) use verdict::CONVERSATIONS_MIN;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::agreement::{BiasReport, MajorityReport};
use super::controls::ControlsReport;
use super::evaluation::{CostReport, DatasetReport, Example, JudgeReport};
use super::votes::{ConversationScores, SystemReport};
use crate::conversation::{Answer, Duel, Vote, Winner};
use crate::statistics::{Interval, LengthControlled};

/// Verdicts on two systems or more.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ComparisonReport {
    /// Bumped when a field changes its meaning.
    pub schema: u32,
    /// Why the figures cannot be trusted, where that is so.
    pub incomplete: Vec<String>,
    /// Limits of the figures.
    pub cautions: Vec<String>,
    /// The day (UTC) on which the comparison was begun.
    pub date: String,
    /// The history before each answer: `own` or `shared`.
    pub history: String,
    /// The margin around 0.5: two systems are equivalent where the interval of the score lies within it.
    pub margin: f64,
    /// The compared systems.
    pub systems: Vec<ComparedReport>,
    /// The dataset.
    pub dataset: DatasetReport,
    /// The judge.
    pub judge: JudgeReport,
    /// Each pair.
    pub pairs: Vec<DuelReport>,
    /// The ranking of all systems: wins, and Bradley–Terry strengths.
    pub ranking: Vec<SystemReport>,
    /// The judge beside people, where their votes are given.
    pub calibration: Option<MajorityReport>,
    /// The same pair by pair: the judge's bias against people's votes.
    pub human_pairs: Vec<BiasReport>,
    /// What the judge made of answers that are known to be right or wrong, where it was asked.
    pub controls: Option<ControlsReport>,
    /// Duels with the judge's words: at random, and the clearest, for each outcome.
    pub examples: Vec<Example>,
}

/// One of the systems.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ComparedReport {
    /// Its name.
    pub name: String,
    /// The requested model; `None` for answers from a file.
    pub model: Option<String>,
    /// The names that the server reported.
    pub reported: Vec<String>,
    /// Hosts, or the file.
    pub from: Vec<String>,
    /// The hash of its system message, where it has one of its own.
    pub system_prompt: Option<String>,
    /// Its sampling.
    pub sampling: Option<String>,
    /// Conversations in which an answer is missing, by reason.
    pub failed: BTreeMap<String, u64>,
    /// The mean length of its answers, in characters.
    pub mean_length: Option<f64>,
    /// The cost of its answers, in whichever run they were paid for.
    pub cost: CostReport,
}

/// Two systems.
#[derive(Clone, Debug, Serialize)]
pub struct DuelReport {
    /// The one whose side the figures take.
    pub a: String,
    /// The other.
    pub b: String,
    /// `a better`, `b better`, `equivalent`, `inconclusive`, `judge not reliable`; with the systems' names.
    pub verdict: String,
    /// Why the figures are not used for a verdict, whatever they say. Each is a caution of the report too, or a reason why it
    /// is incomplete.
    pub withheld: Vec<String>,
    /// Duels that `a` won in both orders.
    pub wins: u64,
    /// Those that `b` won.
    pub losses: u64,
    /// Neither, in both orders.
    pub ties: u64,
    /// Different verdicts in the two orders; counted as ties.
    pub inconsistent: u64,
    /// Those without a readable verdict; not counted.
    pub unparsed: u64,
    /// Those in which `a` has no answer.
    pub a_missing: u64,
    /// Those in which `b` has none.
    pub b_missing: u64,
    /// Those in which neither has.
    pub both_missing: u64,
    /// The score of `a`, each conversation counted once.
    pub score: ConversationScores,
    /// Its distance from 0.5.
    pub effect: f64,
    /// The 95 % interval of that.
    pub effect_interval: Option<Interval>,
    /// The p of flipping the signs of the conversations' effects.
    pub sign_flip_p: f64,
    /// The smallest detectable effect for this number of conversations (power 80 %).
    pub detectable_effect: Option<f64>,
    /// The share of `a` among decided duels.
    pub decided_interval: Option<Interval>,
    /// The score where a missing answer is a lost duel.
    pub intention_to_treat: ConversationScores,
    /// The effect of the order.
    pub position: PositionReport,
    /// The share of repeats that differ from the first verdict, where there are several.
    pub flip_share: Option<f64>,
    /// Turn by turn.
    pub turns: Vec<SliceScore>,
    /// By the rows' `category`; exploratory.
    pub categories: Vec<SliceScore>,
    /// The effect of length.
    pub length: LengthReport,
    /// Answers' lengths (that of `a` minus that of `b`) and scores, for the plot; a thousand at most.
    pub length_points: Vec<(f64, f64)>,
}

/// The effect of the order of the answers.
#[derive(Clone, Debug, Serialize)]
pub struct PositionReport {
    /// How often the first of two wins, of all single verdicts that are not ties.
    pub first_wins: Option<f64>,
    /// Wilson's interval of that.
    pub interval: Option<Interval>,
    /// The share of duels that changed with the order.
    pub inconsistent_share: f64,
    /// The judge prefers a place: the interval leaves out 0.5 by more than a tenth.
    pub is_biased: bool,
}

/// A part of the duels.
#[derive(Clone, Debug, Serialize)]
pub struct SliceScore {
    /// Which.
    pub name: String,
    /// The score of `a`.
    pub score: ConversationScores,
    /// The sign test, adjusted for all slices of its kind (Holm).
    pub adjusted_p: f64,
}

/// The effect of length.
#[derive(Clone, Debug, Serialize)]
pub struct LengthReport {
    /// The mean length of the answers of `a`, in characters.
    pub a_mean: Option<f64>,
    /// Of `b`.
    pub b_mean: Option<f64>,
    /// The score of `a` where its answer is the longer one.
    pub score_where_longer: Option<f64>,
    /// Where it is the shorter one.
    pub score_where_shorter: Option<f64>,
    /// The score between answers of equal length.
    pub controlled: Option<LengthControlled>,
}

/// A conversation in which systems were compared.
#[derive(Debug)]
pub struct Compared<'a> {
    /// The row.
    pub id: &'a str,
    /// Its `category`.
    pub category: Option<&'a str>,
    /// The user's messages, turn by turn.
    pub questions: &'a [String],
    /// Each system's answers, turn by turn.
    pub answers: &'a [Vec<Option<String>>],
    /// The paid answers of each system.
    pub paid: &'a [Vec<Arc<Answer>>],
    /// Why a system has no answer, where that is so.
    pub failed: &'a [Option<String>],
    /// The duels.
    pub duels: &'a [Duel],
}

impl ComparisonReport {
    /// True where the judge has failed its controls: its verdicts are not used.
    pub fn has_unreliable_judge(&self) -> bool {
        self.controls.as_ref().is_some_and(ControlsReport::forbids_verdict)
    }

    /// Returns a duel as a vote.
    pub fn vote(&self, item: &str, duel: &Duel, winner: Winner) -> Vote {
        let name = |system: usize| self.systems[system].name.clone();
        Vote {
            item: item.to_owned(),
            scope: duel.scope,
            first: name(duel.first),
            second: name(duel.second),
            winner,
            judge: self.judge.model.clone(),
        }
    }
}
