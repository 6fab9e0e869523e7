use std::collections::HashSet;
use std::sync::Arc;

use icu_normalizer::ComposingNormalizerBorrowed;
use serde::{Deserialize, Serialize};

use crate::conversation::{Message, Role};

/// What becomes of rows whose users say what an earlier row's say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duplicates {
    /// They stay. What is asked alike is asked once all the same.
    #[default]
    Keep,
    /// They are left out.
    Drop,
}

/// Knows conversations by what their users say: compared after NFKC, in lower case, with single spaces.
///
/// Memory: 8 bytes for each distinct conversation, twice that while the set grows.
#[derive(Debug, Default)]
pub struct SeenConversations(HashSet<u64>);

impl SeenConversations {
    /// Remembers a conversation by its messages; true where the users of an earlier one say the same.
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

/// Returns a text as it is compared: NFKC (Unicode Standard Annex 15), in lower case, with single spaces.
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
