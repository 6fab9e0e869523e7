//! The records in the journal and in sled, byte for byte. Their structs are separate from the domain types.
//!
//! Fields and variants are only appended, in a new version; tags are never reused. `fixtures/` has a frozen store of
//! each version, which must always open. A record that uses nothing of version 2 is written in version 1, so that an
//! older program reads it.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::codec;
use super::entry::{ConversationState, Entry, LostCalls, Run, Spending, Spent, SpentFlex, Status};
use crate::conversation::{
    Answer, ConversationKey, ConversationStop, FailureReason, Fingerprint, Finish, Lane, Message, Role, SYSTEMS_MAX,
    ServiceTier, Settings, Slot, TurnIndex, Usage,
};

/// The newest version of records that this program reads and writes.
pub const VERSION: u8 = 2;
/// The version of every record that needs nothing of a later one, so that an older program reads it too.
const FIRST_VERSION: u8 = 1;

/// Why bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// No version wrote these bytes.
    Malformed,
    /// A newer program wrote them.
    Newer(u8),
}

/// Appends an entry's record to `out`; false if it is too large.
pub fn encode_entry(entry: &Entry, out: &mut Vec<u8>) -> bool {
    let record = EntryV1::from(entry);
    let is_new = matches!(record, EntryV1::AnsweredV2(_) | EntryV1::Lost { .. });
    codec::encode(if is_new { VERSION } else { FIRST_VERSION }, &record, out)
}

/// Reads an entry's record.
pub fn decode_entry(bytes: &[u8]) -> Result<Entry, Unreadable> {
    decode_versioned::<EntryV1>(bytes)?.into_entry().ok_or(Unreadable::Malformed)
}

/// Returns a conversation state's record.
pub fn encode_state(state: &ConversationState) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + state.history.len() * 36);
    codec::encode(FIRST_VERSION, &StateV1::from(state), &mut out);
    out
}

/// Reads a conversation state's record.
pub fn decode_state(bytes: &[u8]) -> Result<ConversationState, Unreadable> {
    decode_versioned::<StateV1>(bytes)?.into_state().ok_or(Unreadable::Malformed)
}

/// Returns the spending's record.
pub fn encode_spending(spending: &Spending) -> Vec<u8> {
    let rows = spending.iter().map(|(model, spent)| SpentV1::from((model, spent)));
    let mut out = Vec::new();
    if spending.values().all(|spent| spent.cache_write_tokens == 0 && spent.flex == SpentFlex::default()) {
        codec::encode(FIRST_VERSION, &rows.collect::<Vec<_>>(), &mut out);
    } else {
        let newer = spending.values().map(|spent| (spent.cache_write_tokens, SpentFlexV2::from(spent.flex)));
        let rows =
            rows.zip(newer).map(|(spent, (cache_write_tokens, flex))| SpentV2 { spent, cache_write_tokens, flex });
        codec::encode(VERSION, &rows.collect::<Vec<_>>(), &mut out);
    }
    out
}

/// Reads the spending's record.
pub fn decode_spending(bytes: &[u8]) -> Result<Spending, Unreadable> {
    if let Some((2, rest)) = codec::version(bytes) {
        let rows: Vec<SpentV2> = codec::decode(rest).ok_or(Unreadable::Malformed)?;
        return Ok(rows.into_iter().map(SpentV2::into_row).collect());
    }
    Ok(decode_versioned::<Vec<SpentV1>>(bytes)?.into_iter().map(SpentV1::into_row).collect())
}

/// Returns a run's record in the index.
pub fn encode_run(run: &Run) -> Vec<u8> {
    let mut out = Vec::new();
    codec::encode(FIRST_VERSION, &CountedRunV1 { run: run.into(), answers: run.answers }, &mut out);
    out
}

/// Returns the record of a question's lost calls in the index.
pub fn encode_lost(lost: &LostCalls) -> Vec<u8> {
    let mut out = Vec::new();
    codec::encode(VERSION, &(lost.calls, &lost.reason), &mut out);
    out
}

/// Reads the record of a question's lost calls.
pub fn decode_lost(bytes: &[u8]) -> Result<LostCalls, Unreadable> {
    let (calls, reason) = decode_versioned(bytes)?;
    Ok(LostCalls { calls, reason })
}

/// Reads a run's record.
pub fn decode_run(bytes: &[u8]) -> Result<Run, Unreadable> {
    let CountedRunV1 { run, answers } = decode_versioned(bytes)?;
    Ok(run.into_run(answers))
}

