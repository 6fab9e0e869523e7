//! Phrases that the rules look for, one file a language, in sections that rules name: how a model refuses (`decline` alone;
//! `unable`, or `can` with `not`, together with `act`; `inability` with `act` and `sorry`; `cancel` takes it back in its
//! sentence, `missing` in all of them), how it speaks of itself (`self`; `am` with `model` or a name; `made` with a maker), names
//! of speakers (`user`, `assistant`), words with which users ask for something (`dialogue`, but not `no dialogue`; `same text`,
//! `other words`, `repeat`, `encode`, `notation`, `blank`), and words that no sentence ends with (`open`).
//!
//! In a file, phrases are in small letters and separated by ` | `; a space at an end counts.

mod beginnings;

use std::ops::Range;

use aho_corasick::automaton::OverlappingState;
use aho_corasick::{AhoCorasick, Anchored, Input, Match, MatchKind, StartKind};

use super::text::Phrases;
pub use beginnings::Beginnings;

const FILES: &[&str] = &[
    include_str!("ar.txt"),
    include_str!("de.txt"),
    include_str!("en.txt"),
    include_str!("es.txt"),
    include_str!("fr.txt"),
    include_str!("hi.txt"),
    include_str!("it.txt"),
    include_str!("ja.txt"),
    include_str!("ko.txt"),
    include_str!("models.txt"),
    include_str!("pt.txt"),
    include_str!("ru.txt"),
    include_str!("zh.txt"),
];
/// The codes of their languages.
pub const CODES: [&str; LANGUAGES] = ["ar", "de", "en", "es", "fr", "hi", "it", "ja", "ko", "models", "pt", "ru", "zh"];
/// How many files there are: languages, and the names of models.
pub const LANGUAGES: usize = FILES.len();

/// Returns the phrases of a section as they stand in the files, with the number of their language.
pub fn listed(section: &str) -> impl Iterator<Item = (usize, &'static str)> {
    FILES.iter().enumerate().flat_map(move |(language, file)| {
        let mut is_in = false;
        let lines = file.lines().filter(move |line| {
            if let Some(name) = line.strip_prefix('[') {
                is_in = name.strip_suffix(']') == Some(section);
                return false;
            }
            is_in && !line.starts_with('#')
        });
        lines.flat_map(move |line| line.split('|').map(move |phrase| (language, without_separator(phrase))))
    })
}

fn without_separator(phrase: &str) -> &str {
    let phrase = phrase.strip_prefix(' ').unwrap_or(phrase);
    phrase.strip_suffix(' ').unwrap_or(phrase)
}

/// Builds an automaton of sections, for [`Phrases`].
pub fn automaton(sections: &[&str]) -> AhoCorasick {
    let phrases: Vec<String> =
        sections.iter().flat_map(|section| listed(section)).flat_map(|(_, phrase)| spellings(phrase)).collect();
    Phrases::automaton(&phrases.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Phrases of several sections, each known by its section and language.
pub struct Sorted {
    automaton: AhoCorasick,
    kinds: Vec<(usize, usize)>,
}

/// A phrase that stands in a text.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its place in bytes.
    pub place: Range<usize>,
    /// The number of its language.
    pub language: usize,
    /// The place of its section in the list that was asked for.
    pub section: usize,
}

impl Sorted {
    /// Prepares to find the phrases of these sections, also ones within others.
    pub fn of(sections: &[&str]) -> Self {
        let (mut phrases, mut kinds) = (Vec::new(), Vec::new());
        for (at, section) in sections.iter().enumerate() {
            for (language, phrase) in listed(section) {
                for spelling in spellings(phrase) {
                    phrases.push(spelling);
                    kinds.push((language, at));
                }
            }
        }
        let built = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .start_kind(StartKind::Both)
            .build(phrases);
        Self { automaton: built.expect("a list of phrases in this program makes an automaton"), kinds }
    }

    /// Finds the phrases in a text.
    pub fn find<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Found> + 'a {
        self.automaton.find_overlapping_iter(text).map(|found| self.found(found))
    }

    /// Finds the phrases that begin at a place in a text.
    pub fn find_at<'a>(&'a self, text: &'a str, at: usize) -> impl Iterator<Item = Found> + 'a {
        let (mut state, input) = (OverlappingState::start(), Input::new(text).range(at..).anchored(Anchored::Yes));
        std::iter::from_fn(move || {
            self.automaton.find_overlapping(input.clone(), &mut state);
            state.get_match().map(|found| self.found(found))
        })
    }

    fn found(&self, found: Match) -> Found {
        let (language, section) = self.kinds[found.pattern().as_usize()];
        Found { place: found.range(), language, section }
    }
}

