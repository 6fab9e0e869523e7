use super::card_text::text_of;
use crate::quality::RulesVersion;

/// An entry of a card, compared with what its writer has seen: a weak model copies instead of describing.
pub(super) struct Copied(Vec<String>);

/// Shorter entries may well be in the text of a request by chance.
const WORDS_MIN: usize = 3;

impl Copied {
    /// Takes the words of an entry.
    pub fn of(entry: &str) -> Self {
        Self(words(entry))
    }

    /// True where the entry is a message of the user or one of its sentences, or words of a request for a card in any version.
    pub fn is_from(&self, said: &[&str]) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let is_sentence = |text: &&str| {
            let sentences = text.split(['.', '!', '?', '\n', '。', '！', '？']);
            [*text].into_iter().chain(sentences).any(|sentence| words(sentence) == self.0)
        };
        let is_of_request = |version: &RulesVersion| {
            let request = words(text_of(*version));
            self.0.len() >= WORDS_MIN && request.windows(self.0.len()).any(|window| window == self.0)
        };
        said.iter().any(is_sentence) || RulesVersion::ALL.iter().any(is_of_request)
    }
}

/// Returns the words of a text in lower case; a script without spaces has one word for each run of letters.
fn words(text: &str) -> Vec<String> {
    let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '\'');
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_repeats_what_its_writer_saw_is_copied() {
        let said = ["How do I bake bread? I have no oven.", "怎么做面包？"];
        let is_copied = |entry: &str| Copied::of(entry).is_from(&said);
        for entry in [
            "How do I bake bread? I have no oven.",
            "how do i bake bread",
            "怎么做面包",
            "what the user is after",
            "Up to five things that the user knows and may say",
            "the purpose behind these messages",
            "...",
            "",
        ] {
            assert!(is_copied(entry), "{entry}");
        }
        for entry in ["bake bread", "Bread for the weekend, without an oven", "short", "the user", "在家里烤面包"]
        {
            assert!(!is_copied(entry), "{entry}");
        }
    }
}