fn decode_versioned<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    match codec::version(bytes) {
        Some((FIRST_VERSION..=VERSION, rest)) => codec::decode(rest).ok_or(Unreadable::Malformed),
        Some((0, _)) | None => Err(Unreadable::Malformed),
        Some((version, _)) => Err(Unreadable::Newer(version)),
    }
}

#[derive(Serialize, Deserialize)]
enum EntryV1<'a> {
    Run(RunV1),
    Answered(AnsweredV1<'a>),
    Linked {
        conversation: [u8; 32],
        slot: SlotV1,
        fingerprint: [u8; 32],
    },
    Closed {
        conversation: [u8; 32],
        status: StatusV1,
    },
    Unknown {
        model: Cow<'a, str>,
        calls: u64,
        prompt_tokens: u64,
        completion_tokens: u64,
    },
    /// Since version 2.
    AnsweredV2(AnsweredV2<'a>),
    /// Since version 2.
    Lost {
        fingerprint: [u8; 32],
        calls: u32,
        reason: Cow<'a, str>,
    },
}

#[derive(Serialize, Deserialize)]
struct RunV1 {
    number: u32,
    started_ms: u64,
    settings: Vec<(String, String)>,
}

/// A run in the index, with the number of its answers.
#[derive(Serialize, Deserialize)]
struct CountedRunV1 {
    run: RunV1,
    answers: u64,
}

#[derive(Serialize, Deserialize)]
struct AnsweredV1<'a> {
    run: u32,
    conversation: [u8; 32],
    slot: SlotV1,
    fingerprint: [u8; 32],
    model: Cow<'a, str>,
    text: Cow<'a, str>,
    reasoning: Option<Cow<'a, str>>,
    finish: u8,
    finish_reason: Cow<'a, str>,
    reported_model: Cow<'a, str>,
    system_fingerprint: Option<Cow<'a, str>>,
    prompt_tokens: Option<u64>,
    cached_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
    attempts: u32,
}

/// An answer with something that version 1 does not have.
#[derive(Serialize, Deserialize)]
struct AnsweredV2<'a> {
    answered: AnsweredV1<'a>,
    cache_write_tokens: Option<u64>,
    /// The parts of the request that were not sent.
    dropped: Vec<Cow<'a, str>>,
    /// The tag of the tier that was charged.
    tier: u8,
}

#[derive(Serialize, Deserialize)]
struct SlotV1(u8, u32, u32);

#[derive(Serialize, Deserialize)]
enum StatusV1 {
    Open,
    Complete,
    Stopped { turn: u32, reason: String },
    Failed { turn: u32, reason: String, permanent: bool },
}

#[derive(Serialize, Deserialize)]
struct StateV1 {
    history: Vec<(SlotV1, [u8; 32])>,
    cursor: u32,
    status: StatusV1,
}

#[derive(Serialize, Deserialize)]
struct SpentV1 {
    model: String,
    calls: u64,
    prompt_tokens: u64,
    cached_tokens: u64,
    completion_tokens: u64,
    reasoning_tokens: u64,
    unknown_calls: u64,
    unknown_prompt_tokens: u64,
    unknown_completion_tokens: u64,
}

#[derive(Serialize, Deserialize)]
struct SpentV2 {
    spent: SpentV1,
    cache_write_tokens: u64,
    flex: SpentFlexV2,
}

#[derive(Serialize, Deserialize)]
struct SpentFlexV2 {
    calls: u64,
    prompt_tokens: u64,
    cached_tokens: u64,
    cache_write_tokens: u64,
    completion_tokens: u64,
    reasoning_tokens: u64,
}

