use super::kinds::{is_letter, is_whole_word};
use super::{GramSet, lines_of};

/// A text's sentences and lines as numbers, without their punctuation and without the marks of lists.
#[derive(Debug, Default)]
pub struct Units {
    units: Vec<Unit>,
    /// The letters of the whole text.
    letters: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Unit {
    /// A hash of its letters and digits.
    id: u64,
    letters: u64,
    /// It is, or belongs to, a short item of a list.
    is_short_item: bool,
}

/// A Chinese, Japanese or Korean character counts as this many letters.
const LETTERS_PER_IDEOGRAPH: u64 = 3;
/// Shorter units ("Yes.", "Example:") come again in good texts.
const LETTERS_MIN: u64 = 18;
/// A list of short items may come again in another order. Longer ones are sentences.
const ITEM_CHARACTERS_MAX: usize = 60;
/// Units that go round together.
const PERIOD_MAX: usize = 12;

impl Units {
    /// Splits a text.
    pub fn of(text: &str) -> Self {
        let mut units = Self::default();
        for line in lines_of(text) {
            let said = without_marker(line);
            let is_short_item = said.len() < line.trim_start().len() && said.chars().count() <= ITEM_CHARACTERS_MAX;
            units.split(said, is_short_item);
        }
        units
    }

    fn split(&mut self, line: &str, is_short_item: bool) {
        let mut unit = Unit { is_short_item, ..Unit::default() };
        let mut characters = line.chars().peekable();
        while let Some(character) = characters.next() {
            if is_letter(character) {
                unit.letters += if is_whole_word(character) { LETTERS_PER_IDEOGRAPH } else { 1 };
                let value = u64::from(u32::from(character.to_ascii_lowercase()));
                unit.id = (unit.id.rotate_left(7) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            } else if is_end(character, characters.peek().copied()) {
                self.push(&mut unit);
            }
        }
        self.push(&mut unit);
    }

    fn push(&mut self, unit: &mut Unit) {
        self.letters += unit.letters;
        if unit.letters >= LETTERS_MIN {
            self.units.push(*unit);
        }
        *unit = Unit { is_short_item: unit.is_short_item, ..Unit::default() };
    }

    /// Returns the share of letters in units that were there before, 0 to 1. Short items of lists count from their third time
    /// on.
    pub fn repeated_share(&self) -> f64 {
        let (mut once, mut twice) = (GramSet::new(self.units.len()), GramSet::new(self.units.len()));
        let mut repeated = 0;
        for unit in &self.units {
            let is_new = once.insert(unit.id) || (unit.is_short_item && twice.insert(unit.id));
            repeated += if is_new { 0 } else { unit.letters };
        }
        repeated as f64 / self.letters.max(1) as f64
    }

    /// True where the text ends in units that go round: at least three times, the last of which may be cut.
    pub fn ends_in_cycle(&self) -> bool {
        let ids: Vec<u64> = self.units.iter().map(|unit| unit.id).collect();
        (1..=PERIOD_MAX).any(|period| {
            let equal = ids.iter().rev().zip(ids.iter().rev().skip(period)).take_while(|(id, before)| id == before);
            // The last unit is often cut off; it is then like none before it.
            let cut = ids.split_last().map_or(0, |(_, whole)| {
                whole.iter().rev().zip(whole.iter().rev().skip(period)).take_while(|(id, before)| id == before).count()
            });
            equal.count().max(cut) >= 2 * period
        })
    }
}

/// Returns a line without its indentation and the mark of an item.
fn without_marker(line: &str) -> &str {
    let line = line.trim_start();
    let number = line.trim_start_matches(|character: char| character.is_ascii_digit());
    if number.len() < line.len()
        && let Some(said) = number.strip_prefix(['.', ')', '、', '．', ':', '：'])
    {
        return said.trim_start();
    }
    line.strip_prefix(['-', '*', '•', '・', '+']).map_or(line, str::trim_start)
}

/// True where a sentence ends.
fn is_end(character: char, next: Option<char>) -> bool {
    match character {
        '。' | '！' | '？' | '।' | '؟' | '…' => true,
        '.' | '!' | '?' => next.is_none_or(|next| !next.is_alphanumeric()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "The harbor lies in the north of the town. Most of its ships carry timber and grain. ";

    #[test]
    fn sentences_and_lines_that_come_again_are_counted() {
        let share = |text: &str| Units::of(text).repeated_share();
        assert!(share(TWO) < 1e-9);
        assert!((share(&TWO.repeat(2)) - 0.5).abs() < 1e-9);
        let other = "1. the harbor lies in the north of the town\n2. Most of its ships carry timber and grain!\n";
        assert!((share(&format!("{TWO}\n{other}")) - 0.5).abs() > 0.4, "a list may come again");
        assert!(share(&format!("{TWO}\n{other}{other}")) > 0.3, "but not without end");
        assert!((share("港口位于城市的北部。夏天有很多人。港口位于城市的北部。") - 27.0 / 72.0).abs() < 1e-9);
        assert!(share("Yes. No. Yes. No. Yes. No.") < 1e-9, "too short to tell");
    }

    #[test]
    fn what_goes_round_at_the_end_is_a_cycle() {
        let ends = |text: &str| Units::of(text).ends_in_cycle();
        let before = "Ships come every morning. The quays are full in summer. Nobody fishes here in winter. ";
        assert!(!ends(before) && !ends(&format!("{before}{}", TWO.repeat(2))));
        assert!(ends(&format!("{before}{}", TWO.repeat(3))));
        assert!(ends(&format!("{before}{}The harbor lies in the no", TWO.repeat(3))), "the last one is cut off");
        assert!(!ends(&format!("{}{before}", TWO.repeat(4))), "it did not end there");
        assert!(ends(&"- Carry the timber to the northern quay.\n".repeat(3)));
        assert!(!ends(
            "1. Turn to 10.5 degrees north.\n2. Turn to 20.5 degrees north.\n3. Turn to 30.5 degrees north."
        ));
    }
}
