use std::collections::{BTreeMap, HashSet};

use crate::conversation::{Answer, Digest, Lane, Question};

/// The histories of one conversation whose answers are imagined where none is stored.
///
/// A history begins with the one before it, so that only what is new in it is looked at.
#[derive(Default)]
pub struct Histories {
    /// The digests of imagined messages.
    imagined: HashSet<Digest>,
    last: BTreeMap<Lane, Told>,
}

/// What a plan knows of a question's messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    count: usize,
    identity: u64,
    /// Their tokens, estimated.
    pub tokens: u64,
    /// True if one of them is imagined: no store has an answer to it.
    pub is_imagined: bool,
}

/// Frames each message in the chat templates of today.
const FRAME_TOKENS: u64 = 4;

impl Histories {
    /// Looks at the messages of a question.
    pub fn told(&mut self, question: &Question) -> Told {
        let (messages, last) = (&question.messages, self.last.entry(question.slot.lane).or_default());
        let is_continued = last.count <= messages.len() && messages.first_ones(last.count).identity() == last.identity;
        let mut told = if is_continued { *last } else { Told::default() };
        for message in &messages[told.count..] {
            told.tokens += message.estimated_tokens() + FRAME_TOKENS;
            told.is_imagined |= self.imagined.contains(message.digest());
        }
        (told.count, told.identity) = (messages.len(), messages.identity());
        *last = told;
        told
    }

    /// Notes an answer that is imagined.
    pub fn imagine(&mut self, answer: &Answer) {
        self.imagined.insert(*answer.message.digest());
    }
}
