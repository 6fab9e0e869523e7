//! The records of what was spent.

use serde::{Deserialize, Serialize};

use super::{FIRST_VERSION, Unreadable, decode_versioned};
use crate::store::codec;
use crate::store::entry::{Spending, Spent, SpentFlex};

/// The version of records that tell tiers and cache writes apart.
const SECOND_VERSION: u8 = 2;

/// Returns the spending's record.
pub fn encode_spending(spending: &Spending) -> Vec<u8> {
    let rows = spending.iter().map(|(model, spent)| SpentV1::from((model, spent)));
    let mut out = Vec::new();
    if spending.values().all(|spent| spent.cache_write_tokens == 0 && spent.flex == SpentFlex::default()) {
        codec::encode(FIRST_VERSION, &rows.collect::<Vec<_>>(), &mut out);
    } else {
        let rows = spending.iter().map(SpentV2::from);
        codec::encode(SECOND_VERSION, &rows.collect::<Vec<_>>(), &mut out);
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
pub struct SpentV2 {
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

impl From<(&String, &Spent)> for SpentV2 {
    fn from((model, spent): (&String, &Spent)) -> Self {
        Self { spent: (model, spent).into(), cache_write_tokens: spent.cache_write_tokens, flex: spent.flex.into() }
    }
}

impl SpentV2 {
    pub fn into_row(self) -> (String, Spent) {
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
