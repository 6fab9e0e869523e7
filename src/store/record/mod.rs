//! The records in the journal and in sled, byte for byte. Their structs are separate from the domain types.
//!
//! Fields and variants are only appended, in a new version; tags are never reused. `fixtures/` has a frozen store of
//! each version, which must always open. A record is written in the oldest version that holds all of it, so that an older
//! program reads it.

mod answered;
mod spending;
mod state;
mod tokens;

pub use spending::{decode_spending, encode_spending};

use std::borrow::Cow;

use answered::{AnsweredRecord, AnsweredV1, AnsweredV2, AnsweredV3, Paid};
use serde::{Deserialize, Serialize};
use spending::SpentV2;
use state::{SlotV1, StateV1, StatusV1};

use super::codec;
use super::entry::{ConversationState, Entry, KeptAnswer, KeptStanding, LostCalls, Run};
use super::start::{FrameId, StartId};
use crate::conversation::{ConversationKey, Digest, Fingerprint, Settings};

/// The newest version of records that this program reads and writes.
pub const VERSION: u8 = 4;
/// The version of records of calls to tools and of token ids.
const THIRD_VERSION: u8 = 3;
/// The version of records of lost calls, of tiers, and of what was written to caches.
const SECOND_VERSION: u8 = 2;
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
    let version = match record {
        EntryV1::Start(_)
        | EntryV1::Kept(_)
        | EntryV1::KeptRun { .. }
        | EntryV1::KeptSpending { .. }
        | EntryV1::KeptState { .. }
        | EntryV1::Settled => VERSION,
        EntryV1::AnsweredV3(_) => THIRD_VERSION,
        EntryV1::AnsweredV2(_) | EntryV1::Lost { .. } => SECOND_VERSION,
        _ => FIRST_VERSION,
    };
    codec::encode(version, &record, out)
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

/// Returns a run's record in the index.
pub fn encode_run(run: &Run) -> Vec<u8> {
    let mut out = Vec::new();
    codec::encode(FIRST_VERSION, &CountedRunV1 { run: run.into(), answers: run.answers }, &mut out);
    out
}

