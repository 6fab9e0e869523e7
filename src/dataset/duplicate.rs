use std::collections::HashSet;
use std::sync::Arc;

use icu_normalizer::ComposingNormalizerBorrowed;
use serde::{Deserialize, Serialize};

use crate::conversation::{Message, Role};

/// How rows with the same user messages as an earlier row are handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duplicates {
    /// They are kept. Identical requests are still sent once.
    #[default]
    Keep,
    /// They are skipped.
    Drop,
}

/// A set of conversations, compared by their user messages after NFKC, in lower case, with single spaces.
///
/// Memory: 10 to 21 bytes per distinct conversation.
#[derive(Debug)]
pub struct SeenConversations {
    /// By the last bits of the key. A set that grows holds everything twice for a moment, but one of many sets holds little.
    parts: [HashSet<u64>; PARTS],
}

const PARTS: usize = 64;

impl Default for SeenConversations {
    fn default() -> Self {
        Self { parts: std::array::from_fn(|_| HashSet::new()) }
    }
}

impl SeenConversations {
    /// Adds a conversation by its messages; true where an earlier one has the same user messages.
    pub fn has_seen<'a>(&mut self, messages: impl Iterator<Item = &'a Arc<Message>>) -> bool {
        let said = messages.filter(|message| message.role() == Role::User);
        let key = conversation_key(said.map(|message| message.content()));
        !self.parts[key as usize % PARTS].insert(key)
    }
}

fn conversation_key<'a>(texts: impl Iterator<Item = &'a str>) -> u64 {
    let mut plain = String::new();
    for text in texts {
        plain.push_str(&plain_text(text));
        plain.push('\n');
    }
    Message::new(Role::User, plain).digest().prefix()
}

/// Normalises a text for comparison: NFKC (Unicode Standard Annex 15), lower case, single spaces.
pub fn plain_text(text: &str) -> String {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_ascii() {
        return words(&text.to_ascii_lowercase());
    }
    words(&ComposingNormalizerBorrowed::new_nfkc().normalize(&text.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_width_and_spaces_do_not_matter_and_words_do() {
        let same = |left: &str, right: &str| plain_text(left) == plain_text(right);
        assert!(same("Ｗhat  is\nthis?", "what is this?"));
        assert!(same("ｶﾞ", "ガ") && same("e\u{301}", "é"));
        assert!(!same("What is this?", "What is that?") && !same("ab", "a b"));
        assert_ne!(conversation_key(["a", "b"].into_iter()), conversation_key(["a b"].into_iter()));
    }

    #[test]
    fn each_is_seen_once_and_the_memory_is_as_stated() {
        let mut seen = SeenConversations::default();
        let said = |number: u32| Message::new(Role::User, format!("Question {number}"));
        assert!(!(0..20_000).any(|number| seen.has_seen([&said(number)].into_iter())));
        assert!((0..20_000).all(|number| seen.has_seen([&said(number)].into_iter())));
        // A place has the key and one byte.
        let bytes: usize = seen.parts.iter().map(|part| part.capacity() * 8 / 7 * 9).sum();
        assert!((10 * 20_000..=21 * 20_000).contains(&bytes), "{bytes}");
    }
}
