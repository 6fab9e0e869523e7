use serde::Serialize;

use crate::report::votes::ConversationScores;
use crate::statistics::Conversations;

/// The judge's verdicts on pairs whose outcome is known.
#[derive(Clone, Debug, Serialize)]
pub struct ControlsReport {
    /// The same answers on both sides: the interval should cover 0.5.
    pub same: ControlReport,
    /// Answers to other conversations on the second side: the first should nearly always win.
    pub shuffled: ControlReport,
}

/// One control.
#[derive(Clone, Debug, Serialize)]
pub struct ControlReport {
    /// Conversations.
    pub conversations: u64,
    /// The first side's score.
    pub score: ConversationScores,
    /// The control has the expected outcome.
    pub passes: bool,
    /// The expected verdict.
    pub expected: String,
}

impl ControlReport {
    /// Returns the result of a control with the same answers on both sides.
    pub fn same(scores: &Conversations) -> Self {
        let score = ConversationScores::of(scores);
        let passes = score.interval.is_some_and(|interval| interval.covers(0.5));
        Self { conversations: score.count, score, passes, expected: "the interval covers 50 %".to_owned() }
    }

    /// Returns the result of a control with other conversations' answers on the second side.
    pub fn shuffled(scores: &Conversations) -> Self {
        const SCORE_MIN: f64 = 0.9;
        let score = ConversationScores::of(scores);
        let passes = score.score >= SCORE_MIN;
        Self {
            conversations: score.count,
            score,
            passes,
            expected: "the matching answers get at least 90 %".to_owned(),
        }
    }
}
