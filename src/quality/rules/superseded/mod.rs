//! Rules that newer ones have replaced. They judge conversations that were begun under them, and never change.

mod dup_10gram;
mod language;
mod loop_char;
mod loop_token;

use super::Rule;

/// The rules of the first version, in the same order.
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
    &language::Language,
    &super::pii::Pii,
    &loop_token::LoopToken,
    &dup_10gram::Dup10Gram,
    &super::echo::Echo,
    &loop_char::LoopChar,
];
