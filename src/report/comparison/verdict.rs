//! The verdict: which system is better, and the reasons against a verdict.

use super::{ComparisonReport, DuelReport, PositionReport, SliceScore};
use crate::report::evaluation::{JudgeReport, UNPARSED_SHARE_MAX};
use crate::report::votes::ConversationScores;
use crate::report::words::{counted, number};
use crate::statistics::{Conversations, holm};

/// Fewer conversations give no verdict.
pub const CONVERSATIONS_MIN: u64 = 5;
/// From this number of conversations on the bootstrap's interval is reliable alone.
const BOOTSTRAP_MIN: u64 = 50;
/// Above this share of verdicts that change with the order, the judge's verdicts are not used.
const INCONSISTENT_SHARE_MAX: f64 = 0.5;

/// Returns the verdict by rule: the interval of the score beside 0.5 and the margin.
pub(super) fn verdict(a: &str, b: &str, score: &ConversationScores, position: &PositionReport, margin: f64) -> String {
    let inconclusive = "inconclusive".to_owned();
    let Some(interval) = score.interval.filter(|_| score.count >= CONVERSATIONS_MIN) else { return inconclusive };
    let interval_is_near = interval.low >= 0.5 - margin && interval.high <= 0.5 + margin;
    // A verdict that depends on the order says nothing about the answers.
    let depends_on_order = position.is_biased || position.inconsistent_share > INCONSISTENT_SHARE_MAX;
    // The bootstrap's interval is too narrow over few conversations: there the exact test must agree.
    let is_unconfirmed = score.count < BOOTSTRAP_MIN && !interval_is_near && score.sign_test_p >= 0.05;
    if depends_on_order || is_unconfirmed {
        inconclusive
    } else if interval.low > 0.5 {
        format!("{a} better")
    } else if interval.high < 0.5 {
        format!("{b} better")
    } else if interval_is_near {
        format!("equivalent within ±{:.0} points", margin * 100.0)
    } else {
        inconclusive
    }
}

/// Returns the scores of parts of the duels, with the p adjusted for their number. The whole comes after its parts.
pub(super) fn slices<'a>(slices: impl Iterator<Item = (String, &'a Conversations)>) -> Vec<SliceScore> {
    let judged = slices.filter(|(_, all)| !all.is_empty());
    let mut slices: Vec<SliceScore> =
        judged.map(|(name, all)| SliceScore { name, score: ConversationScores::of(all), adjusted_p: 1.0 }).collect();
    let adjusted = holm(&slices.iter().map(|slice| slice.score.sign_test_p).collect::<Vec<_>>());
    slices.iter_mut().zip(adjusted).for_each(|(slice, p)| slice.adjusted_p = p);
    slices
}

/// Returns why the figures cannot be trusted.
pub(super) fn why_incomplete(judge: &JudgeReport, open: u64, votes: usize) -> Vec<String> {
    let mut reasons = Vec::new();
    if judge.unparsed_share > UNPARSED_SHARE_MAX {
        reasons.push(format!("{:.1} % of the verdicts cannot be read", judge.unparsed_share * 100.0));
    }
    if open > 0 {
        reasons.push(format!("{} without a verdict", counted(open, "duel")));
    }
    if votes == 0 {
        reasons.push("there are no verdicts".to_owned());
    }
    reasons
}

/// Returns the cautions for readers.
pub(super) fn cautions(report: &ComparisonReport, suspect: u64) -> Vec<String> {
    let mut cautions: Vec<String> = report.pairs.iter().filter_map(position_bias).collect();
    cautions.extend(report.pairs.iter().filter_map(missing_answers));
    if suspect > 0 {
        cautions.push(format!("{} with an answer that looks like a verdict", counted(suspect, "duel")));
    }
    let judge = &report.judge.model;
    for system in &report.systems {
        if system.model.as_ref().is_some_and(|model| family(model) == family(judge)) {
            let name = &system.name;
            cautions.push(format!(
                "{judge} judges {name}, which seems to be of its own family; judges prefer their own family"
            ));
        }
    }
    cautions
}

fn position_bias(pair: &DuelReport) -> Option<String> {
    let DuelReport { a, b, position, .. } = pair;
    let share = position.first_wins.unwrap_or(0.5) * 100.0;
    position.is_biased.then(|| {
        format!(
            "the judge is position-biased between {a} and {b}: the first answer wins {share:.0} % of its single verdicts"
        )
    })
}

fn missing_answers(pair: &DuelReport) -> Option<String> {
    let DuelReport { a, b, .. } = pair;
    let missing = pair.missing();
    let all = missing + pair.wins + pair.losses + pair.ties + pair.inconsistent + pair.unparsed;
    let (share, all) = (number(missing), counted(all, "duel"));
    (missing > 0).then(|| format!("{a} and {b}: in {share} of {all} an answer is missing; the score covers the others"))
}

/// Returns the beginning of a model's name, which its siblings share.
fn family(model: &str) -> String {
    model.split(['-', ':', '/', '.']).next().unwrap_or(model).to_lowercase()
}

impl DuelReport {
    /// Returns how many duels lack an answer.
    pub(super) fn missing(&self) -> u64 {
        self.a_missing + self.b_missing + self.both_missing
    }
}
