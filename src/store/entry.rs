use std::collections::BTreeMap;
use std::sync::Arc;

use super::codec::RECORD_BYTES_MAX;
use super::error::StoreError;
use super::start::{FrameId, StartId};
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
    /// A process that asks has started: what follows is its own, up to the next start.
    Start(StartId),
    /// An answer of another store. The start that paid for it counts it; this store does not.
    Kept(Box<KeptAnswer>),
    /// A run of another store.
    KeptRun {
        /// The start that it belongs to.
        start: StartId,
        /// The run, under the number that it has there.
        run: Run,
    },
    /// The spending of a start of another store, in full. Of two values each larger one counts.
    KeptSpending {
        /// The start.
        start: StartId,
        /// What it has spent.
        spending: Spending,
    },
    /// The state of a conversation, joined from several stores. It takes the place of what this store knew.
    KeptState {
        /// The conversation.
        conversation: ConversationKey,
        /// Its state.
        state: ConversationState,
    },
    /// Every conversation is cut after an answer that another one has replaced.
    Settled,
}

/// An answer of another store.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptAnswer {
    /// The start that paid for it.
    pub start: StartId,
    /// Whether it is the answer to its question here.
    pub standing: KeptStanding,
    /// The run that paid for it, under the number that it has in the store of its start.
    pub run: u32,
    /// The conversation that asked first.
    pub conversation: ConversationKey,
    /// The answer's slot in that conversation.
    pub slot: Slot,
    /// The question.
    pub fingerprint: Fingerprint,
    /// The requested model's name.
    pub model: String,
    /// The answer.
    pub answer: Arc<Answer>,
}

/// Whether an answer of another store is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptStanding {
    /// Its question has another answer.
    Unused,
    /// It is the first answer to its question here.
    Used,
    /// It is used from now on, in place of this one, which is kept.
    InPlaceOf(FrameId),
}

impl KeptAnswer {
    /// Returns the entry with which its own store has recorded it.
    pub fn paid(&self) -> Entry {
        Entry::Answered {
            run: self.run,
            conversation: self.conversation,
            slot: self.slot,
            fingerprint: self.fingerprint,
            model: self.model.clone(),
            answer: Arc::clone(&self.answer),
        }
    }
}

/// Bytes that a record may need beside its texts: numbers, hashes, the lengths of its texts.
const FRAME_OF_TEXTS_MAX: usize = 4 << 10;
/// Bytes of the numbers of one model's spending: 15 of nine bytes at most.
const SPENT_BYTES_MAX: usize = 15 * 9;
/// Bytes of a slot with its question.
const STATE_SLOT_BYTES_MAX: usize = 1 + 5 + 5 + 32;

impl Entry {
    /// True for an answer to the question with this fingerprint.
    pub(super) fn answers(&self, question: &Fingerprint) -> bool {
        self.question() == Some(question)
    }

    /// True for what comes from other stores.
    pub(super) fn is_kept(&self) -> bool {
        matches!(
            self,
            Self::Kept(_) | Self::KeptRun { .. } | Self::KeptSpending { .. } | Self::KeptState { .. } | Self::Settled
        )
    }

    /// Returns the question that the entry answers, unless it is kept beside another answer.
    pub(super) fn used_question(&self) -> Option<&Fingerprint> {
        match self {
            Self::Kept(kept) if kept.standing == KeptStanding::Unused => None,
            other => other.question(),
        }
    }

