use std::ops::Range;

use super::cues::Cues;

/// A word that says what a text is about, as far as it tells texts apart: without its ending, or two characters of Chinese.
#[derive(Clone, Debug)]
pub struct Term {
    /// Where it is, in bytes.
    pub place: Range<usize>,
    /// Its letters without their ending.
    pub stem: String,
    /// Two characters of a run of Chinese ones.
    pub is_pair: bool,
}

/// Letters of a word that tell it from others: longer words differ in endings.
const STEM_LETTERS: usize = 5;
/// Shorter words of an alphabet are seldom what a text is about.
const LETTERS_MIN: usize = 4;

/// Returns the terms of a text in small letters.
pub fn terms(text: &str, cues: &Cues) -> Vec<Term> {
    let mut found = Vec::new();
    let mut characters = text.char_indices().peekable();
    while let Some((start, first)) = characters.next() {
        let kind = Kind::of(first);
        let mut end = start + first.len_utf8();
        if kind == Kind::Other {
            continue;
        }
        while let Some((at, next)) = characters.next_if(|(_, next)| Kind::of(*next) == kind) {
            end = at + next.len_utf8();
        }
        // A number goes on after a mark in it.
        if kind == Kind::Word && text[start..end].chars().all(char::is_numeric) {
            while let Some((at, _)) = characters.next_if(|(_, next)| matches!(next, '.' | ',')) {
                let mut more = at;
                while let Some((at, next)) = characters.next_if(|(_, next)| next.is_numeric()) {
                    more = at + next.len_utf8();
                }
                if more == at {
                    break;
                }
                end = more;
            }
        }
        push(&mut found, text, start..end, kind, cues);
    }
    found
}

/// Adds the terms of a run of characters of one kind.
fn push(found: &mut Vec<Term>, text: &str, place: Range<usize>, kind: Kind, cues: &Cues) {
    let run = &text[place.clone()];
    if kind == Kind::Han {
        pairs(found, run, place.start, cues);
        return;
    }
    let is_number = run.starts_with(|first: char| first.is_ascii_digit());
    let letters = run.chars().count();
    let least = match kind {
        Kind::Katakana | Kind::Hangul => 2,
        _ if is_number => 2,
        _ if run.is_ascii() || run.chars().any(|letter| matches!(letter, '\u{c0}'..='\u{52f}')) => LETTERS_MIN,
        _ => LETTERS_MIN - 1,
    };
    if letters >= least && !cues.is_function(run) {
        found.push(Term { place, stem: stem(run, is_number, letters), is_pair: false });
    }
}

/// Adds the pairs of a run of Chinese characters, without words that say nothing and what overlaps them.
fn pairs(found: &mut Vec<Term>, run: &str, start: usize, cues: &Cues) {
    let starts: Vec<usize> = run.char_indices().map(|(at, _)| at).chain([run.len()]).collect();
    let is_function = |characters: &[usize]| cues.is_function(&run[characters[0]..characters[characters.len() - 1]]);
    let mut says_nothing: Vec<bool> = starts.windows(2).map(is_function).collect();
    for (at, _) in starts.windows(3).enumerate().filter(|(_, pair)| is_function(pair)) {
        says_nothing[at..at + 2].fill(true);
    }
    for (_, pair) in starts.windows(3).enumerate().filter(|(at, _)| !says_nothing[*at] && !says_nothing[*at + 1]) {
        let place = start + pair[0]..start + pair[2];
        found.push(Term { place, stem: run[pair[0]..pair[2]].to_owned(), is_pair: true });
    }
}

/// Returns a word without its ending.
fn stem(word: &str, is_number: bool, letters: usize) -> String {
    if is_number {
        return word.replace(',', "");
    }
    if word.starts_with(|first| Kind::of(first) == Kind::Hangul) {
        // Particles follow without a space.
        return word.chars().take(if letters > 3 { letters - 1 } else { 2 }).collect();
    }
    let whole = word.strip_suffix('s').filter(|_| letters > LETTERS_MIN).unwrap_or(word);
    let kept = match letters {
        0..=5 => letters,
        6..=9 => STEM_LETTERS,
        _ => STEM_LETTERS + 1,
    };
    whole.chars().take(kept).collect()
}

/// Which characters make a run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    Han,
    Katakana,
    Hangul,
    /// Hiragana, which is mostly endings, and what is no letter.
    Other,
}

impl Kind {
    fn of(character: char) -> Self {
        match character {
            '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{20000}'..='\u{2ffff}' => Self::Han,
            '\u{30a0}'..='\u{30ff}' => Self::Katakana,
            '\u{ac00}'..='\u{d7af}' => Self::Hangul,
            '\u{3040}'..='\u{309f}' => Self::Other,
            // Vowel signs of Hindi belong to their word.
            '\u{900}'..='\u{963}' | '\u{966}'..='\u{97f}' => Self::Word,
            _ if character.is_alphanumeric() => Self::Word,
            _ => Self::Other,
        }
    }
}
