use std::hash::{BuildHasher, Hasher};

use super::kinds::{KINDS, LETTER, WHOLE_WORD, character_at, kind_of};

/// A text's words as numbers. A word is a run of letters, digits and underscores, or one character of a script without
/// spaces between words. Words that differ only in ASCII case have the same number.
#[derive(Debug, Default)]
pub struct Words {
    /// A hash of each word.
    pub ids: Vec<u32>,
    /// The length of each word in characters.
    pub lengths: Vec<u32>,
}

impl Words {
    /// Splits a text into words.
    pub fn of(text: &str) -> Self {
        // A word of most languages has four bytes or more, a character of Chinese has three.
        let words_max = text.len() / if text.is_ascii() { 4 } else { 3 } + 1;
        let mut words = Self { ids: Vec::with_capacity(words_max), lengths: Vec::with_capacity(words_max) };
        let (mut hash, mut length) = (0u32, 0u32);
        let (bytes, kinds) = (text.as_bytes(), &**KINDS);
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            let letter = ASCII_LETTERS[*byte as usize];
            if letter != 0 {
                (hash, length) = (mix_hash(hash, u32::from(letter)), length + 1);
                at += 1;
            } else if byte.is_ascii() {
                words.push(&mut hash, &mut length);
                at += 1;
            } else {
                let Some((value, size)) = character_at(bytes, at) else { break };
                at += size;
                match u16::try_from(value).map_or_else(|_| kind_of(value), |low| kinds[usize::from(low)]) {
                    WHOLE_WORD => {
                        words.push(&mut hash, &mut length);
                        (hash, length) = (mix_hash(0, value), 1);
                        words.push(&mut hash, &mut length);
                    }
                    LETTER => (hash, length) = (mix_hash(hash, value), length + 1),
                    _ => words.push(&mut hash, &mut length),
                }
            }
        }
        words.push(&mut hash, &mut length);
        words
    }

    fn push(&mut self, hash: &mut u32, length: &mut u32) {
        if *length > 0 {
            self.ids.push(std::mem::take(hash));
            self.lengths.push(std::mem::take(length));
        }
    }

    /// Returns the number of words.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// True where there are no words.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Returns a hash of each n-gram of `size` words, in order.
    pub fn grams(&self, size: usize) -> impl Iterator<Item = u64> {
        // A rolling polynomial hash over the ids. The word that leaves the window is subtracted with its power.
        const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
        let power = (1..size).fold(1u64, |power, _| power.wrapping_mul(BASE));
        let mut rolled = 0u64;
        (0..self.ids.len()).filter_map(move |at| {
            if at >= size {
                rolled = rolled.wrapping_sub(u64::from(self.ids[at - size]).wrapping_mul(power));
            }
            rolled = rolled.wrapping_mul(BASE).wrapping_add(u64::from(self.ids[at]));
            (at + 1 >= size).then_some(rolled)
        })
    }
}

/// Maps a byte to its lower-case letter, digit or underscore; all other bytes to 0.
const ASCII_LETTERS: [u8; 256] = {
    let mut letters = [0; 256];
    let mut byte = 0u8;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            letters[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    letters
};

fn mix_hash(hash: u32, value: u32) -> u32 {
    (hash.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b1)
}

/// Returns a hash of some bytes, eight at a time.
pub fn hash_of(bytes: &[u8]) -> u64 {
    const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, value: u64| (hash.rotate_left(23) ^ value).wrapping_mul(BASE);
    let (eights, rest) = bytes.as_chunks::<8>();
    let hash = eights.iter().fold(bytes.len() as u64, |hash, eight| mix(hash, u64::from_le_bytes(*eight)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(hash, u64::from_le_bytes(last))
}

/// A set of n-grams with a fixed capacity: an open-addressing table with twice as many slots. The caller inserts at most
/// the announced number.
pub struct GramSet {
    slots: Vec<u64>,
    shift: u32,
}

impl GramSet {
    /// Creates an empty set for `count` n-grams.
    pub fn new(count: usize) -> Self {
        let bits = (count.max(8) * 2).next_power_of_two().trailing_zeros();
        Self { slots: vec![0; 1 << bits], shift: 64 - bits }
    }

    /// Inserts an n-gram; false where it is present already.
    pub fn insert(&mut self, gram: u64) -> bool {
        // Zero marks an empty slot.
        let gram = gram.max(1);
        let mut slot = (gram.wrapping_mul(0xd6e8_feb8_6659_fd93) >> self.shift) as usize;
        loop {
            match self.slots[slot] {
                0 => {
                    self.slots[slot] = gram;
                    return true;
                }
                other if other == gram => return false,
                _ => slot = (slot + 1) % self.slots.len(),
            }
        }
    }
}

/// A hasher for numbers that are hashes already.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spread;

impl BuildHasher for Spread {
    type Hasher = SpreadHasher;

    fn build_hasher(&self) -> SpreadHasher {
        SpreadHasher(0)
    }
}

/// Multiplies, so that high and low bits depend on all input bits.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpreadHasher(u64);

impl Hasher for SpreadHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        let mixed = (self.0 ^ value).wrapping_mul(0xd6e8_feb8_6659_fd93);
        self.0 = mixed ^ (mixed >> 32);
    }
}

/// Returns distinct words, for tests.
#[cfg(test)]
pub fn different_words(numbers: std::ops::Range<usize>) -> String {
    numbers.fold(String::new(), |text, number| text + "w" + &number.to_string() + " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::text::kinds::is_whole_word;

    proptest::proptest! {
        #[test]
        fn words_are_split_as_the_standard_library_sees_letters(text in "[ -~]{0,9}|\\PC{0,20}|[а-я 日가🙂𠀀é]{0,20}") {
            let mut words: Vec<Vec<char>> = vec![Vec::new()];
            for character in text.chars() {
                match character {
                    character if is_whole_word(character) => words.extend([vec![character], Vec::new()]),
                    character if character.is_alphanumeric() || character == '_' => {
                        words.last_mut().unwrap().push(character.to_ascii_lowercase());
                    }
                    _ => words.push(Vec::new()),
                }
            }
            words.retain(|word| !word.is_empty());
            let hash = |word: &Vec<char>| word.iter().fold(0, |hash, letter| mix_hash(hash, u32::from(*letter)));
            let found = Words::of(&text);
            proptest::prop_assert_eq!(found.ids, words.iter().map(hash).collect::<Vec<_>>());
            proptest::prop_assert_eq!(found.lengths, words.iter().map(|word| word.len() as u32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn words_are_runs_of_letters_or_single_han() {
        let words = Words::of("Hello, wörld_1! 你好 hello");
        assert_eq!(words.lengths, [5, 7, 1, 1, 5]);
        assert_eq!(words.ids[0], words.ids[4]);
        let grams: Vec<u64> = Words::of("a b c a b c").grams(2).collect();
        assert_eq!((grams.len(), grams[0], grams[1]), (5, grams[3], grams[4]));
        assert_eq!(Words::of("a").grams(2).count(), 0);
    }
}
