use std::ops::Range;

use super::{Action, Candidate, Rule};
use crate::quality::text::fence_count;

/// An unclosed code fence.
pub struct FenceOpen;

impl Rule for FenceOpen {
    fn name(&self) -> &'static str {
        "fence_open"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Flag, Action::Reject)
    }

    fn hits(&self, candidate: &Candidate<'_>, _: f64) -> bool {
        fence_count(candidate.answer) % 2 == 1
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        let last = candidate.answer.rfind("```");
        last.map(|at| at..candidate.answer[at..].find('\n').map_or(candidate.answer.len(), |end| at + end))
            .into_iter()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_number_of_fences_is_open() {
        assert!(FenceOpen.hits(&Candidate::new("How?", "So:\n```rust\nfn main() {}"), 0.0));
        assert!(!FenceOpen.hits(&Candidate::new("How?", "So:\n```rust\nfn main() {}\n```"), 0.0));
    }
}
