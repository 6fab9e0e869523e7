mod calls;
mod parts;
mod tokens;
mod words;

use std::sync::Arc;

use super::{Call, Model, PendingCall};
use crate::conversation::{Answer, AnswerTokens, Dice, Finish, Message, Question, Role, ToolCall, Usage};

/// A model that needs no server: plausible text, chosen by a hash of the whole question.
///
/// The same question gives the same answer on every machine; another history, temperature or sample index gives another
/// one. For trials, tests and load.
#[derive(Clone, Copy, Debug, Default)]
pub struct Simulated;

impl Simulated {
    /// The dialect's name in fingerprints: no other model shares its answers.
    pub const DIALECT: &'static str = "simulated";

    /// Returns the answer to `question`.
    pub fn answer(question: &Question, attempt: u32) -> Answer {
        let key = dice_key(question);
        if let Some(calls) = calls::play(question, &key) {
            return Self::call(question, attempt, &calls);
        }
        let mut dice = Dice::new("simulated", &key);
        let prompt = question.messages.iter().rev().find(|message| message.role() == Role::User);
        let prompt = prompt.map_or("", |message| message.content());
        let full = parts::play(question, &mut dice).unwrap_or_else(|| words::compose(prompt, &mut dice));
        let limit = question.target.sampling().max_tokens.map_or(usize::MAX, |limit| limit as usize);
        let (text, cut) = cut_to_tokens(&full, limit);
        let tokens = Self::tokens(question, text);
        Answer {
            message: Message::new(Role::Assistant, text),
            reasoning: None,
            finish: if cut { Finish::Length } else { Finish::Complete },
            finish_reason: if cut { "length" } else { "stop" }.to_owned(),
            model: question.target.model().to_owned(),
            system_fingerprint: None,
            usage: Usage {
                prompt_tokens: Some(prompt_tokens(question, tokens.as_deref())),
                completion_tokens: Some(token_ends(text).count() as u64),
                ..Usage::default()
            },
            attempts: attempt,
            dropped: Vec::new(),
            tokens,
        }
    }

    /// Returns an answer of calls alone. They are kept where the question keeps them.
    fn call(question: &Question, attempt: u32, calls: &[ToolCall]) -> Answer {
        let bytes: usize = calls.iter().map(|call| call.name.len() + call.arguments.len()).sum();
        let fields = ToolCall::fields(if question.target.keeps_calls() { calls } else { &[] });
        // As the next prompt has them.
        let written = serde_json::to_string(&fields).unwrap_or_default();
        let tokens = Self::tokens(question, if fields.is_empty() { "" } else { &written });
        let counted = tokens.as_ref().map_or(bytes as u64 / 4 + 1, |tokens| tokens.completion.len() as u64);
        Answer {
            message: Message::with_fields(Role::Assistant, "", fields),
            finish: Finish::Tools,
            finish_reason: "tool_calls".to_owned(),
            usage: Usage {
                prompt_tokens: Some(prompt_tokens(question, tokens.as_deref())),
                completion_tokens: Some(counted),
                ..Usage::default()
            },
            attempts: attempt,
            tokens,
            ..Answer::complete(question.target.model(), "")
        }
    }
}

fn prompt_tokens(question: &Question, tokens: Option<&AnswerTokens>) -> u64 {
    let estimated = || question.messages.iter().map(|message| message.estimated_tokens() + 4).sum();
    tokens.map_or_else(estimated, |tokens| tokens.prompt.rest.len() as u64)
}

impl Simulated {
    /// Returns the tokens of an answer, where the question asks for them.
    pub(super) fn tokens(question: &Question, text: &str) -> Option<Arc<AnswerTokens>> {
        question.target.detail().map(|detail| Arc::new(tokens::tokens(question, text, detail)))
    }
}

impl Model for Simulated {
    fn ask<'a>(&'a self, call: Call<'a>) -> PendingCall<'a> {
        Box::pin(std::future::ready(Ok(Self::answer(call.question, call.attempt)).into()))
    }
}

/// Everything that may change the answer and is visible on the wire, so that the built-in model and the mock server
/// give the same answers.
fn dice_key(question: &Question) -> Vec<u8> {
    let mut key = question.target.model().as_bytes().to_vec();
    key.extend_from_slice(format!("{:?}{}", question.target.sampling(), question.sample).as_bytes());
    key.extend_from_slice(question.messages.digests());
    key
}

/// Returns the end of each token of `text`: a token is a word with the space after it, or one Han character.
pub fn token_ends(text: &str) -> impl Iterator<Item = usize> {
    let mut characters = text.char_indices().peekable();
    std::iter::from_fn(move || {
        loop {
            let (at, character) = characters.next()?;
            let end = at + character.len_utf8();
            let ends_here = character.is_whitespace() || character as u32 >= 0x2e80;
            if ends_here || characters.peek().is_none() {
                return Some(end);
            }
        }
    })
}

fn cut_to_tokens(text: &str, limit: usize) -> (&str, bool) {
    match token_ends(text).take(limit.saturating_add(1)).enumerate().last() {
        Some((index, _)) if index >= limit => {
            let end = limit.checked_sub(1).and_then(|last| token_ends(text).nth(last)).unwrap_or(0);
            (&text[..end], true)
        }
        _ => (text, false),
    }
}
