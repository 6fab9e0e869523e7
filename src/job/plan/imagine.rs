use serde_json::json;

use super::role::PlanRole;
use crate::conversation::{Answer, Digest, Usage};

/// Most tokens of an imagined text.
const TEXT_TOKENS_MAX: u64 = 1 << 20;
/// Bytes of a token in [`estimate_tokens`](crate::conversation::estimate_tokens).
const BYTES_PER_TOKEN: f64 = 3.6;
/// Letters of a question's identity that make an imagined answer the only one of its kind.
const NAME_BYTES: usize = 16;
/// A verdict on every scale: each reads what fits it.
const VERDICT: &str = "[[5]] [[A]] [[YES]]";

/// The answer that is expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// Tokens that are paid for.
    pub tokens: u64,
    /// Tokens of the text, which the next questions hold.
    pub text_tokens: u64,
}

/// Makes an answer of the expected length. Its words depend on the question alone, as a model's do that always says the same:
/// equal questions have equal answers, whatever the rows had before.
pub fn imagine(role: PlanRole, question: &Digest, expected: Expected) -> Answer {
    let text = match role {
        PlanRole::Judge | PlanRole::Controls => VERDICT.to_owned(),
        PlanRole::Scorer => "5".to_owned(),
        PlanRole::Goal => json!({"intent": text(question, expected.text_tokens.min(ENTRY_TOKENS))}).to_string(),
        _ => text(question, expected.text_tokens),
    };
    let mut answer = Answer::complete("", text);
    answer.usage = Usage { completion_tokens: Some(expected.tokens), ..Usage::default() };
    answer
}

/// Tokens of a goal's entry that is not too long for it.
const ENTRY_TOKENS: u64 = 100;

fn text(question: &Digest, tokens: u64) -> String {
    let mut text = question.to_string();
    text.truncate(NAME_BYTES);
    let bytes = (tokens.min(TEXT_TOKENS_MAX) as f64 * BYTES_PER_TOKEN) as usize;
    text.extend(std::iter::repeat_n('.', bytes.saturating_sub(text.len())));
    text
}
