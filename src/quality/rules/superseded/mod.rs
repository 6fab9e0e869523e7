//! Rules that newer ones have replaced. They judge conversations that were begun under them, and never change.
//!
//! They share functions with the rules of today where the logic is the same: whoever changes such a function copies it here
//! first.

mod echo;
mod empty;
mod identity;
mod language;
mod no_terminal;
mod refusal;
mod repetition;
mod template_leak;

use std::ops::Range;

use super::{Action, Candidate, Rule};
pub use echo::says_again;

/// The rules of the first version, cheapest first.
pub const FIRST_RULES: &[&dyn Rule] = &[
    &super::finish_length::FinishLength,
    &empty::EMPTY,
    &super::length::Length,
    &refusal::REFUSAL,
    &no_terminal::NO_TERMINAL,
    &super::control_chars::ControlChars,
    &template_leak::TEMPLATE_LEAK,
    &super::fence_open::FenceOpen,
    &super::dup_lines::DupLines,
    &identity::IDENTITY,
    &language::LANGUAGE,
    &super::pii::Pii,
    &repetition::LOOP_TOKEN,
    &repetition::DUP_10GRAM,
    &echo::ECHO,
    &repetition::LOOP_CHAR,
];

/// The actions of a rule that rejects in both presets, and of one that is stricter in the strict preset.
const REJECTS: (Action, Action) = (Action::Reject, Action::Reject);
const FLAGS_OR_REJECTS: (Action, Action) = (Action::Flag, Action::Reject);

/// A rule as it was.
struct Superseded {
    name: &'static str,
    actions: (Action, Action),
    threshold: Option<f64>,
    hits: fn(&Candidate<'_>, f64) -> bool,
    places: fn(&Candidate<'_>) -> Vec<Range<usize>>,
}

impl Rule for Superseded {
    fn name(&self) -> &'static str {
        self.name
    }

    fn actions(&self) -> (Action, Action) {
        self.actions
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
