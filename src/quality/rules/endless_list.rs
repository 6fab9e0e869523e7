use std::collections::HashMap;
use std::ops::Range;

use super::{Action, Candidate, Rule};
use crate::quality::phrases::automaton;
use crate::quality::text::{Phrases, Spread, Words};

/// A list without an end: at least the threshold's number of items that say what an earlier one said, or nothing. The
/// number of an item does not count, so the rules about repeated words do not see such a list. Fenced code does not count.
pub struct EndlessList;

/// The share of such items among the items of the list.
const AGAIN_MIN: f64 = 0.5;
/// An item is compared with this many before it.
const ITEMS_BEFORE: usize = 40;
/// Items on one line have at least this many bytes of text before them.
const MARKER_BYTES_MAX: usize = 12;

/// Words with which a user asks for the same again, or for a form with empty items.
static ASKED_FOR: Phrases = Phrases::new(|| automaton(&["repeat", "blank"]));

impl Rule for EndlessList {
    fn name(&self) -> &'static str {
        "endless_list"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Reject, Action::Reject)
    }

    fn threshold(&self) -> Option<f64> {
        Some(8.0)
    }

    fn hits(&self, candidate: &Candidate<'_>, threshold: f64) -> bool {
        let prose = candidate.prose();
        if !may_hold_items(prose, threshold) {
            return false;
        }
        let again = again_in(prose, threshold);
        again.len() as f64 >= threshold && !ASKED_FOR.begin_word_in(candidate.user)
    }

    fn value(&self, candidate: &Candidate<'_>) -> Option<f64> {
        (!ASKED_FOR.begin_word_in(candidate.user)).then(|| again_in(candidate.prose(), 0.0).len() as f64)
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        again_in(candidate.answer, 0.0)
    }
}

/// False where the lines that begin as an item does have fewer items than the threshold's number: one each, or as many as there
/// are numbers with a mark after them.
fn may_hold_items(prose: &str, threshold: f64) -> bool {
    let mut items = 0usize;
    let begins = |line: &&[u8]| {
        let first = line.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r')).unwrap_or(line.len());
        match line[first..] {
            [b'0'..=b'9' | b'-' | b'*' | b'+' | b'(' | b'#', ..] => true,
            // Wide spaces, and the first bytes of the other bullets and brackets.
            [0xc2 | 0xe1, ..] | [0xe2, 0x80 | 0x81, ..] | [0xe3, 0x80 | 0x83, ..] => true,
            [0xef, 0xbc, ..] | [0xe7, 0xac, ..] => true,
            _ => false,
        }
    };
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', prose.as_bytes()).chain([prose.len()]) {
        let line = &prose.as_bytes()[start..end];
        if begins(&line) {
            // The first bytes of the wide marks.
            let is_number =
                |pair: &&[u8]| matches!(pair, [b'0'..=b'9', b'.' | b')' | b':' | 0xe3 | 0xe6 | 0xe9 | 0xef]);
            items += line.windows(2).filter(is_number).count().max(1);
        }
        start = end + 1;
    }
    items as f64 >= threshold
}

/// Returns the items that say nothing new, of the list in which most of them are; shorter lists are not looked at.
fn again_in(text: &str, items_min: f64) -> Vec<Range<usize>> {
    let mut longest = Vec::new();
    for list in lists(text).into_iter().filter(|list| list.len() as f64 >= items_min) {
        let mut last: HashMap<u64, usize, Spread> = HashMap::with_capacity_and_hasher(list.len(), Spread);
        let mut again = Vec::new();
        for (at, item) in list.iter().enumerate() {
            let said = Words::of(&text[item.said.clone()]);
            // One hash of all its words.
            let before = last.insert(said.grams(said.len()).last().unwrap_or_default(), at);
            if said.is_empty() || before.is_some_and(|before| at - before <= ITEMS_BEFORE) {
                again.push(item.place.clone());
            }
        }
        if again.len() as f64 >= AGAIN_MIN * list.len() as f64 && again.len() > longest.len() {
            longest = again;
        }
    }
    longest
}

/// An item of a list.
struct Item {
    place: Range<usize>,
    /// The text after its number or bullet.
    said: Range<usize>,
}

/// Returns the lists of a text: numbered items or bullets that follow each other, with other lines between them as long as
/// numbers go on, and numbered items on one line.
fn lists(text: &str) -> Vec<Vec<Item>> {
    let (mut lists, mut list, mut last_number): (Vec<Vec<Item>>, Vec<Item>, Option<u64>) =
        (Vec::new(), Vec::new(), None);
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        for (at, length, number) in markers(line) {
            let goes_on =
                number.is_none() == last_number.is_none() && number.is_none_or(|number| Some(number) > last_number);
            if !goes_on && !list.is_empty() {
                lists.push(std::mem::take(&mut list));
            }
            if let Some(before) = list.last_mut().filter(|before| before.place.end > start + at) {
                (before.place.end, before.said.end) = (start + at, start + at);
            }
            list.push(Item { place: start + at..start + line.len(), said: start + at + length..start + line.len() });
            last_number = number;
        }
        start += line.len();
    }
    lists.push(list);
    lists
}

