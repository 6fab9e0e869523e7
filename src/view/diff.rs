//! The difference between two texts, word by word.

use serde::Serialize;

/// Changed words up to which the shortest difference is looked for. Memory grows with its square.
const CHANGES_MAX: usize = 2_000;

/// A part of a text, and what is the matter with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Piece {
    /// What is the matter with it.
    pub mark: Mark,
    /// The words.
    pub text: String,
}

/// What is the matter with a part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Nothing, or it is in both texts.
    Same,
    /// It is only in the old text.
    Removed,
    /// It is only in the new text.
    Added,
    /// A rule found it.
    Found,
}

impl Piece {
    /// Makes a piece.
    pub fn new(mark: Mark, text: impl Into<String>) -> Self {
        Self { mark, text: text.into() }
    }
}

/// Returns both texts in pieces: together, the pieces of each are the text.
pub fn differences(old: &str, new: &str) -> (Vec<Piece>, Vec<Piece>) {
    let (before, after) = (tokens(old), tokens(new));
    let prefix = before.iter().zip(&after).take_while(|(one, other)| one == other).count();
    let (rest_before, rest_after) = (&before[prefix..], &after[prefix..]);
    let suffix = rest_before.iter().rev().zip(rest_after.iter().rev()).take_while(|(one, other)| one == other).count();
    let middle_before = &rest_before[..rest_before.len() - suffix];
    let middle_after = &rest_after[..rest_after.len() - suffix];
    let mut pairs: Vec<(usize, usize)> = (0..prefix).map(|at| (at, at)).collect();
    let common = worthwhile(common(middle_before, middle_after), middle_before, middle_after);
    pairs.extend(common.into_iter().map(|(one, other)| (prefix + one, prefix + other)));
    pairs.extend((0..suffix).map(|at| (before.len() - suffix + at, after.len() - suffix + at)));
    let is_common = |count: usize, of: &dyn Fn(&(usize, usize)) -> usize| {
        let mut is_common = vec![false; count];
        for pair in &pairs {
            is_common[of(pair)] = true;
        }
        is_common
    };
    (
        pieces(&before, &is_common(before.len(), &|pair| pair.0), Mark::Removed),
        pieces(&after, &is_common(after.len(), &|pair| pair.1), Mark::Added),
    )
}

/// Cuts a text into words, each with the spaces after it. A character of a script without spaces is a word.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut start = 0;
    let mut last = Kind::Space;
    for (at, character) in text.char_indices() {
        let kind = Kind::of(character);
        let begins = match (last, kind) {
            (_, Kind::Space) => false,
            (Kind::Letter, Kind::Letter) => false,
            _ => at > start,
        };
        if begins {
            tokens.push(&text[start..at]);
            start = at;
        }
        last = kind;
    }
    if start < text.len() {
        tokens.push(&text[start..]);
    }
    tokens
}

#[derive(Clone, Copy)]
enum Kind {
    Space,
    Letter,
    Alone,
}

impl Kind {
    fn of(character: char) -> Self {
        let is_whole_word = matches!(character, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{20000}'..='\u{3ffff}');
        match character {
            _ if character.is_whitespace() => Self::Space,
            _ if is_whole_word => Self::Alone,
            _ if character.is_alphanumeric() || character == '_' || character == '\'' => Self::Letter,
            _ => Self::Alone,
        }
    }
}

/// Returns the words that both have in one order, by Myers' greedy algorithm (1986); none where they differ too much.
fn common(old: &[&str], new: &[&str]) -> Vec<(usize, usize)> {
    let (rows, columns) = (old.len().cast_signed(), new.len().cast_signed());
    let most = (old.len() + new.len()).min(CHANGES_MAX).cast_signed();
    let mut furthest = vec![0isize; 2 * most as usize + 3];
    let middle = most + 1;
    let mut trace: Vec<Vec<isize>> = Vec::new();
    for changes in 0..=most {
        let reached = |furthest: &[isize], diagonal: isize| furthest[(diagonal + middle) as usize];
        trace.push(furthest[(middle - changes) as usize..=(middle + changes) as usize].to_vec());
        for diagonal in (-changes..=changes).step_by(2) {
            let goes_down = diagonal == -changes
                || (diagonal != changes && reached(&furthest, diagonal - 1) < reached(&furthest, diagonal + 1));
            let mut x = if goes_down { reached(&furthest, diagonal + 1) } else { reached(&furthest, diagonal - 1) + 1 };
            let mut y = x - diagonal;
            while x < rows && y < columns && old[x as usize] == new[y as usize] {
                (x, y) = (x + 1, y + 1);
            }
            furthest[(diagonal + middle) as usize] = x;
            if x >= rows && y >= columns {
                return walk_back(&trace, rows, columns, changes);
            }
        }
    }
    Vec::new()
}

fn walk_back(trace: &[Vec<isize>], rows: isize, columns: isize, changes: isize) -> Vec<(usize, usize)> {
    let (mut x, mut y) = (rows, columns);
    let mut pairs = Vec::new();
    for step in (0..=changes).rev() {
        let before = &trace[step as usize];
        let reached = |diagonal: isize| before.get((diagonal + step) as usize).copied().unwrap_or(0);
        let diagonal = x - y;
        let goes_down = diagonal == -step || (diagonal != step && reached(diagonal - 1) < reached(diagonal + 1));
        let previous = if goes_down { diagonal + 1 } else { diagonal - 1 };
        let start = if step == 0 { 0 } else { reached(previous) + isize::from(!goes_down) };
        while x > start && y > 0 {
            (x, y) = (x - 1, y - 1);
            pairs.push((x as usize, y as usize));
        }
        if step > 0 {
            (x, y) = if goes_down { (x, y - 1) } else { (x - 1, y) };
        }
    }
    pairs.reverse();
    pairs
}

/// Leaves out common words between larger changes: a shared "the" in two different sentences helps nobody.
fn worthwhile(pairs: Vec<(usize, usize)>, old: &[&str], new: &[&str]) -> Vec<(usize, usize)> {
    let mut runs: Vec<Vec<(usize, usize)>> = Vec::new();
    for pair in pairs {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|last| (last.0 + 1, last.1 + 1) == pair) => run.push(pair),
            _ => runs.push(vec![pair]),
        }
    }
    let mut kept: Vec<(usize, usize)> = Vec::new();
    for at in 0..runs.len() {
        let run = &runs[at];
        let (first, last) = (run[0], run[run.len() - 1]);
        let before = kept.last().map_or((0, 0), |last| (last.0 + 1, last.1 + 1));
        let next = runs.get(at + 1).map_or((old.len(), new.len()), |run| run[0]);
        let changed_before = (first.0 - before.0).max(first.1 - before.1);
        let changed_after = (next.0 - last.0 - 1).max(next.1 - last.1 - 1);
        if run.len() >= changed_before.min(changed_after).min(4) {
            kept.extend(run);
        }
    }
    kept
}

