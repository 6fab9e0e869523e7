use std::collections::BTreeMap;
use std::sync::Arc;

use crate::conversation::{Answer, ConversationKey, FailureReason, Fingerprint, Settings, Slot, Usage};

/// Something that happened, as the journal keeps it.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A run began.
    Run(Run),
    /// A model answered.
    Answered {
        /// The run that paid for it.
        run: u32,
        /// The conversation that asked first.
        conversation: ConversationKey,
        /// Where the answer belongs in it.
        slot: Slot,
        /// The question.
        fingerprint: Fingerprint,
        /// The model's name as it was asked for; spending is booked on it.
        model: String,
        /// The answer.
        answer: Arc<Answer>,
    },
    /// A conversation took an answer that was there already.
    Linked {
        /// The conversation.
        conversation: ConversationKey,
        /// Where the answer belongs in it.
        slot: Slot,
        /// The question that was answered before.
        fingerprint: Fingerprint,
    },
    /// A run died with requests in the air.
    Unknown {
        /// The model's name as it was asked for.
        model: String,
        /// How many.
        calls: u64,
        /// The most prompt tokens that they can have had.
        prompt_tokens: u64,
        /// The most tokens that their answers can have had.
        completion_tokens: u64,
    },
    /// A conversation came to an end.
    Closed {
        /// The conversation.
        conversation: ConversationKey,
        /// How it ended; never [`Status::Open`].
        status: Status,
    },
}

/// One run of the program over this store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Counts runs from 1.
    pub number: u32,
    /// When it began, milliseconds since 1970 in UTC.
    pub started_ms: u64,
    /// The recipe's settings.
    pub settings: Settings,
    /// Answers that it has paid for so far; counted by the index.
    pub answers: u64,
}

/// An answer as the store gives it back.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The run that paid for it.
    pub run: u32,
    /// The answer.
    pub answer: Arc<Answer>,
}

/// A conversation's history and next-turn cursor: a fold over the journal's entries about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConversationState {
    /// The committed questions in slot order.
    pub history: Vec<(Slot, Fingerprint)>,
    /// The turn that comes next in the main lane, from 0.
    pub cursor: u32,
    /// How far the conversation has come.
    pub status: Status,
}

/// How far a conversation has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Turns are missing.
    #[default]
    Open,
    /// Every turn has a whole answer.
    Complete,
    /// The recipe went no further, because of what an answer was.
    Stopped {
        /// The turn, from 0.
        turn: u32,
        /// A short code such as `length`.
        reason: String,
    },
    /// A question could not be answered.
    Failed {
        /// The turn, from 0.
        turn: u32,
        /// Why, lane by lane.
        reason: FailureReason,
        /// True where asking the same again can only fail again.
        permanent: bool,
    },
}

/// Spending by the model's name as it was asked for.
pub type Spending = BTreeMap<String, Spent>;

/// Calls and tokens that were paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Answers.
    pub calls: u64,
    /// Prompt tokens, cached ones included.
    pub prompt_tokens: u64,
    /// Prompt tokens that came from the server's cache.
    pub cached_tokens: u64,
    /// Tokens of the answers, reasoning included.
    pub completion_tokens: u64,
    /// Tokens of reasoning.
    pub reasoning_tokens: u64,
    /// Requests that were in the air when a run died: nobody knows whether they were answered and paid for.
    pub unknown_calls: u64,
    /// The most prompt tokens that those can have had.
    pub unknown_prompt_tokens: u64,
    /// The most tokens that their answers can have had, where a limit was set.
    pub unknown_completion_tokens: u64,
}

impl Spent {
    /// Returns the tokens that are known to be paid for.
    pub fn usage(&self) -> Usage {
        Usage {
            prompt_tokens: Some(self.prompt_tokens),
            cached_tokens: Some(self.cached_tokens),
            completion_tokens: Some(self.completion_tokens),
            reasoning_tokens: Some(self.reasoning_tokens),
        }
    }

    /// Books one answer.
    pub fn add(&mut self, usage: &Usage) {
        self.calls += 1;
        self.prompt_tokens = self.prompt_tokens.saturating_add(usage.prompt_tokens.unwrap_or(0));
        self.cached_tokens = self.cached_tokens.saturating_add(usage.cached_tokens.unwrap_or(0));
        self.completion_tokens = self.completion_tokens.saturating_add(usage.completion_tokens.unwrap_or(0));
        self.reasoning_tokens = self.reasoning_tokens.saturating_add(usage.reasoning_tokens.unwrap_or(0));
    }
}
