use std::hash::{BuildHasher, Hasher};

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
        let mut words = Self { ids: Vec::with_capacity(text.len() / 4), lengths: Vec::with_capacity(text.len() / 4) };
        let (mut hash, mut length) = (0u32, 0u32);
        let bytes = text.as_bytes();
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
                let Some(character) = text[at..].chars().next() else { break };
                at += character.len_utf8();
                if is_whole_word(character) {
                    words.push(&mut hash, &mut length);
                    (hash, length) = (mix_hash(0, character as u32), 1);
                    words.push(&mut hash, &mut length);
                } else if character.is_alphanumeric() {
                    (hash, length) = (mix_hash(hash, character as u32), length + 1);
                } else {
                    words.push(&mut hash, &mut length);
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

/// True for characters that count as a word each: Chinese, Japanese and Korean.
pub fn is_whole_word(character: char) -> bool {
    matches!(character, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{20000}'..='\u{2ffff}')
}

fn mix_hash(hash: u32, value: u32) -> u32 {
    (hash.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b1)
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
