use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

/// A list of phrases, looked for all at once, whatever the case of ASCII letters.
pub struct Phrases(LazyLock<AhoCorasick, fn() -> AhoCorasick>);

impl Phrases {
    /// Makes the list when it is first needed.
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

    /// True where one of them stands in `text`.
    pub fn occur_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}