    /// Returns the question that the entry answers.
    pub fn question(&self) -> Option<&Fingerprint> {
        match self {
            Self::Answered { fingerprint, .. } => Some(fingerprint),
            Self::Kept(kept) => Some(&kept.fingerprint),
            _ => None,
        }
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
        let spending =
            |spending: &Spending| spending.keys().map(|model| model.len() + 9 + SPENT_BYTES_MAX).sum::<usize>();
        match self {
            Self::Answered { model, answer, .. } => {
                let beside = answer.reasoning.iter().chain(&answer.system_fingerprint).map(String::len).sum::<usize>();
                let named = model.len() + answer.model.len() + answer.finish_reason.len();
                let fields = answer.message.fields_json().map_or(0, |fields| fields.len());
                let tokens = answer.tokens.as_ref().map_or(0, |tokens| tokens.bytes_max());
                answer.text().len() + beside + named + list(&answer.dropped) + fields + tokens
            }
            Self::Run(run) => run.settings.entries.iter().map(|(name, value)| name.len() + value.len() + 18).sum(),
            Self::Lost { lost, .. } => lost.reason.len(),
            Self::Closed { status: Status::Stopped { reason, .. }, .. } => reason.to_string().len(),
            Self::Closed { status: Status::Failed { reason, .. }, .. } => reason.to_string().len(),
            Self::Unknown { model, .. } => model.len(),
            Self::Kept(kept) => kept.paid().text_bytes(),
            Self::KeptRun { run, .. } => Self::Run(run.clone()).text_bytes(),
            Self::KeptSpending { spending: spent, .. } => spending(spent),
            Self::KeptState { conversation, state } => {
                let status = Self::Closed { conversation: *conversation, status: state.status.clone() };
                status.text_bytes() + state.history.len() * STATE_SLOT_BYTES_MAX
            }
            Self::Linked { .. } | Self::Closed { .. } | Self::Start(_) | Self::Settled => 0,
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Returns each larger count of two values of one counter.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        self.each(other, u64::max)
    }

    fn each(self, other: Self, of_two: fn(u64, u64) -> u64) -> Self {
        Self {
            calls: of_two(self.calls, other.calls),
            prompt_tokens: of_two(self.prompt_tokens, other.prompt_tokens),
            cached_tokens: of_two(self.cached_tokens, other.cached_tokens),
            cache_write_tokens: of_two(self.cache_write_tokens, other.cache_write_tokens),
            completion_tokens: of_two(self.completion_tokens, other.completion_tokens),
            reasoning_tokens: of_two(self.reasoning_tokens, other.reasoning_tokens),
            flex: self.flex.each(other.flex, of_two),
            unknown_calls: of_two(self.unknown_calls, other.unknown_calls),
            unknown_prompt_tokens: of_two(self.unknown_prompt_tokens, other.unknown_prompt_tokens),
            unknown_completion_tokens: of_two(self.unknown_completion_tokens, other.unknown_completion_tokens),
        }
    }

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

    /// Adds the counters of another worker.
    pub fn plus(&mut self, other: &Self) {
        *self = self.each(*other, u64::saturating_add);
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
    fn each(self, other: Self, of_two: fn(u64, u64) -> u64) -> Self {
        Self {
            calls: of_two(self.calls, other.calls),
            prompt_tokens: of_two(self.prompt_tokens, other.prompt_tokens),
            cached_tokens: of_two(self.cached_tokens, other.cached_tokens),
            cache_write_tokens: of_two(self.cache_write_tokens, other.cache_write_tokens),
            completion_tokens: of_two(self.completion_tokens, other.completion_tokens),
            reasoning_tokens: of_two(self.reasoning_tokens, other.reasoning_tokens),
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::samples::{answered, conversation, entries, question};

    #[test]
    fn the_bytes_of_an_entry_are_those_of_its_texts() {
        let bytes: Vec<usize> = entries().iter().map(Entry::text_bytes).collect();
        // A run's setting is `recipe` and `distill`, with nine bytes for the length of each; an answer is its text, the model's
        // name twice, and how it ended.
        let (run, answer) = (6 + 7 + 18, "answer 1".len() + 1 + 1 + "stop".len());
        assert_eq!(bytes, [run, answer, answer, answer, 0, 17, 1, 14, run, answer]);
        let Entry::Answered { answer, .. } = answered(1, Slot::main(0), 1) else { panic!("it is an answer") };
        let full = Answer {
            reasoning: Some("12345".to_owned()),
            system_fingerprint: Some("1234567".to_owned()),
            dropped: vec!["123".to_owned(), "1".to_owned()],
            ..(*answer).clone()
        };
        let entry = Entry::Answered {
            run: 1,
            conversation: conversation(1),
            slot: Slot::main(0),
            fingerprint: question(1),
            model: "12".to_owned(),
            answer: Arc::new(full),
        };
        assert_eq!(entry.text_bytes(), 8 + 5 + 7 + 2 + 1 + 4 + (3 + 9) + (1 + 9));
        let stopped = Status::Stopped { turn: TurnIndex::FIRST, reason: ConversationStop::OrphanReference };
        assert_eq!(Entry::Closed { conversation: conversation(1), status: stopped }.text_bytes(), 16);
        assert_eq!(Entry::Closed { conversation: conversation(1), status: Status::Complete }.text_bytes(), 0);
    }

    #[test]
    fn an_entry_must_leave_room_for_what_is_beside_its_texts() {
        let said = |length: usize| {
            let lost = LostCalls { calls: 1, reason: "r".repeat(length) };
            Entry::Lost { fingerprint: question(1), lost }.check_size()
        };
        let room = RECORD_BYTES_MAX - (4 << 10);
        said(room - 1).unwrap();
        match said(room) {
            Err(StoreError::TooLarge { length, limit }) => {
                assert_eq!((length, limit), (RECORD_BYTES_MAX, RECORD_BYTES_MAX));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_an_answer_answers_its_question() {
        assert!(answered(1, Slot::main(0), 1).answers(&question(1)));
        assert!(!answered(1, Slot::main(0), 1).answers(&question(2)));
        let linked = Entry::Linked { conversation: conversation(1), slot: Slot::main(0), fingerprint: question(1) };
        assert!(!linked.answers(&question(1)));
    }

    #[test]
    fn spending_of_the_flex_tier_is_counted_twice_and_told_apart() {
        let usage = |tier, tokens| Usage {
            prompt_tokens: Some(tokens),
            cached_tokens: Some(tokens + 1),
            cache_write_tokens: Some(tokens + 2),
            completion_tokens: Some(tokens + 3),
            reasoning_tokens: Some(tokens + 4),
            tier,
        };
        let mut spent = Spent::default();
        spent.add(&usage(ServiceTier::Standard, 100));
        spent.add(&usage(ServiceTier::Flex, 10));
        spent.add(&usage(ServiceTier::Flex, 10));
        spent.add(&Usage::default());
        let flex = SpentFlex {
            calls: 2,
            prompt_tokens: 20,
            cached_tokens: 22,
            cache_write_tokens: 24,
            completion_tokens: 26,
            reasoning_tokens: 28,
        };
        let all = Spent {
            calls: 4,
            prompt_tokens: 120,
            cached_tokens: 123,
            cache_write_tokens: 126,
            completion_tokens: 129,
            reasoning_tokens: 132,
            flex,
            ..Spent::default()
        };
        assert_eq!(spent, all);
        assert_eq!(
            spent.usage_by_tier(),
            [
                usage(ServiceTier::Standard, 100),
                Usage {
                    prompt_tokens: Some(20),
                    cached_tokens: Some(22),
                    cache_write_tokens: Some(24),
                    completion_tokens: Some(26),
                    reasoning_tokens: Some(28),
                    tier: ServiceTier::Flex,
                }
            ]
        );
    }

    #[test]
    fn a_conversation_is_finished_or_has_failed_for_good() {
        let failed = |permanent| Status::Failed { turn: TurnIndex::FIRST, reason: FailureReason::from("x"), permanent };
        let stopped = Status::Stopped { turn: TurnIndex::FIRST, reason: ConversationStop::OrphanReference };
        let all = [Status::Open, Status::Complete, stopped, failed(false), failed(true)];
        assert_eq!(all.clone().map(|status| status.is_finished()), [false, true, true, false, false]);
        assert_eq!(all.map(|status| status.is_failed_for_good()), [false, false, false, false, true]);
    }
}
