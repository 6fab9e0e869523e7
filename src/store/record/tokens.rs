//! The records of token ids and log-probabilities.
//!
//! Ids are written in seven bits a byte, the lowest first, with the eighth bit set where more follow (LEB128): two bytes for
//! the most frequent tokens of a vocabulary, three for the others. The frame compresses them further.

use serde::{Deserialize, Serialize};

use crate::conversation::{AnswerTokens, Fingerprint, PromptTokens, SharedTokens, TopLogprobs};

#[derive(Serialize, Deserialize)]
pub struct TokensV3 {
    /// The earlier question whose answer the prompt begins with, how many ids they share, and their checksum.
    shared: Option<([u8; 32], u32, u64)>,
    /// The rest of the prompt.
    prompt: Vec<u8>,
    completion: Vec<u8>,
    logprobs: Option<LogprobsV3>,
}

#[derive(Serialize, Deserialize)]
struct LogprobsV3 {
    count: u8,
    /// Steps of two bytes each, the low one first.
    sampled: Vec<u8>,
    ids: Vec<u8>,
    steps: Vec<u8>,
}

impl From<&AnswerTokens> for TokensV3 {
    fn from(tokens: &AnswerTokens) -> Self {
        Self {
            shared: tokens.prompt.shared.map(|shared| (shared.question.0, shared.count, shared.check)),
            prompt: ids_to_bytes(&tokens.prompt.rest),
            completion: ids_to_bytes(&tokens.completion),
            logprobs: tokens.logprobs.as_ref().map(|top| LogprobsV3 {
                count: top.count,
                sampled: steps_to_bytes(&top.sampled),
                ids: ids_to_bytes(&top.ids),
                steps: steps_to_bytes(&top.steps),
            }),
        }
    }
}

impl TokensV3 {
    /// Returns the tokens; `None` for bytes that nobody wrote.
    pub fn into_tokens(self) -> Option<AnswerTokens> {
        let shared =
            self.shared.map(|(question, count, check)| SharedTokens { question: Fingerprint(question), count, check });
        let prompt = PromptTokens { shared, rest: ids_from_bytes(&self.prompt)? };
        let logprobs = self.logprobs.map(LogprobsV3::into_logprobs);
        let logprobs = logprobs.map_or(Some(None), |read| read.map(Some))?;
        Some(AnswerTokens { prompt, completion: ids_from_bytes(&self.completion)?, logprobs })
    }
}

impl LogprobsV3 {
    fn into_logprobs(self) -> Option<TopLogprobs> {
        let (sampled, ids) = (steps_from_bytes(&self.sampled)?, ids_from_bytes(&self.ids)?);
        let steps = steps_from_bytes(&self.steps)?;
        let is_whole = ids.len() == steps.len() && ids.len() == sampled.len() * usize::from(self.count);
        is_whole.then_some(TopLogprobs { count: self.count, sampled, ids, steps })
    }
}

fn ids_to_bytes(ids: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ids.len() * 3);
    for id in ids {
        let mut left = *id;
        while left >= 0x80 {
            bytes.push(left as u8 | 0x80);
            left >>= 7;
        }
        bytes.push(left as u8);
    }
    bytes
}

fn ids_from_bytes(bytes: &[u8]) -> Option<Vec<u32>> {
    let mut ids = Vec::with_capacity(bytes.len() / 2);
    let (mut id, mut shift) = (0u64, 0);
    for byte in bytes {
        id |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 != 0 {
            shift += 7;
            if shift > 28 {
                return None;
            }
            continue;
        }
        ids.push(u32::try_from(id).ok()?);
        (id, shift) = (0, 0);
    }
    (shift == 0).then_some(ids)
}

fn steps_to_bytes(steps: &[u16]) -> Vec<u8> {
    steps.iter().flat_map(|steps| steps.to_le_bytes()).collect()
}

fn steps_from_bytes(bytes: &[u8]) -> Option<Vec<u16>> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_and_steps_come_back(ids in prop::collection::vec(any::<u32>(), 0..50), steps in prop::collection::vec(any::<u16>(), 0..50)) {
            prop_assert_eq!(ids_from_bytes(&ids_to_bytes(&ids)), Some(ids));
            prop_assert_eq!(steps_from_bytes(&steps_to_bytes(&steps)), Some(steps));
        }

        #[test]
        fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = (ids_from_bytes(&bytes), steps_from_bytes(&bytes));
        }
    }

    #[test]
    fn what_nobody_wrote_is_no_list() {
        assert_eq!(ids_from_bytes(&[0x80]), None, "it ends within an id");
        assert_eq!(ids_from_bytes(&[0xff, 0xff, 0xff, 0xff, 0x10]), None, "it exceeds 32 bits");
        assert_eq!(ids_from_bytes(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Some(vec![u32::MAX]));
        assert_eq!(steps_from_bytes(&[1]), None);
        let odd = LogprobsV3 { count: 2, sampled: vec![0, 0], ids: vec![1], steps: vec![0, 0] };
        assert_eq!(odd.into_logprobs(), None, "a place has two ids");
    }
}