impl<'a> From<&'a Entry> for EntryV1<'a> {
    fn from(entry: &'a Entry) -> Self {
        match entry {
            Entry::Run(run) => Self::Run(run.into()),
            Entry::Answered { run, conversation, slot, fingerprint, model, answer } => {
                let answered = AnsweredV1 {
                    run: *run,
                    conversation: conversation.0,
                    slot: (*slot).into(),
                    fingerprint: fingerprint.0,
                    model: model.into(),
                    text: answer.text().into(),
                    reasoning: answer.reasoning.as_deref().map(Cow::from),
                    finish: finish_tag(answer.finish),
                    finish_reason: Cow::from(&answer.finish_reason),
                    reported_model: Cow::from(&answer.model),
                    system_fingerprint: answer.system_fingerprint.as_deref().map(Cow::from),
                    prompt_tokens: answer.usage.prompt_tokens,
                    cached_tokens: answer.usage.cached_tokens,
                    completion_tokens: answer.usage.completion_tokens,
                    reasoning_tokens: answer.usage.reasoning_tokens,
                    attempts: answer.attempts,
                };
                let cache_write_tokens = answer.usage.cache_write_tokens;
                let tier = answer.usage.tier;
                if cache_write_tokens.is_none() && answer.dropped.is_empty() && tier == ServiceTier::Standard {
                    return Self::Answered(answered);
                }
                let dropped = answer.dropped.iter().map(Cow::from).collect();
                Self::AnsweredV2(AnsweredV2 { answered, cache_write_tokens, dropped, tier: tier_tag(tier) })
            }
            Entry::Linked { conversation, slot, fingerprint } => {
                Self::Linked { conversation: conversation.0, slot: (*slot).into(), fingerprint: fingerprint.0 }
            }
            Entry::Closed { conversation, status } => {
                Self::Closed { conversation: conversation.0, status: status.into() }
            }
            Entry::Lost { fingerprint, lost } => {
                Self::Lost { fingerprint: fingerprint.0, calls: lost.calls, reason: Cow::from(&lost.reason) }
            }
            Entry::Unknown { model, calls, prompt_tokens, completion_tokens } => Self::Unknown {
                model: model.into(),
                calls: *calls,
                prompt_tokens: *prompt_tokens,
                completion_tokens: *completion_tokens,
            },
        }
    }
}

impl EntryV1<'_> {
    fn into_entry(self) -> Option<Entry> {
        Some(match self {
            Self::Run(run) => Entry::Run(run.into_run(0)),
            Self::Answered(answered) => answered.into_entry(None, Vec::new(), ServiceTier::Standard)?,
            Self::AnsweredV2(AnsweredV2 { answered, cache_write_tokens, dropped, tier }) => {
                answered.into_entry(cache_write_tokens, dropped, tier_from_tag(tier)?)?
            }
            Self::Linked { conversation, slot, fingerprint } => Entry::Linked {
                conversation: ConversationKey(conversation),
                slot: slot.into_slot()?,
                fingerprint: Fingerprint(fingerprint),
            },
            Self::Closed { conversation, status } => {
                Entry::Closed { conversation: ConversationKey(conversation), status: status.into_status() }
            }
            Self::Lost { fingerprint, calls, reason } => Entry::Lost {
                fingerprint: Fingerprint(fingerprint),
                lost: LostCalls { calls, reason: reason.into_owned() },
            },
            Self::Unknown { model, calls, prompt_tokens, completion_tokens } => {
                Entry::Unknown { model: model.into_owned(), calls, prompt_tokens, completion_tokens }
            }
        })
    }
}

impl AnsweredV1<'_> {
    fn into_entry(
        self,
        cache_write_tokens: Option<u64>,
        dropped: Vec<Cow<'_, str>>,
        tier: ServiceTier,
    ) -> Option<Entry> {
        let answer = Answer {
            message: Message::new(Role::Assistant, self.text),
            reasoning: self.reasoning.map(Cow::into_owned),
            finish: finish_from_tag(self.finish)?,
            finish_reason: self.finish_reason.into_owned(),
            model: self.reported_model.into_owned(),
            system_fingerprint: self.system_fingerprint.map(Cow::into_owned),
            usage: Usage {
                prompt_tokens: self.prompt_tokens,
                cached_tokens: self.cached_tokens,
                cache_write_tokens,
                completion_tokens: self.completion_tokens,
                reasoning_tokens: self.reasoning_tokens,
                tier,
            },
            attempts: self.attempts,
            dropped: dropped.into_iter().map(Cow::into_owned).collect(),
        };
        Some(Entry::Answered {
            run: self.run,
            conversation: ConversationKey(self.conversation),
            slot: self.slot.into_slot()?,
            fingerprint: Fingerprint(self.fingerprint),
            model: self.model.into_owned(),
            answer: Arc::new(answer),
        })
    }
}

impl From<&Run> for RunV1 {
    fn from(run: &Run) -> Self {
        Self { number: run.number, started_ms: run.started_ms, settings: run.settings.entries.clone() }
    }
}

impl RunV1 {
    fn into_run(self, answers: u64) -> Run {
        let settings = Settings { entries: self.settings };
        Run { number: self.number, started_ms: self.started_ms, settings, answers }
    }
}

/// The tag of the first system's lane; those of the other systems follow.
const FIRST_SYSTEM: u8 = 64;

