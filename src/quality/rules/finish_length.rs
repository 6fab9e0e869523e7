use std::ops::Range;

use super::{Action, Candidate, Rule, end_of};
use crate::conversation::Finish;

/// Truncated by the token limit. The retry has twice the tokens.
pub struct FinishLength;

impl Rule for FinishLength {
    fn name(&self) -> &'static str {
        "finish_length"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Reject, Action::Reject)
    }

    fn hits(&self, candidate: &Candidate<'_>, _: f64) -> bool {
        candidate.finish == Some(Finish::Length)
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        vec![end_of(candidate.answer)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_limit_counts() {
        let mut candidate = Candidate::new("Why?", "Becau");
        assert!(!FinishLength.hits(&candidate, 0.0));
        candidate.finish = Some(Finish::Length);
        assert!(FinishLength.hits(&candidate, 0.0));
    }
}
