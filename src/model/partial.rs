use std::sync::Arc;

use super::calls::{PartialCalls, calls_in_text};
use super::detail::PartialTokens;
use super::failure::{Failure, FailureClass};
use super::repetition::RepetitionGuard;
use super::text::TextBuffer;
use crate::conversation::{Answer, FailureCode, Finish, Message, Question, Role, ToolCall, Usage, split_reasoning};

/// Maximum bytes of text and reasoning.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// The finish reason of an answer that was ended here because it repeats itself.
const LOOP: &str = "loop";

/// An answer while its reply is read. Each dialect fills it from its own fields; the rules for a complete answer are
/// the same for all of them and live here.
#[derive(Debug, Default)]
pub struct PartialAnswer {
    pub text: TextBuffer,
    pub reasoning: TextBuffer,
    /// A refusal that the model sent in a field of its own instead of an answer.
    pub refusal: String,
    pub called_tool: bool,
    pub calls: PartialCalls,
    /// The server's finish reason, once it has arrived.
    pub finish: Option<String>,
    /// The model as the server reports it.
    pub model: Option<String>,
    pub system_fingerprint: Option<String>,
    pub usage: Usage,
    /// The tokens, where the server gives them.
    pub tokens: PartialTokens,
    text_guard: RepetitionGuard,
    reasoning_guard: RepetitionGuard,
}

impl PartialAnswer {
    /// Returns the size of what the model has said so far.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.reasoning.len() + self.refusal.len() + self.calls.bytes()
    }

    /// Fails if the answer is too large for the store.
    pub fn check_length(&self) -> Result<(), Failure> {
        check_bytes(self.bytes())
    }

    /// True if the answer repeats itself endlessly, so that reading on only costs tokens. The answer is then kept with
    /// the finish reason `loop`.
    pub fn sees_loop(&mut self) -> bool {
        let is_loop = self.text_guard.sees_loop(self.text.as_bytes())
            || self.reasoning_guard.sees_loop(self.reasoning.as_bytes());
        if is_loop {
            self.finish = Some(LOOP.to_owned());
        }
        is_loop
    }

    /// Returns the answer that the parts make up. `finish_of` maps the server's finish reason; it returns `None` for a
    /// reason that means failure. Without a known finish reason there is no answer.
    pub fn into_answer(
        mut self,
        finish_of: impl Fn(&str) -> Option<Finish>,
        question: &Question,
        attempt: u32,
    ) -> Result<Answer, Failure> {
        self.check_length()?;
        let Some(word) = self.finish.take() else {
            return Err(Failure::new(FailureClass::Transient, FailureCode::Cut, "the reply ended without saying why"));
        };
        let finish = if word == LOOP { Some(Finish::Loop) } else { finish_of(&word) };
        let Some(finish) = finish else {
            return Err(Failure::new(
                FailureClass::Transient,
                FailureCode::Unfinished,
                format!("the server gave up with `{word}`"),
            ));
        };
        let text = std::mem::take(&mut self.text).into_string();
        let mut reasoning = std::mem::take(&mut self.reasoning).into_string();
        let text = match split_reasoning(&text) {
            // A server that separates the reasoning may leave a part of it in the text.
            Some(split) => {
                let parts = [reasoning.trim(), &split.reasoning].into_iter().filter(|part| !part.is_empty());
                reasoning = parts.collect::<Vec<_>>().join("\n\n");
                split.text
            }
            None => text,
        };
        // A byte that is no text has become a character of three.
        check_bytes(text.len() + reasoning.len() + self.refusal.len())?;
        let mut calls = std::mem::take(&mut self.calls).into_kept(question);
        let text = match calls_in_text(&text, question).filter(|_| calls.is_empty()) {
            Some((words, written)) => {
                (calls, self.called_tool) = (written, true);
                words
            }
            None => text,
        };
        let finish = if finish == Finish::Complete { self.actual_finish(&text, question) } else { finish };
        let text = if text.is_empty() { self.refusal } else { text };
        let detail = question.target.detail();
        let tokens = detail.and_then(|detail| self.tokens.into_tokens(detail, self.usage.completion_tokens));
        Ok(Answer {
            message: Message::with_fields(Role::Assistant, text, ToolCall::fields(&calls)),
            reasoning: Some(reasoning).filter(|reasoning| !reasoning.is_empty()),
            finish,
            finish_reason: word,
            model: self.model.unwrap_or_else(|| question.target.model().to_owned()),
            system_fingerprint: self.system_fingerprint,
            usage: self.usage,
            attempts: attempt,
            dropped: Vec::new(),
            tokens: tokens.map(Arc::new),
        })
    }

    /// Returns the finish of an answer that the server reports as complete. Gateways rewrite other reasons to `stop`:
    /// an answer that reached its token limit was truncated. One that exceeds it was not: some servers count rejected
    /// drafts or the reasoning beside the limit.
    fn actual_finish(&self, text: &str, question: &Question) -> Finish {
        let limit = question.target.sampling().max_tokens.map(u64::from);
        let at_limit = limit.zip(self.usage.completion_tokens).is_some_and(|(limit, count)| count == limit);
        if !self.refusal.is_empty() {
            Finish::Refused
        } else if at_limit {
            Finish::Length
        } else if self.called_tool {
            Finish::Tools
        } else if text.trim().is_empty() {
            Finish::Empty
        } else {
            Finish::Complete
        }
    }
}

fn check_bytes(bytes: usize) -> Result<(), Failure> {
    if bytes <= ANSWER_BYTES_MAX {
        return Ok(());
    }
    Err(Failure::new(FailureClass::Permanent, FailureCode::TooLong, "the answer is over 8 MB"))
}
