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
mod template_leak;

use super::action::Action;
use super::candidate::Candidate;
pub use echo::says_again;

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
