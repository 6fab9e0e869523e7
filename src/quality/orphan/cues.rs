//! Words that show how a message refers to what was said, one file a language, in sections that the kinds of evidence name.
//!
//! In a file, phrases are in small letters and separated by ` | `. A star at the end stands for any ending.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::LazyLock;

use crate::quality::text::{Letters, Script};
use crate::quality::tongue::language_of;

const FILES: &[(&str, &str)] = &[
    ("ara", include_str!("cues/ar.txt")),
    ("deu", include_str!("cues/de.txt")),
    ("eng", include_str!("cues/en.txt")),
    ("spa", include_str!("cues/es.txt")),
    ("fra", include_str!("cues/fr.txt")),
    ("hin", include_str!("cues/hi.txt")),
    ("ita", include_str!("cues/it.txt")),
    ("jpn", include_str!("cues/ja.txt")),
    ("kor", include_str!("cues/ko.txt")),
    ("por", include_str!("cues/pt.txt")),
    ("rus", include_str!("cues/ru.txt")),
    ("cmn", include_str!("cues/zh.txt")),
];

/// Letters below which the language of a message is that of the answer before it.
const LETTERS_MIN: usize = 24;

static ALL: LazyLock<HashMap<&'static str, Cues>> =
    LazyLock::new(|| FILES.iter().map(|(code, file)| (*code, Cues::read(code, file))).collect());

/// The words of one language.
pub struct Cues {
    /// Where its words end at other characters than letters: before a phrase, and after it.
    is_bounded: (bool, bool),
    sections: HashMap<&'static str, Vec<Cue>>,
    /// Words that say nothing of what a text is about.
    function: HashSet<&'static str>,
}

struct Cue {
    text: String,
    /// Any ending may follow.
    is_open: bool,
}

impl Cues {
    /// Returns the words of the language of a message; those of English where it has none.
    pub fn of(user: &str, before: &str) -> &'static Self {
        let letters = Letters::of(user);
        let is_long = letters.dominant() != Script::Latin || letters.total() >= LETTERS_MIN;
        let known = |text: &str| ALL.get(language_of(text));
        let found = if is_long { known(user) } else { known(before).or_else(|| known(user)) };
        found.unwrap_or_else(|| &ALL["eng"])
    }

    fn read(code: &str, file: &'static str) -> Self {
        let mut sections: HashMap<&str, Vec<Cue>> = HashMap::new();
        let (mut function, mut section) = (HashSet::new(), "");
        for line in file.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = name;
                continue;
            }
            for phrase in line.split(" | ").map(str::trim) {
                if section == "function" {
                    function.insert(phrase);
                    continue;
                }
                let text = phrase.strip_suffix('*').unwrap_or(phrase);
                sections
                    .entry(section)
                    .or_default()
                    .push(Cue { text: text.to_owned(), is_open: text.len() < phrase.len() });
            }
        }
        let is_bounded = match code {
            "cmn" | "jpn" | "ara" => (false, false),
            "kor" => (true, false),
            _ => (true, true),
        };
        Self { is_bounded, sections, function }
    }

    /// True for a word that says nothing of what a text is about.
    pub fn is_function(&self, word: &str) -> bool {
        self.function.contains(word)
    }

    /// Finds the phrases of a section in a text in small letters.
    pub fn find(&self, section: &str, text: &str) -> Vec<Range<usize>> {
        let cues = self.sections.get(section).map_or(&[][..], |cues| cues);
        let places = cues.iter().flat_map(|cue| {
            text.match_indices(cue.text.as_str())
                .map(|(at, _)| at..at + cue.text.len())
                .filter(|place| self.is_whole(cue, text, place))
        });
        places.collect()
    }

    /// True where a text in small letters has a phrase of a section.
    pub fn occur(&self, section: &str, text: &str) -> bool {
        !self.find(section, text).is_empty()
    }

    /// True where a text in small letters begins with a phrase of a section.
    pub fn begin(&self, section: &str, text: &str) -> bool {
        let cues = self.sections.get(section).map_or(&[][..], |cues| cues);
        cues.iter().any(|cue| text.starts_with(&cue.text) && self.is_whole(cue, text, &(0..cue.text.len())))
    }

    /// True where no letter stands before or after a phrase.
    fn is_whole(&self, cue: &Cue, text: &str, place: &Range<usize>) -> bool {
        let is_apart = |next: Option<char>| next.is_none_or(|next| !next.is_alphanumeric());
        let (before, after) = self.is_bounded;
        (!before || is_apart(text[..place.start].chars().next_back()))
            && (!after || cue.is_open || is_apart(text[place.end..].chars().next()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_every_section_in_small_letters() {
        const SECTIONS: [&str; 16] = [
            "mention",
            "that",
            "regarding",
            "elaborate",
            "still",
            "accept",
            "text",
            "yes",
            "ask",
            "offer",
            "request",
            "pointer 1",
            "pointer 2",
            "pointer 3",
            "pointer 4",
            "pointer 5",
        ];
        assert_eq!(ALL.len(), 12);
        for (code, cues) in ALL.iter() {
            for section in SECTIONS {
                let found = cues.sections.get(section).unwrap_or_else(|| panic!("{code} has no {section}"));
                for Cue { text, .. } in found {
                    assert!(!text.trim().is_empty() && *text == text.to_lowercase(), "{code} {section}: {text:?}");
                }
            }
            assert!(cues.function.len() > 30, "{code}");
        }
    }

    #[test]
    fn a_phrase_ends_where_words_of_its_language_end() {
        let english = Cues::of("Where is the lighthouse that you mentioned?", "");
        assert!(english.occur("mention", "as you mentioned, it is old") && english.occur("yes", "no, never"));
        assert!(!english.occur("yes", "nothing at all") && !english.begin("request", "whatsoever it is"));
        let korean = Cues::of("방금 말씀하신 등대는 어디에 있어요?", "");
        assert!(korean.occur("mention", "방금 말씀하신 등대는"), "particles follow without a space");
        // A short message in Latin letters is in the language of what it follows.
        let german = Cues::of("Ja.", "Ist das Knie geschwollen, oder tut es nur weh?");
        assert!(german.begin("yes", "ja."));
    }
}
