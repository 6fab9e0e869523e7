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
/// Memory: 8 bytes per distinct conversation, twice that while the set grows.
#[derive(Debug, Default)]
pub struct SeenConversations(HashSet<u64>);

impl SeenConversations {
    /// Adds a conversation by its messages; true where an earlier one has the same user messages.
    pub fn has_seen<'a>(&mut self, messages: impl Iterator<Item = &'a Arc<Message>>) -> bool {
        let said = messages.filter(|message| message.role() == Role::User);
        !self.0.insert(conversation_key(said.map(|message| message.content())))
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
}
