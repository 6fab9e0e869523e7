use std::collections::HashMap;

use super::text::Spread;

/// Finds conversations whose users say nearly the same: `MinHash` over character 5-grams (Broder 1997) in 16 bands of 8
/// rows, which finds a pair of similarity 0.8 with probability 0.95. Each candidate pair is verified by its exact Jaccard
/// similarity. The first of the duplicates in input order is kept.
///
/// Memory for each kept text: its 16 band keys, 300 to 650 bytes with their tables, and the hashes of its 5-grams (4 bytes
/// each, at most 1,000).
#[derive(Debug)]
pub struct NearDuplicates {
    threshold: f64,
    bands: Vec<HashMap<u64, u32, Spread>>,
    kept: Vec<Box<[u32]>>,
}

const GRAM: usize = 5;
const BANDS: usize = 16;
const ROWS: usize = 8;
/// At most this many 5-grams of a text are compared. Of longer texts the ones with the smallest hashes are taken, which
/// gives similar texts the same sample.
const GRAMS_MAX: usize = 1_000;

impl NearDuplicates {
    /// Creates an empty set. Texts with at least this similarity, 0 to 1, are near-duplicates.
    pub fn new(threshold: f64) -> Self {
        Self { threshold, bands: vec![HashMap::default(); BANDS], kept: Vec::new() }
    }

    /// Returns the number of a kept text that this one is similar to. If no kept text is similar, keeps this one.
    pub fn find(&mut self, text: &str) -> Option<u32> {
        let grams = gram_hashes(text);
        let keys = band_keys(&grams);
        let found = keys.iter().zip(&self.bands).filter_map(|(key, band)| band.get(key).copied());
        let mut candidates: Vec<u32> = found.collect();
        candidates.sort_unstable();
        candidates.dedup();
        let like = candidates.into_iter().find(|other| jaccard(&grams, &self.kept[*other as usize]) >= self.threshold);
        if like.is_none() {
            let number = u32::try_from(self.kept.len()).expect("four billion texts do not fit in memory");
            keys.iter().zip(&mut self.bands).for_each(|(key, band)| {
                band.entry(*key).or_insert(number);
            });
            self.kept.push(grams.into_boxed_slice());
        }
        like
    }
}

/// Returns the hashes of a text's 5-grams, sorted and deduplicated.
fn gram_hashes(text: &str) -> Vec<u32> {
    let characters: Vec<char> = text.chars().collect();
    let hash = |run: &[char]| {
        let mixed = run.iter().fold(0u64, |hash, character| {
            (hash.rotate_left(9) ^ u64::from(*character)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
        (mixed >> 32) as u32
    };
    let mut grams: Vec<u32> =
        if characters.len() < GRAM { vec![hash(&characters)] } else { characters.windows(GRAM).map(hash).collect() };
    grams.sort_unstable();
    grams.dedup();
    grams.truncate(GRAMS_MAX);
    grams
}

fn band_keys(grams: &[u32]) -> [u64; BANDS] {
    let mut minima = [u32::MAX; BANDS * ROWS];
    for gram in grams {
        for (place, minimum) in minima.iter_mut().enumerate() {
            // One multiply-shift hash for each place (Dietzfelbinger et al. 1997), with fixed odd multipliers.
            let multiplier = (place as u64 * 2 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let hashed = (u64::from(*gram).wrapping_add(place as u64).wrapping_mul(multiplier) >> 32) as u32;
            *minimum = hashed.min(*minimum);
        }
    }
    let mut keys = [0; BANDS];
    for (key, rows) in keys.iter_mut().zip(minima.chunks_exact(ROWS)) {
        *key = rows.iter().fold(0x51_7c_c1_b7u64, |key, row| {
            (key.rotate_left(13) ^ u64::from(*row)).wrapping_mul(0xd6e8_feb8_6659_fd93)
        });
    }
    keys
}

/// Returns the Jaccard similarity of two sorted lists.
fn jaccard(left: &[u32], right: &[u32]) -> f64 {
    let (mut common, mut i, mut j) = (0usize, 0, 0);
    while i < left.len() && j < right.len() {
        match left[i].cmp(&right[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                common += 1;
                i += 1;
                j += 1;
            }
        }
    }
    common as f64 / (left.len() + right.len() - common).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_stays_and_like_texts_are_found() {
        let mut near = NearDuplicates::new(0.8);
        let text = "Please write a short letter to the harbor master about the broken crane on the northern quay.";
        assert_eq!(near.find(text), None);
        assert_eq!(near.find(&text.replace("short", "brief")), Some(0));
        assert_eq!(near.find("Why does the moon look larger at the horizon than overhead?"), None);
        assert_eq!(near.find("Hi"), None);
        assert_eq!((near.find("Hi"), near.find("Ho")), (Some(2), None));
    }

    #[test]
    fn the_memory_is_as_stated() {
        for count in [7_000, 7_500] {
            let mut near = NearDuplicates::new(1.0);
            for number in 0..count {
                near.find(&format!("Question {number}: why {}?", number * 7_919));
            }
            // A place of a table has the key, the number and one byte.
            let keys: usize = near.bands.iter().map(|band| band.capacity() * 8 / 7 * 17).sum();
            let texts = count * size_of::<Box<[u32]>>();
            assert!((300 * count..=650 * count).contains(&(keys + texts)), "{} of {count}", keys + texts);
        }
        assert_eq!(gram_hashes(&"every harbor has its own lights ".repeat(10)).len(), 32);
        let long = (0..9_000).fold(String::new(), |text, number| text + &number.to_string() + " ");
        assert_eq!(gram_hashes(&long).len(), GRAMS_MAX);
    }

    #[test]
    fn the_estimate_follows_the_exact_similarity() {
        // 200 pairs at each similarity: those well above the threshold are found, those below never.
        let words: Vec<String> =
            (0..4_000).map(|number| format!("w{:x}", number * 2_654_435_761u64 % 65_521)).collect();
        let (mut near, mut found) = (NearDuplicates::new(0.8), [0; 2]);
        for pair in 0..200 {
            let text = |from: usize, count: usize| words[from..from + count].join(" ");
            let start = pair * 17;
            near.find(&text(start, 100));
            found[0] += usize::from(near.find(&(text(start, 97) + " x y z")).is_some());
            let mut apart = NearDuplicates::new(0.8);
            apart.find(&text(start, 100));
            found[1] += usize::from(apart.find(&text(start + 40, 100)).is_some());
        }
        assert!(found[0] >= 195 && found[1] == 0, "{found:?}");
    }
}
