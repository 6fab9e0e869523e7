use std::ops::Range;

use crate::quality::rules::{Action, Candidate, Rule, end_of};

/// Ends mid-sentence after nearly all of its token limit.
pub struct NoTerminal;

impl Rule for NoTerminal {
    fn name(&self) -> &'static str {
        "no_terminal"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Flag, Action::Flag)
    }

    fn threshold(&self) -> Option<f64> {
        Some(0.95)
    }

    fn hits(&self, candidate: &Candidate<'_>, threshold: f64) -> bool {
        let Some((tokens, tokens_max)) = candidate.tokens else { return false };
        let is_long = tokens as f64 >= threshold * tokens_max as f64;
        is_long
            && candidate.answer.trim_end().chars().next_back().is_some_and(|last| last.is_alphanumeric() || last == ',')
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        vec![end_of(candidate.answer)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_long_answer_without_an_end_is_flagged() {
        let mut candidate = Candidate::new("Why?", "It is so because the");
        assert!(!NoTerminal.hits(&candidate, 0.95));
        candidate.tokens = Some((99, 100));
        assert!(NoTerminal.hits(&candidate, 0.95));
        candidate.tokens = Some((50, 100));
        assert!(!NoTerminal.hits(&candidate, 0.95));
        let mut ended = Candidate::new("Why?", "It is so.");
        ended.tokens = Some((100, 100));
        assert!(!NoTerminal.hits(&ended, 0.95));
    }
}