impl From<Slot> for SlotV1 {
    fn from(slot: Slot) -> Self {
        let lane = match slot.lane {
            Lane::Main => 0,
            Lane::User => 1,
            Lane::Judge => 2,
            Lane::Student => 3,
            Lane::Grader => 4,
            Lane::System(number) => FIRST_SYSTEM + number,
        };
        Self(lane, slot.turn, slot.attempt)
    }
}

impl SlotV1 {
    fn into_slot(self) -> Option<Slot> {
        let lane = match self.0 {
            0 => Lane::Main,
            1 => Lane::User,
            2 => Lane::Judge,
            3 => Lane::Student,
            4 => Lane::Grader,
            FIRST_SYSTEM.. if usize::from(self.0 - FIRST_SYSTEM) < SYSTEMS_MAX => Lane::System(self.0 - FIRST_SYSTEM),
            _ => return None,
        };
        Some(Slot { lane, turn: self.1, attempt: self.2 })
    }
}

/// The byte for an answer's finish; never reused.
fn finish_tag(finish: Finish) -> u8 {
    match finish {
        Finish::Complete => 0,
        Finish::Length => 1,
        Finish::Filtered => 2,
        Finish::Refused => 3,
        Finish::Tools => 4,
        Finish::Empty => 5,
        Finish::Loop => 6,
    }
}

fn finish_from_tag(tag: u8) -> Option<Finish> {
    const ALL: [Finish; 7] = [
        Finish::Complete,
        Finish::Length,
        Finish::Filtered,
        Finish::Refused,
        Finish::Tools,
        Finish::Empty,
        Finish::Loop,
    ];
    ALL.into_iter().find(|finish| finish_tag(*finish) == tag)
}

/// The byte for the tier that was charged; never reused.
fn tier_tag(tier: ServiceTier) -> u8 {
    match tier {
        ServiceTier::Standard => 0,
        ServiceTier::Flex => 1,
    }
}

fn tier_from_tag(tag: u8) -> Option<ServiceTier> {
    [ServiceTier::Standard, ServiceTier::Flex].into_iter().find(|tier| tier_tag(*tier) == tag)
}

impl From<&Status> for StatusV1 {
    fn from(status: &Status) -> Self {
        match status {
            Status::Open => Self::Open,
            Status::Complete => Self::Complete,
            Status::Stopped { turn, reason } => Self::Stopped { turn: turn.index(), reason: reason.to_string() },
            Status::Failed { turn, reason, permanent } => {
                Self::Failed { turn: turn.index(), reason: reason.to_string(), permanent: *permanent }
            }
        }
    }
}

impl StatusV1 {
    fn into_status(self) -> Status {
        match self {
            Self::Open => Status::Open,
            Self::Complete => Status::Complete,
            Self::Stopped { turn, reason } => {
                Status::Stopped { turn: TurnIndex::from_index(turn), reason: ConversationStop::from(reason) }
            }
            Self::Failed { turn, reason, permanent } => {
                Status::Failed { turn: TurnIndex::from_index(turn), reason: FailureReason::from(&*reason), permanent }
            }
        }
    }
}

impl From<&ConversationState> for StateV1 {
    fn from(state: &ConversationState) -> Self {
        let history = state.history.iter().map(|(slot, fingerprint)| ((*slot).into(), fingerprint.0)).collect();
        Self { history, cursor: state.cursor, status: (&state.status).into() }
    }
}

impl StateV1 {
    fn into_state(self) -> Option<ConversationState> {
        let history = self.history.into_iter().map(|(slot, hash)| Some((slot.into_slot()?, Fingerprint(hash))));
        Some(ConversationState {
            history: history.collect::<Option<_>>()?,
            cursor: self.cursor,
            status: self.status.into_status(),
        })
    }
}

impl From<(&String, &Spent)> for SpentV1 {
    fn from((model, spent): (&String, &Spent)) -> Self {
        Self {
            model: model.clone(),
            calls: spent.calls,
            prompt_tokens: spent.prompt_tokens,
            cached_tokens: spent.cached_tokens,
            completion_tokens: spent.completion_tokens,
            reasoning_tokens: spent.reasoning_tokens,
            unknown_calls: spent.unknown_calls,
            unknown_prompt_tokens: spent.unknown_prompt_tokens,
            unknown_completion_tokens: spent.unknown_completion_tokens,
        }
    }
}

