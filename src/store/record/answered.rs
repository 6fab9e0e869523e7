//! The records of answers.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::state::SlotV1;
use super::tokens::TokensV3;
use crate::conversation::{Answer, ConversationKey, Fingerprint, Finish, Message, Role, ServiceTier, Slot, Usage};
use crate::store::entry::Entry;

#[derive(Serialize, Deserialize)]
pub struct AnsweredV1<'a> {
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
pub struct AnsweredV2<'a> {
    answered: AnsweredV1<'a>,
    cache_write_tokens: Option<u64>,
    /// The parts of the request that were not sent.
    dropped: Vec<Cow<'a, str>>,
    /// The tag of the tier that was charged.
    tier: u8,
}

/// An answer with something that version 2 does not have.
#[derive(Serialize, Deserialize)]
pub struct AnsweredV3<'a> {
    answered: AnsweredV2<'a>,
    /// Further fields of the message, such as calls to tools, as compact JSON; empty for plain words.
    fields: Cow<'a, str>,
    tokens: Option<TokensV3>,
}

/// An answer with what its entry says beside it.
#[derive(Clone, Copy)]
pub struct Paid<'a> {
    pub run: u32,
    pub conversation: &'a ConversationKey,
    pub slot: Slot,
    pub fingerprint: &'a Fingerprint,
    pub model: &'a str,
    pub answer: &'a Answer,
}

impl<'a> AnsweredV3<'a> {
    /// Returns the record of an answer in this version, whatever it holds.
    pub fn of(paid: Paid<'a>) -> Self {
        let answer = paid.answer;
        let second = AnsweredV2::of(paid);
        let fields = answer.message.fields_json().unwrap_or_default().into();
        Self { answered: second, fields, tokens: answer.tokens.as_deref().map(TokensV3::from) }
    }
}

impl<'a> AnsweredV2<'a> {
    fn of(paid: Paid<'a>) -> Self {
        let Paid { run, conversation, slot, fingerprint, model, answer } = paid;
        let first = AnsweredV1 {
            run,
            conversation: conversation.0,
            slot: slot.into(),
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
        let dropped = answer.dropped.iter().map(Cow::from).collect();
        let Usage { cache_write_tokens, tier, .. } = answer.usage;
        Self { answered: first, cache_write_tokens, dropped, tier: tier_tag(tier) }
    }
}

/// An answer's record in the oldest version that holds all of it.
pub enum AnsweredRecord<'a> {
    First(AnsweredV1<'a>),
    Second(AnsweredV2<'a>),
    Third(Box<AnsweredV3<'a>>),
}

impl<'a> AnsweredRecord<'a> {
    /// Returns the record of an answer, given what else its entry says.
    pub fn of(paid: Paid<'a>) -> Self {
        let answer = paid.answer;
        let Usage { cache_write_tokens, tier, .. } = answer.usage;
        if answer.message.fields().is_some() || answer.tokens.is_some() {
            return Self::Third(Box::new(AnsweredV3::of(paid)));
        }
        let second = AnsweredV2::of(paid);
        if cache_write_tokens.is_none() && answer.dropped.is_empty() && tier == ServiceTier::Standard {
            return Self::First(second.answered);
        }
        Self::Second(second)
    }

    /// Returns the entry; `None` for a record that nobody wrote.
    pub fn into_entry(self) -> Option<Entry> {
        let (second, fields, tokens) = match self {
            Self::First(first) => {
                let tier = tier_tag(ServiceTier::Standard);
                let second = AnsweredV2 { answered: first, cache_write_tokens: None, dropped: Vec::new(), tier };
                (second, Cow::from(""), None)
            }
            Self::Second(second) => (second, Cow::from(""), None),
            Self::Third(third) => (third.answered, third.fields, third.tokens),
        };
        let AnsweredV2 { answered, cache_write_tokens, dropped, tier } = second;
        let tokens = match tokens {
            Some(tokens) => Some(Arc::new(tokens.into_tokens()?)),
            None => None,
        };
        let answer = Answer {
            message: Message::with_fields_json(Role::Assistant, answered.text, &fields)?,
            reasoning: answered.reasoning.map(Cow::into_owned),
            finish: finish_from_tag(answered.finish)?,
            finish_reason: answered.finish_reason.into_owned(),
            model: answered.reported_model.into_owned(),
            system_fingerprint: answered.system_fingerprint.map(Cow::into_owned),
            usage: Usage {
                prompt_tokens: answered.prompt_tokens,
                cached_tokens: answered.cached_tokens,
                cache_write_tokens,
                completion_tokens: answered.completion_tokens,
                reasoning_tokens: answered.reasoning_tokens,
                tier: tier_from_tag(tier)?,
            },
            attempts: answered.attempts,
            dropped: dropped.into_iter().map(Cow::into_owned).collect(),
            tokens,
        };
        Some(Entry::Answered {
            run: answered.run,
            conversation: ConversationKey(answered.conversation),
            slot: answered.slot.into_slot()?,
            fingerprint: Fingerprint(answered.fingerprint),
            model: answered.model.into_owned(),
            answer: Arc::new(answer),
        })
    }
}

/// The byte for an answer's finish; never reused.
pub(super) fn finish_tag(finish: Finish) -> u8 {
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

pub(super) fn finish_from_tag(tag: u8) -> Option<Finish> {
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
pub(super) fn tier_tag(tier: ServiceTier) -> u8 {
    match tier {
        ServiceTier::Standard => 0,
        ServiceTier::Flex => 1,
    }
}

pub(super) fn tier_from_tag(tag: u8) -> Option<ServiceTier> {
    [ServiceTier::Standard, ServiceTier::Flex].into_iter().find(|tier| tier_tag(*tier) == tag)
}
