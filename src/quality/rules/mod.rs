//! The rules, in order of cost.

mod control_chars;
mod dup_10gram;
mod dup_lines;
mod echo;
mod empty;
mod fence_open;
mod finish_length;
mod identity;
mod language;
mod length;
mod loop_char;
mod loop_token;
mod no_terminal;
mod pii;
mod refusal;
mod superseded;
mod template_leak;

use std::ops::Range;

use super::action::Action;
use super::candidate::Candidate;
pub use echo::says_again;
pub(super) use superseded::FIRST_RULES;

/// A check for one kind of fault in an answer.
pub trait Rule: Send + Sync {
    /// Returns the name in options and reports.
    fn name(&self) -> &'static str;

    /// Returns the actions of the standard and of the strict preset.
    fn actions(&self) -> (Action, Action);

    /// Returns the default threshold, if the rule has one.
    fn threshold(&self) -> Option<f64> {
        None
    }

    /// True where the answer has this fault. `threshold` is the default or the configured one.
    fn hits(&self, candidate: &Candidate<'_>, threshold: f64) -> bool;

    /// Returns where in the answer the fault is, in bytes, to be shown. None where it is about the answer as a whole.
    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        let _ = candidate;
        Vec::new()
    }
}

/// Returns where a text ends: its last few words, for rules about what is missing after them.
fn end_of(text: &str) -> Range<usize> {
    const CHARACTERS: usize = 24;
    let text = text.trim_end();
    text.char_indices().rev().nth(CHARACTERS).map_or(0, |(at, _)| at)..text.len()
}

/// Every rule, cheapest first.
pub const RULES: &[&dyn Rule] = &[
    &finish_length::FinishLength,
    &empty::Empty,
    &length::Length,
    &refusal::RefusalRule,
    &no_terminal::NoTerminal,
    &control_chars::ControlChars,
    &template_leak::TemplateLeak,
    &fence_open::FenceOpen,
    &dup_lines::DupLines,
    &identity::Identity,
    &language::Language,
    &pii::Pii,
    &loop_token::LoopToken,
    &dup_10gram::Dup10Gram,
    &echo::Echo,
    &loop_char::LoopChar,
];
