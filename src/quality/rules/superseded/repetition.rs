use super::{REJECTS, Superseded};
use crate::quality::rules::dup_10gram::{GRAM, WORDS_MIN, letters_of, repeated_letters};
use crate::quality::rules::loop_char::{CHARACTERS_MIN, GRAM_SHOWN, compression_ratio, entropy_of, is_structured};
use crate::quality::rules::loop_token::{PERIOD_MAX, RUN_MIN};
use crate::quality::text::{Phrases, looped_places, repeated_places, runs};

/// Requests whose answers may have refrains.
static REFRAINS: Phrases = Phrases::new(|| {
    Phrases::automaton(&[
        "poem", "song", "lyric", "refrain", "chorus", "rhyme", " sing ", "repeat", "诗", "歌词", "歌曲", "首歌",
        "副歌", "重复",
    ])
});

/// The share of letters in repeated 10-grams of words exceeds the threshold. A Chinese, Japanese or Korean character counts as a
/// word, and code counts.
pub const DUP_10GRAM: Superseded = Superseded {
    name: "dup_10gram",
    actions: REJECTS,
    threshold: Some(0.3),
    hits: |candidate, threshold| {
        let words = candidate.words();
        words.len() >= WORDS_MIN
            && repeated_letters(words, GRAM) as f64 > threshold * letters_of(words) as f64
            && !REFRAINS.occur_in(candidate.user)
    },
    places: |candidate| repeated_places(candidate.answer, GRAM),
};

/// A passage of up to 40 words is repeated back to back: a run in which each word equals the one a period earlier, with
/// at least 30 words and more than the threshold's share of the answer.
pub const LOOP_TOKEN: Superseded = Superseded {
    name: "loop_token",
    actions: REJECTS,
    threshold: Some(0.2),
    hits: |candidate, threshold| {
        let ids = &candidate.words().ids;
        let needed = RUN_MIN.max((threshold * ids.len() as f64) as usize + 1);
        (1..=PERIOD_MAX).any(|period| runs(ids, period, needed).next().is_some())
    },
    places: |candidate| looped_places(candidate.answer, PERIOD_MAX, RUN_MIN),
};

/// The compression ratio exceeds the threshold; the padding of cells counts.
pub const LOOP_CHAR: Superseded = Superseded {
    name: "loop_char",
    actions: REJECTS,
    threshold: Some(6.0),
    hits: |candidate, threshold| is_repetitive(candidate.prose().trim(), threshold),
    places: |candidate| repeated_places(candidate.answer, GRAM_SHOWN),
};

/// True where a text that is no table, JSON or HTML compresses by more than this factor.
fn is_repetitive(text: &str, threshold: f64) -> bool {
    let bytes = text.as_bytes();
    if is_structured(text) || bytes.len() < CHARACTERS_MIN || text.chars().count() < CHARACTERS_MIN {
        return false;
    }
    may_shrink(bytes, threshold) && compression_ratio(bytes) > threshold
}

/// The bound as it was: it takes a few texts for ones that cannot shrink although they do.
fn may_shrink(bytes: &[u8], threshold: f64) -> bool {
    const SLOTS: usize = 1 << 10;
    const CHECKED_BYTES: usize = 16 << 10;
    // A loop shows in the last part as in the whole text; the checked part is bounded.
    let bytes = &bytes[bytes.len().saturating_sub(CHECKED_BYTES)..];
    let mut last = [0u64; SLOTS];
    let (mut sampled, mut repeated) = (0u32, 0u32);
    for gram in bytes.windows(8) {
        let gram = u64::from_le_bytes(gram.try_into().expect("eight bytes"));
        let hash = gram.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        // One gram in four is sampled, by its hash, so that a repetition is sampled exactly where its first occurrence is.
        if hash.is_multiple_of(4) {
            let slot = &mut last[(hash >> 2) as usize % SLOTS];
            sampled += 1;
            repeated += u32::from(*slot == gram);
            *slot = gram;
        }
    }
    // Few samples mean few distinct grams, which is a loop.
    if (sampled as usize) < bytes.len() / 16 {
        return true;
    }
    let new = 1.0 - f64::from(repeated) / f64::from(sampled);
    // Matches shorter than eight bytes make new bytes cheaper, but never below half in the texts that were measured.
    new * entropy_of(bytes) * 0.4 < 8.0 / threshold
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::Candidate;
    use crate::quality::rules::Rule;
    use crate::quality::text::different_words;

    fn hits(rule: &Superseded, answer: &str) -> bool {
        rule.hits(&Candidate::new("Why?", answer), rule.threshold().unwrap())
    }

    #[test]
    fn a_paragraph_that_comes_again_is_caught() {
        let hits = |answer: &str| hits(&DUP_10GRAM, answer);
        assert!(hits(&(different_words(0..40) + &different_words(100..120) + &different_words(0..40))));
        assert!(!hits(&different_words(0..200)) && !hits(&(different_words(0..200) + &different_words(0..20))));
    }

    #[test]
    fn a_passage_over_and_over_is_caught_wherever_it_stands() {
        let hits = |answer: &str| hits(&LOOP_TOKEN, answer);
        let words = |count: usize| different_words(0..count);
        assert!(hits(&(words(60) + &"and so on ".repeat(15))));
        assert!(hits(&("and so on, ".repeat(15) + &words(60))));
        assert!(!hits(&(words(600) + &"and so on ".repeat(15))), "less than a fifth");
        assert!(!hits(&"and so on ".repeat(5)), "too short to tell");
        assert!(hits(&"我知道了".repeat(20)));
    }

    #[test]
    fn what_says_little_many_times_is_caught() {
        let hits = |answer: &str| hits(&LOOP_CHAR, answer);
        assert!(hits(&"0".repeat(300)) && hits(&"Eat a banana! ".repeat(40)) && hits(&"好的。".repeat(100)));
        assert!(!hits(&"ab".repeat(50)), "too short to tell");
        let rows = (0..40).fold(String::new(), |rows, row| rows + "| " + &row.to_string() + " | yes |\n");
        assert!(!hits(&rows) && !hits(&format!("So:\n```\n{rows}```")));
        let text: Vec<String> = (0u64..400).map(|number| format!("{:x}", number * 2_654_435_761 % 65_521)).collect();
        assert!(!hits(&text.join(" ")));
    }
}
