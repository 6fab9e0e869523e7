use std::ops::Range;

use super::dup_10gram::REFRAINS;
use super::{Action, Candidate, Rule};
use crate::quality::text::{compressed_size, repeated_places, runs};

/// The compression ratio exceeds the threshold of 6 (zlib, level 6), or a few letters come again and again without an end: the
/// answer is highly repetitive. The ratio of 99 % of
/// good answers is at most 3. Code, tables, JSON and HTML compress well and are exempt; the word rules cover them. The padding
/// of cells does not count.
pub struct LoopChar;

pub(super) const CHARACTERS_MIN: usize = 200;
/// Bytes of a run of the same few letters. Separators and blanks have no letters and may be as long as they are.
const RUN_MIN: usize = 60;
/// Bytes that come again in such a run, at most.
const RUN_PERIOD_MAX: usize = 16;
/// Words that are shown as repeated where they come again together.
pub(super) const GRAM_SHOWN: usize = 3;

impl Rule for LoopChar {
    fn name(&self) -> &'static str {
        "loop_char"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Reject, Action::Reject)
    }

    fn threshold(&self) -> Option<f64> {
        Some(6.0)
    }

    fn hits(&self, candidate: &Candidate<'_>, threshold: f64) -> bool {
        let prose = candidate.prose().trim();
        if has_letter_run(prose, candidate.user) {
            return true;
        }
        if !is_repetitive(prose, threshold) {
            return false;
        }
        let plain = without_padding(prose);
        plain.len() == prose.len()
            || (plain.chars().count() >= CHARACTERS_MIN && compression_ratio(plain.as_bytes()) > threshold)
    }

    fn value(&self, candidate: &Candidate<'_>) -> Option<f64> {
        let prose = candidate.prose().trim();
        if is_structured(prose) || prose.chars().count() < CHARACTERS_MIN {
            return None;
        }
        let ratio = compression_ratio(prose.as_bytes());
        let plain = without_padding(prose);
        Some(match plain.len() == prose.len() {
            true => ratio,
            false if plain.chars().count() < CHARACTERS_MIN => 1.0,
            false => ratio.min(compression_ratio(plain.as_bytes())),
        })
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        repeated_places(candidate.answer, GRAM_SHOWN)
    }
}

/// True where a few letters come again and again, in no table and no markup, and neither in the user's own words nor at his wish.
fn has_letter_run(text: &str, user: &str) -> bool {
    let is_of_letters = |run: Range<usize>| {
        let run = String::from_utf8_lossy(&text.as_bytes()[run]);
        run.chars().any(char::is_alphabetic) && !run.contains(['|', '&', '<', '\\'])
    };
    may_hold_run(text.as_bytes())
        && letter_runs(text).any(is_of_letters)
        && letter_runs(user).next().is_none()
        && !REFRAINS.occur_in(user)
}

/// Returns runs in which each byte equals the one a short period before it.
fn letter_runs(text: &str) -> impl Iterator<Item = Range<usize>> {
    (1..=RUN_PERIOD_MAX).flat_map(|period| runs(text.as_bytes(), period, RUN_MIN.max(4 * period)))
}

/// True for a table, JSON or HTML.
pub(super) fn is_structured(text: &str) -> bool {
    text.starts_with(['{', '[', '<', '|'])
}

/// False where no byte that is looked at has the eight before it again a short period earlier. A run is long enough to have one
/// that is looked at in it.
fn may_hold_run(bytes: &[u8]) -> bool {
    const EIGHT: usize = 8;
    const STEP: usize = RUN_MIN - EIGHT + 1;
    let eight = |at: usize| bytes.get(at..at + EIGHT);
    (RUN_PERIOD_MAX..bytes.len().saturating_sub(EIGHT - 1))
        .step_by(STEP)
        .any(|at| (1..=RUN_PERIOD_MAX).filter(|period| eight(at - period) == eight(at)).count() > 0)
}

/// True where a text that is no table, JSON or HTML compresses by more than this factor.
fn is_repetitive(text: &str, threshold: f64) -> bool {
    let bytes = text.as_bytes();
    if is_structured(text) || bytes.len() < CHARACTERS_MIN || text.chars().count() < CHARACTERS_MIN {
        return false;
    }
    may_shrink(bytes, threshold) && compression_ratio(bytes) > threshold
}

