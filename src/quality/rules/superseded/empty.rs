use super::{REJECTS, Superseded};

/// Only white space.
pub const EMPTY: Superseded = Superseded {
    name: "empty",
    actions: REJECTS,
    threshold: None,
    hits: |candidate, _| candidate.answer.trim().is_empty(),
    places: |_| Vec::new(),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::Candidate;
    use crate::quality::rules::Rule;

    #[test]
    fn white_space_is_nothing() {
        assert!(EMPTY.hits(&Candidate::new("Why?", " \n\u{3000}"), 0.0));
        assert!(!EMPTY.hits(&Candidate::new("Why?", "."), 0.0));
    }
}
