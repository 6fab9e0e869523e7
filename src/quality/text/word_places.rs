use std::collections::HashSet;
use std::ops::Range;

use super::Words;
use super::kinds::is_whole_word;

/// Returns where each word of [`Words::of`] is in the text.
fn word_places(text: &str) -> Vec<Range<usize>> {
    let mut places: Vec<Range<usize>> = Vec::new();
    let mut start = None;
    for (at, character) in text.char_indices() {
        let end = at + character.len_utf8();
        if is_whole_word(character) || !(character.is_alphanumeric() || character == '_') {
            places.extend(start.take().map(|start| start..at));
            if is_whole_word(character) {
                places.push(at..end);
            }
        } else if start.is_none() {
            start = Some(at);
        }
    }
    places.extend(start.map(|start| start..text.len()));
    places
}

/// Returns where n-grams of `size` words are that were in the text before.
pub fn repeated_places(text: &str, size: usize) -> Vec<Range<usize>> {
    let mut seen = HashSet::new();
    gram_places(text, size, |gram| !seen.insert(gram))
}

/// Returns where n-grams of `size` words are that another text has too.
pub fn common_places(text: &str, size: usize, other: &str) -> Vec<Range<usize>> {
    let there: HashSet<u64> = Words::of(other).grams(size).collect();
    gram_places(text, size, |gram| there.contains(&gram))
}

/// Returns where words are that stand a period of at most `period_max` words after the same word, in runs of at least
/// `run_min`.
pub fn looped_places(text: &str, period_max: usize, run_min: usize) -> Vec<Range<usize>> {
    let (places, ids) = (word_places(text), Words::of(text).ids);
    for period in 1..=period_max {
        let mut run = 0;
        for at in period..=ids.len() {
            if at < ids.len() && ids[at] == ids[at - period] {
                run += 1;
            } else if run >= run_min {
                return spanned(&places, at - run - period, at - 1).into_iter().collect();
            } else {
                run = 0;
            }
        }
    }
    Vec::new()
}

fn gram_places(text: &str, size: usize, mut is_wanted: impl FnMut(u64) -> bool) -> Vec<Range<usize>> {
    let (places, words) = (word_places(text), Words::of(text));
    let grams = words.grams(size).enumerate();
    grams.filter(|(_, gram)| is_wanted(*gram)).filter_map(|(at, _)| spanned(&places, at, at + size - 1)).collect()
}

fn spanned(places: &[Range<usize>], first: usize, last: usize) -> Option<Range<usize>> {
    Some(places.get(first)?.start..places.get(last)?.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_that_is_counted_has_a_place() {
        for text in ["One two, three_4!", "今天 is 好 day ", "", "a-b 日本語x 한국", "ends with word"] {
            assert_eq!(word_places(text).len(), Words::of(text).len(), "{text}");
        }
        assert_eq!(word_places("日x y"), [0..3, 3..4, 5..6]);
    }

    #[test]
    fn repeats_loops_and_common_passages_are_found() {
        let text = "a b c d. And then a b c d!";
        let only = |place: Range<usize>| std::iter::once(place).collect::<Vec<_>>();
        assert_eq!(repeated_places(text, 4), only(18..25));
        assert_eq!(common_places("so x y z it is", 3, "here: X y, z."), only(3..8));
        let looped = format!("Well. {}", "no no no no ".repeat(3));
        assert_eq!(looped_places(&looped, 5, 6), only(6..looped.len() - 1));
        assert!(looped_places("no no", 5, 6).is_empty());
    }
}
