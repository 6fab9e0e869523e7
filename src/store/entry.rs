use std::collections::BTreeMap;
use std::sync::Arc;

use super::codec::RECORD_BYTES_MAX;
use super::error::StoreError;
use crate::conversation::{
    Answer, ConversationKey, ConversationStop, FailureReason, Fingerprint, Price, ServiceTier, Settings, Slot,
    TurnIndex, Usage,
};

/// An event, as the journal records it.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A run began.
    Run(Run),
    /// A model answered.
    Answered {
        /// The run that paid for the answer.
        run: u32,
        /// The conversation that asked first.
        conversation: ConversationKey,
        /// The answer's slot in that conversation.
        slot: Slot,
        /// The question.
        fingerprint: Fingerprint,
        /// The requested model's name; spending is charged to it.
        model: String,
        /// The answer.
        answer: Arc<Answer>,
    },
    /// A conversation shares an existing answer.
    Linked {
        /// The conversation.
        conversation: ConversationKey,
        /// The answer's slot in the conversation.
        slot: Slot,
        /// The question, answered earlier.
        fingerprint: Fingerprint,
    },
    /// A run was killed with requests in flight.
    Unknown {
        /// The requested model's name.
        model: String,
        /// The number of requests.
        calls: u64,
        /// The most prompt tokens that they may have used.
        prompt_tokens: u64,
        /// The most answer tokens that they may have used.
        completion_tokens: u64,
    },
    /// Calls of a question were probably paid for and brought no answer. The newest entry counts.
    Lost {
        /// The question.
        fingerprint: Fingerprint,
        /// The calls.
        lost: LostCalls,
    },
    /// A conversation ended.
    Closed {
        /// The conversation.
        conversation: ConversationKey,
        /// Its status; never [`Status::Open`].
        status: Status,
    },
}

/// Bytes that a record may need beside its texts: numbers, hashes, the lengths of its texts.
const FRAME_OF_TEXTS_MAX: usize = 4 << 10;

impl Entry {
    /// True for an answer to the question with this fingerprint.
    pub(super) fn answers(&self, question: &Fingerprint) -> bool {
        matches!(self, Self::Answered { fingerprint, .. } if fingerprint == question)
    }

    /// Fails if the store might not hold the entry. One that passes can always be encoded.
    pub fn check_size(&self) -> Result<(), StoreError> {
        let length = self.text_bytes() + FRAME_OF_TEXTS_MAX;
        if length < RECORD_BYTES_MAX { Ok(()) } else { Err(StoreError::TooLarge { length, limit: RECORD_BYTES_MAX }) }
    }

    /// Returns the bytes of the entry's texts, at most some more.
    pub(super) fn text_bytes(&self) -> usize {
        // The length of a text is written in nine bytes at most.
        let list = |texts: &[String]| texts.iter().map(|text| text.len() + 9).sum::<usize>();
        match self {
            Self::Answered { model, answer, .. } => {
                let beside = answer.reasoning.iter().chain(&answer.system_fingerprint).map(String::len).sum::<usize>();
                let named = model.len() + answer.model.len() + answer.finish_reason.len();
                answer.text().len() + beside + named + list(&answer.dropped)
            }
            Self::Run(run) => run.settings.entries.iter().map(|(name, value)| name.len() + value.len() + 18).sum(),
            Self::Lost { lost, .. } => lost.reason.len(),
            Self::Closed { status: Status::Stopped { reason, .. }, .. } => reason.to_string().len(),
            Self::Closed { status: Status::Failed { reason, .. }, .. } => reason.to_string().len(),
            Self::Unknown { model, .. } => model.len(),
            Self::Linked { .. } | Self::Closed { .. } => 0,
        }
    }
}

/// Calls of one question that were probably paid for and brought no answer, while the server answered others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LostCalls {
    /// The number of calls, over all runs.
    pub calls: u32,
    /// How the last one ended: its failure's code and message.
    pub reason: String,
}

/// A run of the program on this store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The run's number, from 1.
    pub number: u32,
    /// The start of the run, in milliseconds since 1970 in UTC.
    pub started_ms: u64,
    /// The recipe's settings.
    pub settings: Settings,
    /// The answers that the run paid for so far; counted by the index.
    pub answers: u64,
}

/// An answer in the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The run that paid for the answer.
    pub run: u32,
    /// The answer.
    pub answer: Arc<Answer>,
}

/// A conversation's history and next turn, folded from the journal's entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConversationState {
    /// The committed questions, ordered by slot.
    pub history: Vec<(Slot, Fingerprint)>,
    /// The next turn in the main lane, from 0.
    pub cursor: u32,
    /// The conversation's status.
    pub status: Status,
}

