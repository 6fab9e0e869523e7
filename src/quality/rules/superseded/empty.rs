use crate::quality::rules::{Action, Candidate, Rule};

/// Only white space.
pub struct Empty;

impl Rule for Empty {
    fn name(&self) -> &'static str {
        "empty"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Reject, Action::Reject)
    }

    fn hits(&self, candidate: &Candidate<'_>, _: f64) -> bool {
        candidate.answer.trim().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_nothing() {
        assert!(Empty.hits(&Candidate::new("Why?", " \n\u{3000}"), 0.0));
        assert!(!Empty.hits(&Candidate::new("Why?", "."), 0.0));
    }
}
