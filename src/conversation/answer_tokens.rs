use super::identity::{ContentHasher, Fingerprint};
use super::top_logprobs::TopLogprobs;

/// The tokens of one answer, as the server that sampled them counts them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnswerTokens {
    /// The ids of the prompt, after the server's chat template.
    pub prompt: PromptTokens,
    /// The ids that were sampled, in order, ends of the answer included where the server gives them.
    pub completion: Vec<u32>,
    /// The most probable tokens at each sampled place, where they were asked for.
    pub logprobs: Option<TopLogprobs>,
}

/// The ids of a prompt. Those that it shares with the answer before it in the conversation are not repeated: a conversation
/// of many turns would hold its first turn once for each of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromptTokens {
    /// The earlier answer with which it begins; `None` for a prompt that is held whole.
    pub shared: Option<SharedTokens>,
    /// The ids after those, or all of them.
    pub rest: Vec<u32>,
}

/// The beginning of a prompt that is the beginning of an earlier answer's prompt and completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedTokens {
    /// The question of the earlier answer.
    pub question: Fingerprint,
    /// The number of ids.
    pub count: u32,
    /// Their checksum: an answer that was damaged and asked again may have other ids.
    pub check: u64,
}

impl AnswerTokens {
    /// The tokens of an answer whose prompt is held whole.
    pub fn whole(prompt: Vec<u32>, completion: Vec<u32>) -> Self {
        Self { prompt: PromptTokens { shared: None, rest: prompt }, completion, logprobs: None }
    }

    /// Returns the same tokens with the beginning of the prompt left out that `earlier`, the whole sequence of the answer
    /// to `question`, begins with too. Tokens that already lean on another answer stay as they are.
    #[must_use]
    pub fn after(self, question: Fingerprint, earlier: &[u32]) -> Self {
        if self.prompt.shared.is_some() {
            return self;
        }
        let count = earlier.iter().zip(&self.prompt.rest).take_while(|(earlier, own)| earlier == own).count();
        if count < SHARED_MIN {
            return self;
        }
        let rest = self.prompt.rest[count..].to_vec();
        let shared = Some(SharedTokens { question, count: count as u32, check: check_of(&earlier[..count]) });
        Self { prompt: PromptTokens { shared, rest }, ..self }
    }

    /// Returns the ids of the prompt, given the whole sequence of the answer that it leans on. `None` where that one does not
    /// begin with what was shared.
    pub fn prompt_after(&self, earlier: &[u32]) -> Option<Vec<u32>> {
        match &self.prompt.shared {
            None => Some(self.prompt.rest.clone()),
            Some(shared) => {
                let beginning = earlier.get(..shared.count as usize)?;
                let mut prompt = Some(beginning).filter(|ids| check_of(ids) == shared.check)?.to_vec();
                prompt.extend_from_slice(&self.prompt.rest);
                Some(prompt)
            }
        }
    }

    /// Returns prompt and completion as one sequence, given that of the answer that the prompt leans on.
    pub fn sequence_after(&self, earlier: &[u32]) -> Option<Vec<u32>> {
        let mut sequence = self.prompt_after(earlier)?;
        sequence.extend_from_slice(&self.completion);
        Some(sequence)
    }

    /// Returns at most how many bytes the tokens need in a record.
    pub fn bytes_max(&self) -> usize {
        let logprobs =
            self.logprobs.as_ref().map_or(0, |top| 5 * top.ids.len() + 3 * top.sampled.len() + 3 * top.ids.len());
        64 + 5 * (self.prompt.rest.len() + self.completion.len()) + logprobs
    }
}

/// Returns the first eight bytes of the BLAKE3 hash of ids, each as four bytes, the lowest first.
fn check_of(ids: &[u32]) -> u64 {
    let mut hasher = ContentHasher::default();
    for chunk in ids.chunks(1_024) {
        let bytes: Vec<u8> = chunk.iter().flat_map(|id| id.to_le_bytes()).collect();
        hasher.update(&bytes);
    }
    hasher.finish().prefix()
}

/// Fewer shared ids are repeated: naming the other answer takes as many bytes.
const SHARED_MIN: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUESTION: Fingerprint = Fingerprint([7; 32]);

    proptest! {
        #[test]
        fn what_is_left_out_is_found_again(
            earlier in prop::collection::vec(0..3u32, 0..60),
            kept in 0..60usize,
            rest in prop::collection::vec(0..3u32, 0..20),
            completion in prop::collection::vec(any::<u32>(), 0..20),
        ) {
            let prompt = [&earlier[..kept.min(earlier.len())], &rest].concat();
            let whole = AnswerTokens::whole(prompt.clone(), completion.clone());
            let after = whole.clone().after(QUESTION, &earlier);
            prop_assert_eq!(after.prompt_after(&earlier), Some(prompt.clone()));
            prop_assert_eq!(after.sequence_after(&earlier), Some([prompt, completion].concat()));
            if let Some(shared) = after.prompt.shared {
                prop_assert!(shared.count as usize >= SHARED_MIN);
                prop_assert_eq!(after.prompt_after(&earlier[..shared.count as usize - 1]), None);
                let mut other = earlier.clone();
                other[0] += 1;
                prop_assert_eq!(after.prompt_after(&other), None, "another answer");
                prop_assert_eq!(after.clone().after(Fingerprint([8; 32]), &[]), after);
            } else {
                prop_assert_eq!(after, whole);
            }
        }
    }
}