impl SpentV1 {
    fn into_row(self) -> (String, Spent) {
        let spent = Spent {
            calls: self.calls,
            prompt_tokens: self.prompt_tokens,
            cached_tokens: self.cached_tokens,
            cache_write_tokens: 0,
            completion_tokens: self.completion_tokens,
            reasoning_tokens: self.reasoning_tokens,
            flex: SpentFlex::default(),
            unknown_calls: self.unknown_calls,
            unknown_prompt_tokens: self.unknown_prompt_tokens,
            unknown_completion_tokens: self.unknown_completion_tokens,
        };
        (self.model, spent)
    }
}

impl SpentV2 {
    fn into_row(self) -> (String, Spent) {
        let (model, spent) = self.spent.into_row();
        (model, Spent { cache_write_tokens: self.cache_write_tokens, flex: self.flex.into(), ..spent })
    }
}

impl From<SpentFlex> for SpentFlexV2 {
    fn from(spent: SpentFlex) -> Self {
        let SpentFlex { calls, prompt_tokens, cached_tokens, cache_write_tokens, completion_tokens, reasoning_tokens } =
            spent;
        Self { calls, prompt_tokens, cached_tokens, cache_write_tokens, completion_tokens, reasoning_tokens }
    }
}

impl From<SpentFlexV2> for SpentFlex {
    fn from(spent: SpentFlexV2) -> Self {
        let SpentFlexV2 {
            calls,
            prompt_tokens,
            cached_tokens,
            cache_write_tokens,
            completion_tokens,
            reasoning_tokens,
        } = spent;
        Self { calls, prompt_tokens, cached_tokens, cache_write_tokens, completion_tokens, reasoning_tokens }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_a_decoder_panic_or_allocate_without_bound(mut bytes in prop::collection::vec(any::<u8>(), 0..400), version in 0..4u8) {
            if version > 0 {
                bytes.insert(0, version);
            }
            let _ = (decode_entry(&bytes), decode_state(&bytes), decode_spending(&bytes), decode_run(&bytes));
        }

        #[test]
        fn a_length_that_lies_is_refused(length in any::<u64>(), version in 1..3u8, tag in 0..8u8) {
            let mut bytes = vec![version, tag, 253];
            bytes.extend_from_slice(&length.to_le_bytes());
            prop_assert!(decode_entry(&bytes).is_err());
            prop_assert!(decode_state(&bytes).is_err());
        }
    }

    #[test]
    fn why_a_conversation_failed_is_stored_as_its_text() {
        let text = "judge: http_400: no; system 2: context: over 10";
        let status = Status::Failed { turn: TurnIndex::from_index(3), reason: text.into(), permanent: true };
        let stored = StatusV1::from(&status);
        assert!(matches!(&stored, StatusV1::Failed { turn: 3, reason, permanent: true } if reason == text));
        assert_eq!(stored.into_status(), status);
    }

    #[test]
    fn a_record_of_a_later_program_is_told_from_a_broken_one() {
        assert_eq!(decode_entry(&[VERSION + 1, 0]), Err(Unreadable::Newer(VERSION + 1)));
        assert_eq!(decode_entry(&[FIRST_VERSION, 99]), Err(Unreadable::Malformed));
        assert_eq!(decode_entry(&[VERSION, 99]), Err(Unreadable::Malformed));
    }

    #[test]
    fn lost_calls_are_stored_in_a_newer_version() {
        let lost = LostCalls { calls: 3, reason: "http_504: gave up".to_owned() };
        let lost = Entry::Lost { fingerprint: Fingerprint([7; 32]), lost };
        let unknown = Entry::Unknown { model: "m".to_owned(), calls: 1, prompt_tokens: 2, completion_tokens: 3 };
        for (entry, version) in [(lost, 2), (unknown, 1)] {
            let mut bytes = Vec::new();
            assert!(encode_entry(&entry, &mut bytes));
            assert_eq!((bytes[0], decode_entry(&bytes)), (version, Ok(entry)));
        }
    }

    fn answered(answer: Answer) -> Entry {
        Entry::Answered {
            run: 1,
            conversation: ConversationKey([1; 32]),
            slot: Slot::main(0),
            fingerprint: Fingerprint([2; 32]),
            model: "m".to_owned(),
            answer: Arc::new(answer),
        }
    }