fn pieces(tokens: &[&str], is_common: &[bool], otherwise: Mark) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for (token, is_common) in tokens.iter().zip(is_common) {
        let mark = if *is_common { Mark::Same } else { otherwise };
        match pieces.last_mut() {
            Some(last) if last.mark == mark => last.text.push_str(token),
            _ => pieces.push(Piece::new(mark, *token)),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pieces: &[Piece]) -> String {
        let around = |mark: Mark| match mark {
            Mark::Same => ["", ""],
            Mark::Removed => ["[-", "-]"],
            Mark::Added => ["{+", "+}"],
            Mark::Found => ["!", "!"],
        };
        let told = pieces.iter().flat_map(|Piece { mark, text }| {
            let [before, after] = around(*mark);
            [before, text, after]
        });
        told.collect()
    }

    #[test]
    fn changed_words_are_marked_and_no_character_is_lost() {
        let (old, new) = differences("The cat sat on the mat today.", "The dog sat on the mat.");
        assert_eq!(told(&old), "The [-cat -]sat on the [-mat today-].");
        assert_eq!(told(&new), "The {+dog +}sat on the {+mat+}.");
        let (old, new) = differences("今天天气很好。", "今天天气不好。");
        assert_eq!((told(&old).as_str(), told(&new).as_str()), ("今天天气[-很-]好。", "今天天气{+不+}好。"));
        assert_eq!(told(&differences("", "a b").1), "{+a b+}");
        assert_eq!(differences("", ""), (vec![], vec![]));
        assert_eq!(told(&differences("same text", "same text").0), "same text");
    }

    #[test]
    fn texts_with_a_few_small_words_in_common_are_different() {
        let old = "Put the kettle on the stove and wait until it boils over the rim";
        let new = "First of all you should open the window so that steam leaves the kitchen";
        assert_eq!(told(&differences(old, new).1), format!("{{+{new}+}}"));
    }

    #[test]
    fn very_different_texts_end_within_the_limit() {
        let words = |from: u32| (from..from + 4_000).map(|word| format!("w{word}")).collect::<Vec<_>>().join(" ");
        let (old, new) = differences(&words(0), &words(10_000));
        assert_eq!((old.len(), new.len()), (1, 1));
    }

    proptest::proptest! {
        #[test]
        fn the_pieces_of_each_text_are_the_text(old in "[ab c\n。好]{0,60}", new in "[ab c\n。好]{0,60}") {
            let (before, after) = differences(&old, &new);
            let whole = |pieces: &[Piece]| pieces.iter().map(|piece| piece.text.as_str()).collect::<String>();
            proptest::prop_assert_eq!(whole(&before), old);
            proptest::prop_assert_eq!(whole(&after), new);
            let same = |pieces: &[Piece]| {
                pieces.iter().filter(|piece| piece.mark == Mark::Same).map(|piece| piece.text.clone()).collect::<String>()
            };
            proptest::prop_assert_eq!(same(&before), same(&after));
        }
    }
}
