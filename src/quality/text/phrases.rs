use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

/// A list of phrases that are searched in one pass, ignoring ASCII case.
pub struct Phrases(LazyLock<AhoCorasick, fn() -> AhoCorasick>);

impl Phrases {
    /// Creates the list. The automaton is built on first use.
    pub const fn new(build: fn() -> AhoCorasick) -> Self {
        Self(LazyLock::new(build))
    }

    /// Builds an automaton over `phrases`.
    pub fn automaton(phrases: &[&str]) -> AhoCorasick {
        AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            .build(phrases)
            .expect("a list of phrases in this program makes an automaton")
    }

    /// Returns where `text` contains one of the phrases.
    pub fn places_in(&self, text: &str) -> Vec<Range<usize>> {
        self.0.find_iter(text).map(|found| found.range()).collect()
    }

    /// True where one of the phrases begins a word in `text`, as far as the language has spaces: no letter of the same alphabet,
    /// Latin or Cyrillic, is before it.
    pub fn begin_word_in(&self, text: &str) -> bool {
        let is_alphabetic = |letter: char| matches!(letter, 'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{52f}');
        self.0.find_iter(text).any(|found| {
            let is_alphabet = text[found.start()..].starts_with(is_alphabetic);
            !(is_alphabet && text[..found.start()].ends_with(is_alphabetic))
        })
    }

    /// True where `text` contains one of the phrases.
    pub fn occur_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}
