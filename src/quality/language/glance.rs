use std::sync::LazyLock;

use super::asking::ASKING_WORDS;
use super::certain::{LATIN_LETTERS_MIN, OWN_WORDS_MIN, language_of_script, two_letters};
use super::words::COMMON_WORDS;
use crate::quality::text::{Letters, Script, Words};

/// Bytes of a text that are looked at.
pub const GLANCE_BYTES: usize = 200;
/// Bytes in which a script shows.
const SCRIPT_BYTES: usize = 96;
/// Common words that settle the language of a short text. One that no other language has counts as much as this many.
const WEIGHT_MIN: usize = 4;
const OWN_WORD: usize = 3;

/// Returns what a look at a short text takes for its language: only a difference is worth a closer look.
///
/// The script settles it, or enough common words of one language; whichlang takes several times as long.
pub fn glance(text: &str) -> &'static str {
    language_of_letters(text).unwrap_or_else(|| {
        most_common(&Words::of(text).ids).unwrap_or_else(|| two_letters(whichlang::detect_language(text)))
    })
}

/// Returns the same for a part of a text some of whose words are known, and whether its letters or words settled it. Fewer bytes
/// show the script than the language.
pub fn glance_at(text: &str, part: fn(&str, usize) -> &str, words: &[u32]) -> (&'static str, bool) {
    let settled = language_of_letters(part(text, SCRIPT_BYTES)).or_else(|| most_common(words));
    let language = settled.unwrap_or_else(|| two_letters(whichlang::detect_language(part(text, GLANCE_BYTES))));
    (language, settled.is_some())
}

fn language_of_letters(text: &str) -> Option<&'static str> {
    // Any other letter has as many bytes as it counts, or more.
    let is_latin = 2 * text.bytes().filter(u8::is_ascii_alphabetic).count() > text.len();
    if is_latin { None } else { language_of_script(Letters::of(text).dominant()) }
}

/// False where a short text in Latin letters has no words that tell it from a text in `found`: fewer than two that another
/// language has and `found` has not.
pub fn may_be_other(text: &str, found: &str) -> bool {
    let Some(found) = COMMON_WORDS.iter().position(|(language, _)| *language == found) else { return true };
    let letters = Letters::of(text);
    if letters.dominant() != Script::Latin || letters.count(Script::Latin) >= LATIN_LETTERS_MIN {
        return true;
    }
    let mut counts = [0usize; COMMON_WORDS.len()];
    for word in Words::of(text).ids {
        let languages = ASKING.languages_of(word);
        if languages >> found & 1 == 0 {
            counts.iter_mut().enumerate().for_each(|(at, count)| *count += usize::from(languages >> at & 1));
        }
    }
    counts.iter().any(|count| *count >= OWN_WORDS_MIN)
}

/// Returns the language that has clearly more of the common words than any other.
fn most_common(words: &[u32]) -> Option<&'static str> {
    let mut counts = [0usize; COMMON_WORDS.len()];
    for word in words {
        let mut languages = TABLE.languages_of(*word);
        let weight = if languages.is_power_of_two() { OWN_WORD } else { 1 };
        while languages != 0 {
            counts[languages.trailing_zeros() as usize] += weight;
            languages &= languages - 1;
        }
    }
    let first = (0..counts.len()).max_by_key(|at| counts[*at])?;
    let most = counts[first];
    let second = (0..counts.len()).filter(|at| *at != first).map(|at| counts[at]).max().unwrap_or_default();
    (most >= WEIGHT_MIN && second * 3 <= most * 2).then_some(COMMON_WORDS[first].0)
}

/// The common words by their hashes, each with the languages that have it, a bit for each.
static TABLE: LazyLock<Table> = LazyLock::new(|| Table::build(&[]));
/// The same with the words with which people ask.
static ASKING: LazyLock<Table> = LazyLock::new(|| Table::build(&ASKING_WORDS));

struct Table([(u32, u16); 1 << BITS]);

const BITS: u32 = 10;

impl Table {
    fn build(more: &[Vec<&str>]) -> Self {
        let mut table = Self([(0, 0); 1 << BITS]);
        for (at, (_, words)) in COMMON_WORDS.iter().enumerate() {
            let more = more.get(at).into_iter().flatten();
            for id in words.iter().chain(more).flat_map(|word| Words::of(word).ids) {
                let place = table.place_of(id);
                table.0[place].0 = id;
                table.0[place].1 |= 1 << at;
            }
        }
        table
    }

    /// Returns where a word is, or would be.
    fn place_of(&self, word: u32) -> usize {
        let mut place = (word >> (u32::BITS - BITS)) as usize;
        while self.0[place].1 != 0 && self.0[place].0 != word {
            place = (place + 1) % self.0.len();
        }
        place
    }

    fn languages_of(&self, word: u32) -> u16 {
        self.0[self.place_of(word)].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_at_a_text_shows_its_language() {
        for (text, language) in [
            ("The harbor lies in the north of the city, and most of the ships carry timber and grain.", "en"),
            ("Der Hafen liegt im Norden der Stadt, und die meisten Schiffe bringen Holz und Getreide.", "de"),
            ("Le port est dans le nord de la ville, et la plupart des navires transportent du bois.", "fr"),
            ("El puerto está en el norte de la ciudad, y la mayoría de los barcos llevan madera.", "es"),
            ("港口位于城市的北部，大多数来这里的船只运送木材和粮食。", "zh"),
            ("港は町の北にあり、ここに来る船のほとんどは木材と穀物を運びます。", "ja"),
            ("Гавань расположена на севере города, и большинство кораблей привозят сюда лес.", "ru"),
            ("Where is the harbor?", "en"),
        ] {
            assert_eq!(glance(text), language, "{text}");
        }
        assert!(may_be_other("Where is the harbor of the city?", "de"));
        assert!(!may_be_other("Where is the harbor of the city?", "en") && !may_be_other("Explain: harbor", "de"));
        assert_eq!(most_common(&Words::of("Why the ship?").ids), None, "too few words");
        assert_eq!(most_common(&Words::of("The ships and the quays are in the north of the town.").ids), Some("en"));
    }
}
