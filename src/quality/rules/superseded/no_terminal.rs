use super::Superseded;
use crate::quality::rules::{Action, end_of};

/// Ends mid-sentence after nearly all of its token limit.
pub const NO_TERMINAL: Superseded = Superseded {
    name: "no_terminal",
    actions: (Action::Flag, Action::Flag),
    threshold: Some(0.95),
    hits: |candidate, threshold| {
        let Some((tokens, tokens_max)) = candidate.tokens else { return false };
        let is_long = tokens as f64 >= threshold * tokens_max as f64;
        is_long
            && candidate.answer.trim_end().chars().next_back().is_some_and(|last| last.is_alphanumeric() || last == ',')
    },
    places: |candidate| vec![end_of(candidate.answer)],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::Candidate;
    use crate::quality::rules::Rule;

    #[test]
    fn only_a_long_answer_without_an_end_is_flagged() {
        let mut candidate = Candidate::new("Why?", "It is so because the");
        assert!(!NO_TERMINAL.hits(&candidate, 0.95));
        candidate.tokens = Some((99, 100));
        assert!(NO_TERMINAL.hits(&candidate, 0.95));
        candidate.tokens = Some((50, 100));
        assert!(!NO_TERMINAL.hits(&candidate, 0.95));
        let mut ended = Candidate::new("Why?", "It is so.");
        ended.tokens = Some((100, 100));
        assert!(!NO_TERMINAL.hits(&ended, 0.95));
    }
}
