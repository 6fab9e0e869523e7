use std::sync::Arc;

use super::answer_tokens::AnswerTokens;
use super::message::{Message, Role};
use super::service_tier::ServiceTier;

/// A model's answer to one [`Question`](super::Question). It was paid for and is kept, good or bad.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The text, as the history of the next turn holds it.
    pub message: Arc<Message>,
    /// The reasoning, where the server gives one. Never part of the history.
    pub reasoning: Option<String>,
    /// How the answer ended.
    pub finish: Finish,
    /// The server's own word for how it ended.
    pub finish_reason: String,
    /// The model as the server reported it, which may differ from the name asked for.
    pub model: String,
    /// The server's `system_fingerprint`, where it gives one.
    pub system_fingerprint: Option<String>,
    /// Tokens as the server counted them.
    pub usage: Usage,
    /// How many times the question was sent until this answer came, in the run that got it. Requests that revealed a
    /// setting of the server do not count.
    pub attempts: u32,
    /// Parts of the request that were not sent, because the server does not support them. Not part of the identity.
    pub dropped: Vec<String>,
    /// Its tokens and those of its prompt, where they were asked for and the server gave them.
    pub tokens: Option<Arc<AnswerTokens>>,
}

impl Answer {
    /// A complete answer of a model, without token counts, given at the first attempt.
    pub fn complete(model: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            message: Message::new(Role::Assistant, text),
            reasoning: None,
            finish: Finish::Complete,
            finish_reason: Finish::Complete.name().to_owned(),
            model: model.into(),
            system_fingerprint: None,
            usage: Usage::default(),
            attempts: 1,
            dropped: Vec::new(),
            tokens: None,
        }
    }

    /// The fault of an answer that calls a tool: nobody has a result for it.
    pub const TOOL_USE: &'static str = "tool_use";

    /// Returns the words.
    pub fn text(&self) -> &str {
        self.message.content()
    }

    /// True where the model ended the answer itself.
    pub fn is_whole(&self) -> bool {
        self.finish == Finish::Complete
    }

    /// Returns the name of its end if it is not whole.
    pub fn finish_fault(&self) -> Option<&'static str> {
        match self.finish {
            Finish::Complete => None,
            Finish::Tools => Some(Self::TOOL_USE),
            other => Some(other.name()),
        }
    }
}

/// How an answer ended. Only [`Finish::Complete`] is a whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Finish {
    /// The model ended the answer itself.
    Complete,
    /// Cut by the token limit or the end of the context.
    Length,
    /// Cut or withheld by the server's filter.
    Filtered,
    /// The model declined, and the server marked it so.
    Refused,
    /// The model called a tool instead of answering.
    Tools,
    /// The answer is empty.
    Empty,
    /// Cut off because it repeated itself endlessly.
    Loop,
}

impl Finish {
    /// Returns the reason code used in outputs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Finish::Complete => "stop",
            Finish::Length => "length",
            Finish::Filtered => "content_filter",
            Finish::Refused => "refusal",
            Finish::Tools => "tool_calls",
            Finish::Empty => "empty",
            Finish::Loop => "loop",
        }
    }
}

/// Tokens as the server counted them, and the tier that it charged; `None` where it said nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All tokens of the prompt, cached ones included.
    pub prompt_tokens: Option<u64>,
    /// Those of the prompt that came from the server's cache.
    pub cached_tokens: Option<u64>,
    /// Those of the prompt that the server wrote to its cache, where it charges for that.
    pub cache_write_tokens: Option<u64>,
    /// All tokens of the answer, reasoning included.
    pub completion_tokens: Option<u64>,
    /// Those of the answer that were reasoning.
    pub reasoning_tokens: Option<u64>,
    /// The tier that the server says it charged; the standard one where it says nothing.
    pub tier: ServiceTier,
}