/// The status of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Turns are missing.
    #[default]
    Open,
    /// Every turn has a complete answer.
    Complete,
    /// The recipe stopped because of an answer.
    Stopped {
        /// The turn.
        turn: TurnIndex,
        /// Why.
        reason: ConversationStop,
    },
    /// A question failed.
    Failed {
        /// The turn.
        turn: TurnIndex,
        /// The cause, for each lane.
        reason: FailureReason,
        /// True if a retry of the same question would fail again.
        permanent: bool,
    },
}

impl Status {
    /// True where nothing is left to ask: the conversation is complete, or its recipe stopped it.
    pub fn is_finished(&self) -> bool {
        matches!(self, Self::Complete | Self::Stopped { .. })
    }

    /// True where a retry would fail again.
    pub fn is_failed_for_good(&self) -> bool {
        matches!(self, Self::Failed { permanent: true, .. })
    }
}

/// Spending by the requested model's name.
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
    /// Prompt tokens that the server wrote to its cache.
    pub cache_write_tokens: u64,
    /// Answer tokens, reasoning included.
    pub completion_tokens: u64,
    /// Reasoning tokens.
    pub reasoning_tokens: u64,
    /// Those of all of these that the server charged at its flex tier.
    pub flex: SpentFlex,
    /// Requests without a stored answer: they failed, were probes, or were in flight when a run was killed.
    pub unknown_calls: u64,
    /// The most prompt tokens that those may have used.
    pub unknown_prompt_tokens: u64,
    /// The most answer tokens that they may have used, if a limit was set.
    pub unknown_completion_tokens: u64,
}

/// Answers and tokens of a flex tier; as in [`Spent`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpentFlex {
    /// Answers.
    pub calls: u64,
    /// Prompt tokens.
    pub prompt_tokens: u64,
    /// Prompt tokens from the cache.
    pub cached_tokens: u64,
    /// Prompt tokens that were written to the cache.
    pub cache_write_tokens: u64,
    /// Answer tokens.
    pub completion_tokens: u64,
    /// Reasoning tokens.
    pub reasoning_tokens: u64,
}

impl Spent {
    /// Returns the dollars for all tokens that are known to be paid for.
    pub fn cost(&self, price: &Price) -> f64 {
        self.usage_by_tier().iter().map(|usage| price.cost(usage)).sum()
    }

    /// Returns the tokens that are known to be paid for: at the standard tier, and at the flex tier.
    pub fn usage_by_tier(&self) -> [Usage; 2] {
        let flex = &self.flex;
        let counts = [
            (self.prompt_tokens, flex.prompt_tokens),
            (self.cached_tokens, flex.cached_tokens),
            (self.cache_write_tokens, flex.cache_write_tokens),
            (self.completion_tokens, flex.completion_tokens),
            (self.reasoning_tokens, flex.reasoning_tokens),
        ];
        let usage = |tier, count: fn((u64, u64)) -> u64| {
            let [prompt_tokens, cached_tokens, cache_write_tokens, completion_tokens, reasoning_tokens] =
                counts.map(|both| Some(count(both)));
            Usage { prompt_tokens, cached_tokens, cache_write_tokens, completion_tokens, reasoning_tokens, tier }
        };
        [
            usage(ServiceTier::Standard, |(all, flex)| all.saturating_sub(flex)),
            usage(ServiceTier::Flex, |(_, flex)| flex),
        ]
    }

    /// Adds one answer.
    pub fn add(&mut self, usage: &Usage) {
        self.calls += 1;
        self.prompt_tokens = self.prompt_tokens.saturating_add(usage.prompt_tokens.unwrap_or(0));
        self.cached_tokens = self.cached_tokens.saturating_add(usage.cached_tokens.unwrap_or(0));
        self.cache_write_tokens = self.cache_write_tokens.saturating_add(usage.cache_write_tokens.unwrap_or(0));
        self.completion_tokens = self.completion_tokens.saturating_add(usage.completion_tokens.unwrap_or(0));
        self.reasoning_tokens = self.reasoning_tokens.saturating_add(usage.reasoning_tokens.unwrap_or(0));
        if usage.tier == ServiceTier::Flex {
            self.flex.add(usage);
        }
    }
}

impl SpentFlex {
    fn add(&mut self, usage: &Usage) {
        self.calls += 1;
        let counts = [
            (&mut self.prompt_tokens, usage.prompt_tokens),
            (&mut self.cached_tokens, usage.cached_tokens),
            (&mut self.cache_write_tokens, usage.cache_write_tokens),
            (&mut self.completion_tokens, usage.completion_tokens),
            (&mut self.reasoning_tokens, usage.reasoning_tokens),
        ];
        for (sum, part) in counts {
            *sum = sum.saturating_add(part.unwrap_or(0));
        }
    }
}
