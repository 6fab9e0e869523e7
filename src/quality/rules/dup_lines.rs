use std::ops::Range;

use super::{Action, Candidate, Rule};
use crate::quality::text::{GramSet, hash_of, lines_of};

/// The share of duplicate lines exceeds the threshold, in an answer of at least four lines.
pub struct DupLines;

const LINES_MIN: usize = 4;

impl Rule for DupLines {
    fn name(&self) -> &'static str {
        "dup_lines"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Flag, Action::Flag)
    }

    fn threshold(&self) -> Option<f64> {
        Some(0.3)
    }

    fn hits(&self, candidate: &Candidate<'_>, threshold: f64) -> bool {
        let (duplicates, lines) = counts(candidate.answer);
        lines >= LINES_MIN && duplicates as f64 > threshold * lines as f64
    }

    fn value(&self, candidate: &Candidate<'_>) -> Option<f64> {
        let (duplicates, lines) = counts(candidate.answer);
        (lines >= LINES_MIN).then_some(duplicates as f64 / lines as f64)
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        let mut seen = GramSet::new(said_lines(candidate.answer).count());
        let mut start = 0;
        let mut places = Vec::new();
        for line in candidate.answer.split_inclusive('\n') {
            let place = start..start + line.len();
            start = place.end;
            if !line.trim().is_empty() && !seen.insert(hash_of(line.trim().as_bytes())) {
                places.push(place);
            }
        }
        places
    }
}

/// Returns how many lines of a text were there before, and how many it has; blank ones do not count.
fn counts(text: &str) -> (usize, usize) {
    let lines: Vec<&str> = said_lines(text).collect();
    if lines.len() < LINES_MIN {
        return (0, lines.len());
    }
    let mut seen = GramSet::new(lines.len());
    let duplicates = lines.iter().filter(|line| !seen.insert(hash_of(line.as_bytes()))).count();
    (duplicates, lines.len())
}

fn said_lines(text: &str) -> impl Iterator<Item = &str> {
    lines_of(text).map(str::trim).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chorus_is_flagged_and_a_list_is_not() {
        let hits = |answer: &str| DupLines.hits(&Candidate::new("Sing!", answer), 0.3);
        assert!(hits("la\nla\n\nla\nlo\n") && !hits("a\nb\nc\nd") && !hits("a\na\na"));
    }
}