/// Returns a phrase as it may be written: with a curly apostrophe, with a capital, with spaces around foreign letters or
/// without the spaces of Korean.
fn spellings(phrase: &str) -> Vec<String> {
    let mut all = vec![phrase.to_owned()];
    let first = phrase.chars().next().filter(|first| !first.is_ascii());
    if let Some(first) = first.filter(|first| first.is_lowercase()) {
        all.push(first.to_uppercase().chain(phrase.chars().skip(1)).collect());
    }
    for at in 0..all.len() {
        if all[at].contains('\'') {
            all.push(all[at].replace('\'', "’"));
        }
    }
    // The Russian for AI is written in capitals.
    if phrase.starts_with("ии") || phrase.contains(" ии") {
        all.push(phrase.replace("ии", "ИИ"));
    }
    let spaced = spaced(phrase);
    if spaced != phrase {
        all.push(spaced);
    }
    if phrase.chars().any(|letter| matches!(letter, '\u{ac00}'..='\u{d7af}')) && phrase.contains(' ') {
        all.push(phrase.replace(' ', ""));
        all.push(phrase.replace(" 수 ", "수 "));
    }
    all
}

/// Puts a space between letters of Chinese or Japanese and Latin ones.
fn spaced(phrase: &str) -> String {
    let is_wide = |letter: char| matches!(letter, '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}');
    let (mut spaced, mut before) = (String::new(), None);
    for letter in phrase.chars() {
        let changes = before.is_some_and(|before: char| {
            (is_wide(before) && letter.is_ascii_alphanumeric()) || (before.is_ascii_alphanumeric() && is_wide(letter))
        });
        if changes {
            spaced.push(' ');
        }
        spaced.push(letter);
        before = Some(letter);
    }
    spaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_well_formed_and_every_language_has_the_same_sections() {
        let sections = |file: &str| -> Vec<String> {
            file.lines().filter(|line| line.starts_with('[')).map(ToOwned::to_owned).collect()
        };
        let all = sections(FILES[2]);
        for file in FILES.iter().filter(|file| !file.contains("[maker]")) {
            let said = sections(file);
            for section in
                ["[decline]", "[act]", "[cancel]", "[self]", "[am]", "[model]", "[user]", "[dialogue]", "[open]"]
            {
                assert!(said.iter().any(|name| name == section), "{section}: {}", &file[..20]);
            }
            assert!(said.iter().all(|name| all.contains(name) || name == "[can]" || name == "[not]"), "{said:?}");
        }
        for section in ["decline", "act", "self", "am", "user", "open"] {
            for (_, phrase) in listed(section) {
                assert!(!phrase.trim().is_empty() && phrase == phrase.to_lowercase(), "{section}: {phrase:?}");
            }
        }
    }

    #[test]
    fn a_phrase_is_found_as_people_write_it() {
        let sorted = Sorted::of(&["self", "decline"]);
        for text in
            ["作为一个 AI 助手", "As an AI assistant", "I’d rather not", "Вынужден отказать", "도와드릴수 없습니다"]
        {
            assert!(sorted.find(text).next().is_some(), "{text}");
        }
        assert_eq!(spellings("kill "), ["kill "]);
    }
}