/// Returns the markers of items in a line: where, how long, and the number; a bullet has none.
fn markers(line: &str) -> Vec<(usize, usize, Option<u64>)> {
    let indent = line.len() - line.trim_start().len();
    let body = &line[indent..];
    if let Some(length) =
        ["- ", "* ", "+ ", "• ", "・"].iter().find(|bullet| body.starts_with(**bullet)).map(|bullet| bullet.len())
    {
        return vec![(indent, length, None)];
    }
    if matches!(body.trim_end(), "-" | "*" | "+" | "•" | "・") {
        return vec![(indent, 1.min(body.len()), None)];
    }
    if !body.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '*' | '(' | '（' | '第' | '#')) {
        return Vec::new();
    }
    let mut found: Vec<(usize, usize, Option<u64>)> = Vec::new();
    // One item begins the line; more may follow where they count on.
    let bytes = line.as_bytes();
    let mut at = indent;
    while at < bytes.len() {
        let begins_word = at == indent || matches!(bytes[at - 1], b' ' | b'\t');
        let wants = found.last().and_then(|last| last.2).map(|number| number + 1);
        match numbered_at(&line[at..]).filter(|_| begins_word) {
            Some((length, number)) if wants.is_none_or(|wants| wants == number) => {
                found.push((at, length, Some(number)));
                at += length.max(1);
            }
            _ if found.is_empty() => break,
            _ => at = memchr::memchr(b' ', &bytes[at..]).map_or(bytes.len(), |space| at + space + 1),
        }
    }
    found
}

/// Returns the length and the number of a marker at the beginning of a text: `12.`, `12)`, `**12.`, `(12)`, `12、`.
fn numbered_at(text: &str) -> Option<(usize, u64)> {
    let opened = text.trim_start_matches(['*', '(', '（', '第', '#', ' ']);
    let skipped = text.len() - opened.len();
    if skipped > MARKER_BYTES_MAX {
        return None;
    }
    let digits = opened.bytes().take_while(u8::is_ascii_digit).count();
    let number = opened.get(..digits).filter(|_| (1..=6).contains(&digits))?.parse().ok()?;
    let rest = &opened[digits..];
    let close =
        rest.chars().next().filter(|next| matches!(next, '.' | ')' | '、' | '．' | '）' | '項' | '条' | '：' | ':'))?;
    let after = &rest[close.len_utf8()..];
    // `3.5` and `12:30` are numbers.
    let is_marker = !after.starts_with(|next: char| next.is_ascii_digit());
    is_marker.then_some((skipped + digits + close.len_utf8(), number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(user: &str, answer: &str) -> bool {
        EndlessList.hits(&Candidate::new(user, answer), 8.0)
    }

    fn list(count: usize, said: impl Fn(usize) -> String) -> String {
        (1..=count).fold(String::from("Here it is:\n"), |list, number| list + &format!("{number}. {}\n", said(number)))
    }

    #[test]
    fn a_list_that_says_nothing_new_is_caught() {
        assert!(hits("Why?", &list(20, |_| "Eat well.".into())));
        assert!(hits("Why?", &list(20, |_| String::new())));
        assert!(hits("Why?", &list(24, |number| ["Eat well.", "Sleep.", "多喝水。"][number % 3].into())));
        assert!(hits(
            "Why?",
            &list(20, |number| if number < 6 { format!("Step {number} is it") } else { "Rest.".into() })
        ));
        assert!(hits(
            "Why?",
            &format!("So: {}", "x")
                .replace('x', &(1..20).fold("\n".into(), |all: String, n| all + &format!("{n}. Rest ")))
        ));
        assert!(hits("Why?", &("Well:\n".to_owned() + &"- \n".repeat(12))));
        assert!(hits("Why?", &("Well:\n".to_owned() + &"- Rest\n".repeat(12))));
        assert!(hits("为什么？", &(1..15).fold("好：\n".into(), |all: String, n| all + &format!("{n}、休息\n"))));
    }

    proptest::proptest! {
        #[test]
        fn where_no_items_are_seen_there_is_no_list(
            lines in proptest::collection::vec("([0-9]{1,2}[.)、：]|- |\\* |\\([0-9]\\)|第[0-9]条|[a-z ]|\\*\\*[0-9]\\.){0,6}", 0..9),
        ) {
            let text = lines.join("\n");
            for least in 1..6 {
                let items = again_in(&text, f64::from(least)).len();
                proptest::prop_assert!(items < least as usize || may_hold_items(&text, f64::from(least)), "{text:?}");
            }
        }
    }

    #[test]
    fn other_lists_are_let_pass() {
        assert!(!hits("Why?", &list(60, |number| format!("Point {number} is new"))));
        assert!(!hits("Why?", &list(6, |_| "Eat well.".into())), "too short to tell");
        assert!(!hits("Why?", &(1..30).fold(String::new(), |all, n| all + &format!("7 x {n} = {}\n", 7 * n))));
        assert!(!hits(
            "Why?",
            &list(12, |number| if number % 3 == 0 { "Rest day".into() } else { format!("Run {number} km") })
        ));
        assert!(!hits("Why?", &format!("```\n{}```", list(20, |_| "0".into()))));
        for asked in [
            "Repeat it ten times.",
            "Eine leere Liste bitte.",
            "Une liste vide.",
            "Una lista vacía.",
            "Una lista vuota.",
            "Uma lista vazia.",
            "Пустой список.",
            "一个空列表",
            "空のリスト",
            "빈 목록",
            "قائمة فارغة",
            "एक खाली सूची",
        ] {
            assert!(!hits(asked, &list(20, |_| String::new())), "{asked}");
        }
    }

    #[test]
    fn its_places_are_the_items_that_come_again() {
        let answer = "A:\n1. Rest\n2. Rest\n3. Run\n4. Rest\n";
        assert_eq!(EndlessList.places(&Candidate::new("Why?", answer)), [11..19, 26..34]);
    }
}