/// Returns the record of a question's lost calls in the index.
pub fn encode_lost(lost: &LostCalls) -> Vec<u8> {
    let mut out = Vec::new();
    codec::encode(SECOND_VERSION, &(lost.calls, &lost.reason), &mut out);
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
    /// Since version 3.
    AnsweredV3(Box<AnsweredV3<'a>>),
    /// Since version 4.
    Start([u8; 16]),
    /// Since version 4.
    Kept(Box<KeptV4<'a>>),
    /// Since version 4.
    KeptRun {
        start: [u8; 16],
        run: RunV1,
    },
    /// Since version 4.
    KeptSpending {
        start: [u8; 16],
        spending: Vec<SpentV2>,
    },
    /// Since version 4.
    KeptState {
        conversation: [u8; 32],
        state: StateV1,
    },
    /// Since version 4.
    Settled,
}

/// An answer of another store.
#[derive(Serialize, Deserialize)]
struct KeptV4<'a> {
    start: [u8; 16],
    standing: StandingV4,
    answered: AnsweredV3<'a>,
}

#[derive(Serialize, Deserialize)]
enum StandingV4 {
    Unused,
    Used,
    InPlaceOf { record: [u8; 32], start: [u8; 16] },
}

impl From<KeptStanding> for StandingV4 {
    fn from(standing: KeptStanding) -> Self {
        match standing {
            KeptStanding::Unused => Self::Unused,
            KeptStanding::Used => Self::Used,
            KeptStanding::InPlaceOf(frame) => Self::InPlaceOf { record: frame.record.0, start: frame.start.0 },
        }
    }
}

impl From<StandingV4> for KeptStanding {
    fn from(standing: StandingV4) -> Self {
        match standing {
            StandingV4::Unused => Self::Unused,
            StandingV4::Used => Self::Used,
            StandingV4::InPlaceOf { record, start } => {
                Self::InPlaceOf(FrameId { record: Digest(record), start: StartId(start) })
            }
        }
    }
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

impl<'a> From<&'a Entry> for EntryV1<'a> {
    fn from(entry: &'a Entry) -> Self {
        match entry {
            Entry::Run(run) => Self::Run(run.into()),
            Entry::Answered { run, conversation, slot, fingerprint, model, answer } => {
                let (run, slot) = (*run, *slot);
                match AnsweredRecord::of(Paid { run, conversation, slot, fingerprint, model, answer }) {
                    AnsweredRecord::First(first) => Self::Answered(first),
                    AnsweredRecord::Second(second) => Self::AnsweredV2(second),
                    AnsweredRecord::Third(third) => Self::AnsweredV3(third),
                }
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
            Entry::Start(start) => Self::Start(start.0),
            Entry::Kept(kept) => {
                let KeptAnswer { start, standing, run, conversation, slot, fingerprint, model, answer } = &**kept;
                let (run, slot) = (*run, *slot);
                let answered = AnsweredV3::of(Paid { run, conversation, slot, fingerprint, model, answer });
                Self::Kept(Box::new(KeptV4 { start: start.0, standing: (*standing).into(), answered }))
            }
            Entry::KeptRun { start, run } => Self::KeptRun { start: start.0, run: run.into() },
            Entry::KeptSpending { start, spending } => {
                Self::KeptSpending { start: start.0, spending: spending.iter().map(SpentV2::from).collect() }
            }
            Entry::KeptState { conversation, state } => {
                Self::KeptState { conversation: conversation.0, state: state.into() }
            }
            Entry::Settled => Self::Settled,
        }
    }
}

impl EntryV1<'_> {
    fn into_entry(self) -> Option<Entry> {
        Some(match self {
            Self::Run(run) => Entry::Run(run.into_run(0)),
            Self::Answered(first) => AnsweredRecord::First(first).into_entry()?,
            Self::AnsweredV2(second) => AnsweredRecord::Second(second).into_entry()?,
            Self::AnsweredV3(third) => AnsweredRecord::Third(third).into_entry()?,
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
            Self::Start(start) => Entry::Start(StartId(start)),
            Self::Kept(kept) => {
                let KeptV4 { start, standing, answered } = *kept;
                let paid = AnsweredRecord::Third(Box::new(answered)).into_entry()?;
                let Entry::Answered { run, conversation, slot, fingerprint, model, answer } = paid else { return None };
                let (start, standing) = (StartId(start), standing.into());
                let kept = KeptAnswer { start, standing, run, conversation, slot, fingerprint, model, answer };
                Entry::Kept(Box::new(kept))
            }
            Self::KeptRun { start, run } => Entry::KeptRun { start: StartId(start), run: run.into_run(0) },
            Self::KeptSpending { start, spending } => Entry::KeptSpending {
                start: StartId(start),
                spending: spending.into_iter().map(SpentV2::into_row).collect(),
            },
            Self::KeptState { conversation, state } => {
                Entry::KeptState { conversation: ConversationKey(conversation), state: state.into_state()? }
            }
            Self::Settled => Entry::Settled,
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::answered::{finish_from_tag, finish_tag, tier_from_tag, tier_tag};
    use super::state::FIRST_SYSTEM;
    use super::*;
    use crate::conversation::{
        Answer, AnswerTokens, ConversationStop, Finish, Lane, Message, Role, SYSTEMS_MAX, ServiceTier, Slot,
        TopLogprobs, TurnIndex, Usage,
    };
    use crate::store::entry::{Spending, Spent, Status};

    proptest! {
        #[test]
        fn no_bytes_make_a_decoder_panic_or_allocate_without_bound(mut bytes in prop::collection::vec(any::<u8>(), 0..400), version in 0..6u8) {
            if version > 0 {
                bytes.insert(0, version);
            }
            let _ = (decode_entry(&bytes), decode_state(&bytes), decode_spending(&bytes), decode_run(&bytes));
        }

        #[test]
        fn a_length_that_lies_is_refused(length in any::<u64>(), version in 1..5u8, tag in 0..15u8) {
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
    fn calls_and_token_ids_are_stored_in_a_newer_version() {
        let fields = serde_json::json!({"tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]});
        let calling = Message::with_fields(Role::Assistant, "", fields.as_object().unwrap().clone());
        let calls = Answer { message: calling, ..Answer::complete("m", "") };
        let with = |tokens: AnswerTokens| Answer { tokens: Some(Arc::new(tokens)), ..Answer::complete("m", "text") };
        let earlier: Vec<u32> = (0..40).collect();
        let ids = AnswerTokens::whole((0..50).collect(), vec![7, 200, 150_000, u32::MAX]);
        let logprobs = TopLogprobs { count: 2, sampled: vec![3], ids: vec![7, 8], steps: vec![3, u16::MAX] };
        let shared = AnswerTokens { logprobs: Some(logprobs), ..ids.clone().after(Fingerprint([9; 32]), &earlier) };
        assert!(shared.prompt.shared.is_some());
        for answer in [calls, with(ids), with(shared), with(AnswerTokens::default())] {
            let entry = answered(answer);
            let mut bytes = Vec::new();
            assert!(encode_entry(&entry, &mut bytes));
            assert_eq!((bytes[0], decode_entry(&bytes)), (3, Ok(entry)));
        }
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
            (Lane::Tool, 5),
            (Lane::System(0), FIRST_SYSTEM),
            (Lane::System(most), FIRST_SYSTEM + most),
        ];
        for (lane, tag) in lanes {
            let slot = Slot { lane, turn: 7, attempt: 8 };
            let stored = SlotV1::from(slot);
            assert_eq!((stored.0, stored.1, stored.2), (tag, 7, 8));
            assert_eq!(stored.into_slot(), Some(slot));
        }
        for tag in [6, FIRST_SYSTEM - 1, FIRST_SYSTEM + SYSTEMS_MAX as u8, u8::MAX] {
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