/// Removes what pads the cells of a table, and the table's rules: characters of a run of spaces or lines after the first, in lines
/// with a bar.
fn without_padding(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if !line.contains(['|', '│', '┃']) {
            plain.push_str(line);
            continue;
        }
        let mut last = None;
        for character in line.chars() {
            let is_padding = matches!(character, ' ' | '\u{3000}' | '-' | '─' | '━' | '=') && last == Some(character);
            if !is_padding {
                plain.push(character);
            }
            last = Some(character);
        }
    }
    plain
}

pub(super) fn compression_ratio(bytes: &[u8]) -> f64 {
    bytes.len() as f64 / compressed_size(bytes) as f64
}

/// A cheap upper bound that avoids compression: false where the ratio cannot exceed the threshold. Where few 8-byte
/// sequences repeat, the new bytes cost about their entropy, and that alone keeps the ratio below the threshold.
fn may_shrink(bytes: &[u8], threshold: f64) -> bool {
    const CHECKED_BYTES: usize = 16 << 10;
    // A loop shows in the last part as in the whole text; the checked part is bounded.
    let bytes = &bytes[bytes.len().saturating_sub(CHECKED_BYTES)..];
    let (sampled, repeated) = repeated_grams(bytes);
    // None of the few grams of a loop may be sampled, so that only what follows it is: then fewer are than of other texts.
    let sampled_min = bytes.len() as f64 / SAMPLED_PER as f64 * 0.8;
    let new = (sampled - repeated) as f64 / sampled_min.max(sampled as f64);
    // Matches shorter than eight bytes make new bytes cheaper: in good texts of twelve languages never below 0.8 of their
    // entropy, and in repeated lines with small changes, whose ratio exceeds 6, never below 0.6.
    let cost = 16.0 / threshold;
    let counts = Counts::of(bytes);
    new * counts.entropy_at_least() < cost && new * counts.entropy() < cost
}

/// Returns the entropy of a text's bytes, of which one in three is looked at, in bits a byte.
pub(super) fn entropy_of(bytes: &[u8]) -> f64 {
    Counts::of(bytes).entropy()
}

/// How often each byte occurs among those that are looked at.
struct Counts {
    counts: [u32; 256],
    total: f64,
}

impl Counts {
    fn of(bytes: &[u8]) -> Self {
        let mut counts = [0u32; 256];
        bytes.iter().step_by(3).for_each(|byte| counts[*byte as usize] += 1);
        Self { counts, total: bytes.len().div_ceil(3) as f64 }
    }

    fn entropy(&self) -> f64 {
        self.counts
            .iter()
            .filter(|count| **count > 0)
            .map(|count| f64::from(*count) / self.total)
            .map(|share| -share * share.log2())
            .sum()
    }

    /// Returns the entropy of second order, which is never larger and takes one logarithm.
    fn entropy_at_least(&self) -> f64 {
        let squares: u64 = self.counts.iter().map(|count| u64::from(*count) * u64::from(*count)).sum();
        -(squares as f64 / (self.total * self.total)).log2()
    }
}

/// One gram in this many is sampled, by its hash, so that a repetition is sampled exactly where its first occurrence is.
const SAMPLED_PER: usize = 8;

