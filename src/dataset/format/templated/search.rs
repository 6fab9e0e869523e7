//! Finds the family of a text, and its markers.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::families::{AROUND, FAMILIES, Family, Kind, Mark, Place};

/// Returns the families whose marker is the first one in a text.
pub fn families_of(text: &str) -> Vec<&'static Searched> {
    let first = FIRST.find_iter(text).find_map(|found| {
        let opener = OPENERS[found.pattern()];
        let fits = |family: &&'static Searched| {
            family.opens_with(opener) && stands(text, found.start(), family.place_of(opener), 0)
        };
        let families: Vec<&Searched> = SEARCHED.iter().filter(fits).collect();
        (!families.is_empty()).then_some(families)
    });
    first.unwrap_or_default()
}

/// A family with a search for its markers.
pub struct Searched {
    /// The family.
    pub family: &'static Family,
    marks: Vec<&'static Mark>,
    search: AhoCorasick,
}

static SEARCHED: LazyLock<Vec<Searched>> = LazyLock::new(|| {
    let searched = |family: &'static Family| {
        let marks: Vec<&Mark> = family.marks.iter().copied().flatten().collect();
        let search = search_for(&marks.iter().map(|mark| mark.0).collect::<Vec<_>>());
        Searched { family, marks, search }
    };
    FAMILIES.iter().map(searched).collect()
});

/// The markers that a family is recognised by.
static OPENERS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let mut openers: Vec<&str> = SEARCHED
        .iter()
        .flat_map(|family| family.marks.iter().filter(|mark| recognises(mark)).map(|mark| mark.0))
        .collect();
    openers.sort_unstable();
    openers.dedup();
    openers
});

static FIRST: LazyLock<AhoCorasick> = LazyLock::new(|| search_for(&OPENERS));

fn search_for(markers: &[&str]) -> AhoCorasick {
    let search = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(markers);
    search.expect("a few short markers are a small automaton")
}

fn recognises(mark: &Mark) -> bool {
    match mark.1 {
        Kind::Open(_) | Kind::Named(_) | Kind::Tools => true,
        // Begins every dialogue of GLM, and stands in no other.
        Kind::Special => mark.0 == "[gMASK]",
        _ => false,
    }
}

/// True where a marker at `at` is no part of a sentence. `end` is the end of the marker before it.
fn stands(text: &str, at: usize, place: Place, end: usize) -> bool {
    let before = text[end..at].chars().next_back();
    match place {
        Place::Anywhere => true,
        Place::AfterSpace => before.is_none_or(char::is_whitespace),
        Place::LineStart => {
            before.is_none_or(|letter| letter == '\n') || AROUND.iter().any(|token| text[end..at].ends_with(token))
        }
    }
}

/// A marker in a text.
pub struct Found {
    /// Where it starts.
    pub at: usize,
    /// Where it ends.
    pub end: usize,
    /// The marker.
    pub mark: &'static Mark,
}

impl Searched {
    /// Returns a marker of this family that is left in a message.
    pub fn marker_in<'a>(&self, text: &'a str) -> Option<&'a str> {
        let own = self.find(text).first().map(|found| &text[found.at..found.end]);
        own.or_else(|| if self.family.has_bars() { between_bars(text) } else { None })
    }

    fn opens_with(&self, opener: &str) -> bool {
        self.marks.iter().any(|mark| mark.0 == opener && recognises(mark))
    }

    /// Words are markers only in some places, tokens everywhere.
    fn place_of(&self, marker: &str) -> Place {
        let is_word = marker.starts_with(|letter: char| letter.is_ascii_alphabetic());
        if is_word { self.family.place } else { Place::Anywhere }
    }

    /// Finds all markers of the family.
    pub fn find(&self, text: &str) -> Vec<Found> {
        let mut end = 0;
        let matches = self.search.find_iter(text).filter_map(|found| {
            let mark = self.marks[found.pattern()];
            stands(text, found.start(), self.place_of(mark.0), end).then(|| {
                end = found.end();
                Found { at: found.start(), end, mark }
            })
        });
        matches.collect()
    }
}

/// Returns the first `<|name|>` in a text.
fn between_bars(text: &str) -> Option<&str> {
    let bars = memchr::memmem::find_iter(text.as_bytes(), "<|");
    bars.filter_map(|at| {
        let name = &text[at + 2..];
        let length = name.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_' && letter != '/')?;
        (length > 0 && name[length..].starts_with("|>")).then(|| &text[at..at + 2 + length + 2])
    })
    .next()
}
