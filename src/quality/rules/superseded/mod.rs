//! Rules that newer ones have replaced. They judge conversations that were begun under them, and never change.
//!
//! They share functions with the rules of today where the logic is the same: whoever changes such a function copies it here
//! first.

mod language;
mod repetition;

use std::ops::Range;

use super::{Action, Candidate, Rule};

/// The rules of the first version, cheapest first.
pub const FIRST_RULES: &[&dyn Rule] = &[
    &super::finish_length::FinishLength,
    &super::empty::Empty,
    &super::length::Length,
    &super::refusal::RefusalRule,
    &super::no_terminal::NoTerminal,
    &super::control_chars::ControlChars,
    &super::template_leak::TemplateLeak,
    &super::fence_open::FenceOpen,
    &super::dup_lines::DupLines,
    &super::identity::Identity,
    &language::LANGUAGE,
    &super::pii::Pii,
    &repetition::LOOP_TOKEN,
    &repetition::DUP_10GRAM,
    &super::echo::Echo,
    &repetition::LOOP_CHAR,
];

/// A rule as it was. All of them reject.
struct Superseded {
    name: &'static str,
    threshold: Option<f64>,
    hits: fn(&Candidate<'_>, f64) -> bool,
    places: fn(&Candidate<'_>) -> Vec<Range<usize>>,
}

impl Rule for Superseded {
    fn name(&self) -> &'static str {
        self.name
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Reject, Action::Reject)
    }

    fn threshold(&self) -> Option<f64> {
        self.threshold
    }

    fn hits(&self, candidate: &Candidate<'_>, threshold: f64) -> bool {
        (self.hits)(candidate, threshold)
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        (self.places)(candidate)
    }
}
