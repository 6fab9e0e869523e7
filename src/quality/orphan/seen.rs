use std::collections::HashSet;
use std::ops::Range;

use super::FollowUp;
use super::cues::Cues;
use super::terms::{Term, terms};

/// A message compared with both conversations, for every kind of evidence.
pub struct Seen<'a> {
    pub follow_up: &'a FollowUp<'a>,
    /// The words of its language.
    pub cues: &'static Cues,
    /// It in small letters. All places are in this text.
    pub text: String,
    /// What only replaced answers have, in order.
    pub gone: Vec<Range<usize>>,
    /// Two words in a row that only replaced answers have so, in order.
    phrases: Vec<Range<usize>>,
    /// Its parts between punctuation.
    pub clauses: Vec<Range<usize>>,
}

impl<'a> Seen<'a> {
    /// Compares a message.
    pub fn of(follow_up: &'a FollowUp<'a>) -> Self {
        let cues = Cues::of(follow_up.user, follow_up.replaced.last().unwrap_or(&""));
        let text = follow_up.user.to_lowercase().replace('’', "'");
        let own = terms(&text, cues);
        let (mut old, mut known) = (Known::default(), Known::default());
        follow_up.replaced.iter().for_each(|text| old.add(text, cues));
        follow_up.known().for_each(|text| known.add(text, cues));
        let gone = gone(&own, &old.stems, &known.stems);
        let phrases = phrases(&own, &old, &known);
        let clauses = clauses(&text);
        Self { follow_up, cues, text, gone, phrases, clauses }
    }

    /// True where a part of the message has something that only a replaced answer has.
    pub fn is_gone_in(&self, part: &Range<usize>) -> bool {
        self.gone.iter().any(|gone| is_within(gone, part))
    }

    /// True where a part of the message has a word or two words in a row that only a replaced answer has.
    pub fn is_phrase_gone_in(&self, part: &Range<usize>) -> bool {
        self.is_gone_in(part) || self.phrases.iter().any(|gone| is_within(gone, part))
    }

    /// Returns the parts of the message with a phrase of a section.
    pub fn clauses_with<'s>(&'s self, section: &'s str) -> impl Iterator<Item = &'s Range<usize>> {
        self.clauses.iter().filter(move |clause| self.cues.occur(section, &self.text[(*clause).clone()]))
    }
}

/// True where one place lies in another.
pub fn is_within(inner: &Range<usize>, outer: &Range<usize>) -> bool {
    inner.start >= outer.start && inner.end <= outer.end
}

/// The words of texts, and which follow each other.
#[derive(Default)]
struct Known {
    stems: HashSet<String>,
    phrases: HashSet<(String, String)>,
}

impl Known {
    fn add(&mut self, text: &str, cues: &Cues) {
        let terms = terms(&text.to_lowercase(), cues);
        self.phrases.extend(
            terms.windows(2).filter(|two| is_phrase(two)).map(|two| (two[0].stem.clone(), two[1].stem.clone())),
        );
        self.stems.extend(terms.into_iter().map(|term| term.stem));
    }
}

/// True for two words with nothing but a space or a hyphen between them.
fn is_phrase(two: &[Term]) -> bool {
    !two[0].is_pair && !two[1].is_pair && two[1].place.start == two[0].place.end + 1
}

/// Returns the places of two words in a row that are in `old` and not in `known`.
fn phrases(terms: &[Term], old: &Known, known: &Known) -> Vec<Range<usize>> {
    let gone = terms.windows(2).filter(|two| is_phrase(two)).filter(|two| {
        let phrase = (two[0].stem.clone(), two[1].stem.clone());
        old.phrases.contains(&phrase) && !known.phrases.contains(&phrase)
    });
    gone.map(|two| two[0].place.start..two[1].place.end).collect()
}

/// Returns the places of terms that are in `old` and not in `known`. Chinese has no spaces, so that two characters may be the
/// end of one word and the beginning of another: they count where they stand alone, or where three in a row are gone.
fn gone(terms: &[Term], old: &HashSet<String>, known: &HashSet<String>) -> Vec<Range<usize>> {
    let is_gone = |term: &Term| old.contains(&term.stem) && !known.contains(&term.stem);
    let overlap = |one: &Term, next: &Term| one.is_pair && next.is_pair && next.place.start < one.place.end;
    let mut places: Vec<Range<usize>> = Vec::new();
    for (at, term) in terms.iter().enumerate().filter(|(_, term)| is_gone(term)) {
        let before = at.checked_sub(1).map(|before| &terms[before]).filter(|before| overlap(before, term));
        let after = terms.get(at + 1).filter(|after| overlap(term, after));
        let counts = (before.is_none() && after.is_none()) || before.is_some_and(is_gone) || after.is_some_and(is_gone);
        match places.last_mut().filter(|last| term.is_pair && last.end > term.place.start) {
            _ if !counts => {}
            Some(last) => last.end = term.place.end,
            None => places.push(term.place.clone()),
        }
    }
    places
}

/// Returns the parts of a text between punctuation.
fn clauses(text: &str) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, mark) in text.char_indices() {
        let is_end = match mark {
            ',' | '.' | ':' => text[at + 1..].chars().next().is_none_or(char::is_whitespace),
            ';' | '?' | '!' | '\n' | '，' | '。' | '；' | '：' | '？' | '！' | '、' | '؟' | '،' | '।' | '—' => {
                true
            }
            _ => false,
        };
        if is_end {
            parts.push(start..at);
            start = at + mark.len_utf8();
        }
    }
    parts.push(start..text.len());
    parts.retain(|part| !text[part.clone()].trim().is_empty());
    parts
}