/// Returns how many sequences of eight bytes are sampled, and how many of them came shortly before.
fn repeated_grams(bytes: &[u8]) -> (usize, usize) {
    const BLOCK: usize = 512;
    /// Grams whose hashes begin alike share a place. With one gram in a place, the two grams of a loop that shared it would
    /// drive each other out each time.
    const PLACES: usize = 256;
    const GRAMS_OF_PLACE: usize = 4;
    let mut last = [[0u64; GRAMS_OF_PLACE]; PLACES];
    let (mut sampled, mut repeated) = (0, 0);
    let mut chosen = [0u64; BLOCK];
    let grams = bytes.len().saturating_sub(7);
    for start in (0..grams).step_by(BLOCK) {
        let block = &bytes[start..(start + BLOCK + 7).min(bytes.len())];
        let mut count = 0;
        // Chosen or not, a gram is written, and the next one written over it: without a branch that cannot be foreseen.
        for gram in block.windows(8) {
            let gram = u64::from_le_bytes(gram.try_into().expect("eight bytes"));
            chosen[count % BLOCK] = gram;
            count += usize::from(hash_of(gram).is_multiple_of(SAMPLED_PER));
        }
        sampled += count;
        for gram in &chosen[..count] {
            let place = &mut last[hash_of(*gram) / SAMPLED_PER % PLACES];
            let is_known = place.iter().filter(|other| *other == gram).count() > 0;
            repeated += usize::from(is_known);
            if !is_known {
                *place = [*gram, place[0], place[1], place[2]];
            }
        }
    }
    (sampled, repeated)
}

fn hash_of(gram: u64) -> usize {
    (gram.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_little_many_times_is_caught() {
        let hits = |answer: &str| LoopChar.hits(&Candidate::new("Why?", answer), 6.0);
        assert!(hits(&"0".repeat(300)) && hits(&"Eat a banana! ".repeat(40)) && hits(&"好的。".repeat(100)));
        assert!(!hits(&"ab".repeat(20)) && !hits(&"-".repeat(150)), "too short to tell, and a line");
        assert!(hits(&format!("A plain beginning. {}", "ha".repeat(60))), "letters without an end");
        let rows = (0..40).fold(String::new(), |rows, row| rows + "| " + &row.to_string() + " | yes |\n");
        assert!(!hits(&rows) && !hits(&format!("So:\n```\n{rows}```")));
        let table = "| The north harbor                                                                      | nine metres     \
                     |\n| The south harbor                                                                      | six metres      |\n";
        assert!(!hits(&format!("Here is a table of the two harbors:\n\n{table}")));
        assert!(hits(&format!("So it is:\n{}", "| yes | yes |\n".repeat(60))));
        let text: Vec<String> = (0u64..400).map(|number| format!("{:x}", number * 2_654_435_761 % 65_521)).collect();
        assert!(!hits(&text.join(" ")));
    }

    /// Letters in no order.
    fn letters(seed: u64, count: usize) -> String {
        let mut state = seed;
        let mut letter = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b"abcdefghijklmnopqrstuvwxyz "[(state >> 33) as usize % 27])
        };
        (0..count).map(|_| letter()).collect()
    }

    #[test]
    fn the_shortcut_sees_a_loop_of_which_few_sequences_are_sampled() {
        for (unit, times, seed, count) in [
            ("I8KZhMY", 178, 0, 132), // Two are sampled, which share a place.
            ("oG)<Ny#8", 141, 0, 98),
            ("7IFX7Bx", 130, 96, 196), // None is sampled, and many of the letters after it.
            (";2tGvf{", 172, 0, 196),
            ("\";2tGvf{\"", 172, 0, 196),
        ] {
            let text = unit.repeat(times) + &letters(seed, count);
            assert!(compression_ratio(text.as_bytes()) > 6.0 && may_shrink(text.as_bytes(), 6.0), "{unit}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_run_has_a_byte_that_is_looked_at(
            before in "[ -~]{0,90}", unit in "\\PC{1,16}", length in 60usize..120, after in "[a-z]{0,70}",
        ) {
            let run: Vec<u8> = unit.bytes().cycle().take(length + unit.len().min(RUN_PERIOD_MAX)).collect();
            let bytes = [before.as_bytes(), &run, after.as_bytes()].concat();
            let is_run = (1..=RUN_PERIOD_MAX).any(|period| runs(&bytes, period, RUN_MIN).next().is_some());
            proptest::prop_assert!(may_hold_run(&bytes) || !is_run);
        }

        #[test]
        fn the_shortcut_never_hides_a_loop(unit in "[ -~]{1,80}", times in 1usize..200, tail in "[a-z ]{0,400}") {
            let text = unit.repeat(times) + &tail;
            if text.len() >= CHARACTERS_MIN && compression_ratio(text.as_bytes()) > 6.0 {
                proptest::prop_assert!(may_shrink(text.as_bytes(), 6.0));
            }
        }
    }
}