    #[test]
    fn answers_of_the_flex_tier_are_stored_as_such() {
        let mut answer = Answer::complete("m", "text");
        answer.usage = Usage { prompt_tokens: Some(20), tier: ServiceTier::Flex, ..Usage::default() };
        let mut spent = Spent::default();
        spent.add(&answer.usage);
        spent.add(&Usage { tier: ServiceTier::Standard, ..answer.usage });
        let counts = spent.usage_by_tier().map(|usage| (usage.prompt_tokens, usage.tier));
        assert_eq!(counts, [(Some(20), ServiceTier::Standard), (Some(20), ServiceTier::Flex)]);
        let entry = answered(answer);
        let mut bytes = Vec::new();
        assert!(encode_entry(&entry, &mut bytes));
        assert_eq!((bytes[0], decode_entry(&bytes)), (2, Ok(entry)));
        let spending = Spending::from([("m".to_owned(), spent)]);
        let bytes = encode_spending(&spending);
        assert_eq!((bytes[0], decode_spending(&bytes)), (2, Ok(spending)));
    }

    #[test]
    fn tokens_written_to_a_cache_are_stored_and_no_other_record_changes() {
        for (written, version) in [(None, 1), (Some(0), 2), (Some(9), 2)] {
            let mut answer = Answer::complete("m", "text");
            answer.usage = Usage { prompt_tokens: Some(20), cache_write_tokens: written, ..Usage::default() };
            let entry = answered(answer);
            let mut bytes = Vec::new();
            assert!(encode_entry(&entry, &mut bytes));
            assert_eq!((bytes[0], decode_entry(&bytes)), (version, Ok(entry)));
        }
        for (written, version) in [(0, 1), (9, 2)] {
            let spent = Spent { calls: 1, cache_write_tokens: written, ..Spent::default() };
            let spending = Spending::from([("a".to_owned(), spent), ("b".to_owned(), Spent::default())]);
            let bytes = encode_spending(&spending);
            assert_eq!((bytes[0], decode_spending(&bytes)), (version, Ok(spending)));
        }
    }

    /// Stores hold these bytes.
    #[test]
    fn finishes_tiers_and_lanes_keep_their_bytes() {
        let finishes = [
            Finish::Complete,
            Finish::Length,
            Finish::Filtered,
            Finish::Refused,
            Finish::Tools,
            Finish::Empty,
            Finish::Loop,
        ];
        assert_eq!(finishes.map(finish_tag), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!((0..7).map(finish_from_tag).collect::<Vec<_>>(), finishes.map(Some));
        assert_eq!(finish_from_tag(7), None);
        assert_eq!([ServiceTier::Standard, ServiceTier::Flex].map(tier_tag), [0, 1]);
        assert_eq!([0, 1, 2].map(tier_from_tag), [Some(ServiceTier::Standard), Some(ServiceTier::Flex), None]);
        let most = SYSTEMS_MAX as u8 - 1;
        let lanes = [
            (Lane::Main, 0),
            (Lane::User, 1),
            (Lane::Judge, 2),
            (Lane::Student, 3),
            (Lane::Grader, 4),
            (Lane::System(0), FIRST_SYSTEM),
            (Lane::System(most), FIRST_SYSTEM + most),
        ];
        for (lane, tag) in lanes {
            let slot = Slot { lane, turn: 7, attempt: 8 };
            let stored = SlotV1::from(slot);
            assert_eq!((stored.0, stored.1, stored.2), (tag, 7, 8));
            assert_eq!(stored.into_slot(), Some(slot));
        }
        for tag in [5, FIRST_SYSTEM - 1, FIRST_SYSTEM + SYSTEMS_MAX as u8, u8::MAX] {
            assert_eq!(SlotV1(tag, 0, 0).into_slot(), None, "{tag}");
        }
    }

    #[test]
    fn every_status_is_read_as_it_was_written() {
        let reason = ConversationStop::from("user_invalid: echo".to_owned());
        let stopped = Status::Stopped { turn: TurnIndex::from_index(2), reason };
        for status in [Status::Open, Status::Complete, stopped] {
            let state = ConversationState {
                history: vec![(Slot::main(0), Fingerprint([1; 32])), (Slot::main(1), Fingerprint([2; 32]))],
                cursor: 2,
                status,
            };
            assert_eq!(decode_state(&encode_state(&state)), Ok(state));
        }
    }

    #[test]
    fn a_version_that_no_program_wrote_is_malformed() {
        assert_eq!(decode_state(&[]), Err(Unreadable::Malformed));
        assert_eq!(decode_state(&[0, 0, 0, 0]), Err(Unreadable::Malformed));
        assert_eq!(decode_state(&[VERSION + 1]), Err(Unreadable::Newer(VERSION + 1)));
        assert_eq!(decode_lost(&[u8::MAX]), Err(Unreadable::Newer(u8::MAX)));
    }
}
