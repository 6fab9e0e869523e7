//! Finds the family of a text, and its markers.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::families::{FAMILIES, Family};
use super::mark::{Kind, Mark, Place};

/// Returns the families of the marker that a text begins with, and the markers in it.
pub fn first_families(text: &str) -> Vec<(&'static Searched, Vec<Found>)> {
    let sign = ["[gMASK]", "<｜begin▁of▁sentence｜>"].into_iter().find(|sign| text.starts_with(sign));
    let start = text.len() - without_head(text).trim_start().len();
    let begins = |mark: &Mark| recognises(mark) && text[start..].starts_with(mark.0);
    families_of(text, |family| match sign {
        Some(sign) => family.family.has(sign),
        None => family.marks.iter().any(|mark| begins(mark)),
    })
}

/// Returns the families whose markers are somewhere in a text. It may begin with instructions.
pub fn all_families(text: &str) -> Vec<(&'static Searched, Vec<Found>)> {
    families_of(text, |_| true)
}

fn families_of(text: &str, fits: impl Fn(&Searched) -> bool) -> Vec<(&'static Searched, Vec<Found>)> {
    let families = SEARCHED.iter().filter(|family| fits(family)).map(|family| (family, family.find(text)));
    families.filter(|(_, found)| found.iter().any(|found| recognises(found.mark))).collect()
}

/// Removes the tokens at the start of a text, and the white space between them.
pub fn without_head(mut text: &str) -> &str {
    while let Some(rest) = AROUND.iter().find_map(|token| text.trim_start().strip_prefix(token)) {
        text = rest;
    }
    text
}

/// Removes the tokens at the end of a text, and the white space between them.
pub fn without_tail(mut text: &str) -> &str {
    loop {
        let words = text.trim_end();
        let Some(rest) = AROUND.iter().find_map(|token| words.strip_suffix(token)) else { return text };
        text = rest;
    }
}

/// What tokenizers put around a dialogue. None of these counts within a message, unless it is a marker of the family.
pub const AROUND: [&str; 21] = [
    "<s>",
    "</s>",
    "<bos>",
    "<eos>",
    "<pad>",
    "<unk>",
    "<sop>",
    "<eop>",
    "[gMASK]",
    "[PAD]",
    "<|endoftext|>",
    "<|startoftext|>",
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|finetune_right_pad_id|>",
    "<|pad|>",
    "<|im_end|>",
    "<｜begin▁of▁sentence｜>",
    "<｜end▁of▁sentence｜>",
    "<｜▁pad▁｜>",
    "<|end|>",
];

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

fn search_for(markers: &[&str]) -> AhoCorasick {
    let search = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(markers);
    search.expect("a few short markers are a small automaton")
}

/// True for the markers that a family is recognised by.
fn recognises(mark: &Mark) -> bool {
    matches!(mark.1, Kind::Open(_) | Kind::Named(_) | Kind::Tools)
}

/// True where a marker at `at` is no part of a sentence. `end` is the end of the marker before it.
fn stands(text: &str, at: usize, place: Place, end: usize) -> bool {
    let before = &text[end..at];
    let letter = before.chars().next_back();
    let fits = match place {
        Place::Anywhere => true,
        Place::AfterSpace => letter.is_none_or(char::is_whitespace),
        Place::LineStart => letter.is_none_or(|letter| letter == '\n'),
    };
    fits || AROUND.iter().any(|token| before.ends_with(token))
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
    let mut bars = memchr::memmem::find_iter(text.as_bytes(), "<|");
    bars.find_map(|at| {
        let name = &text[at + 2..];
        let length = name.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_' && letter != '/')?;
        (length > 0 && name[length..].starts_with("|>")).then(|| &text[at..at + 2 + length + 2])
    })
}
