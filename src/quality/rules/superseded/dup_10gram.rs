use std::ops::Range;

use crate::quality::rules::{Action, Candidate, Rule};
use crate::quality::text::{GramSet, Phrases, repeated_places};

/// The share of letters in repeated 10-grams of words exceeds the threshold.
///
/// This is Gopher's repetition filter (Rae et al. 2021, table A1) at one length, with a threshold for chat: as published
/// it drops one in twelve of GPT-4's answers. Requested poems and songs may have refrains.
pub struct Dup10Gram;

/// Requests whose answers may have refrains.
static REFRAINS: Phrases = Phrases::new(|| {
    Phrases::automaton(&[
        "poem", "song", "lyric", "refrain", "chorus", "rhyme", " sing ", "repeat", "诗", "歌词", "歌曲", "首歌",
        "副歌", "重复",
    ])
});
const GRAM: usize = 10;
const WORDS_MIN: usize = 50;

impl Rule for Dup10Gram {
    fn name(&self) -> &'static str {
        "dup_10gram"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Reject, Action::Reject)
    }

    fn threshold(&self) -> Option<f64> {
        Some(0.3)
    }

    fn hits(&self, candidate: &Candidate<'_>, threshold: f64) -> bool {
        let words = candidate.words();
        if words.len() < WORDS_MIN {
            return false;
        }
        let mut seen = GramSet::new(words.len());
        let (mut repeated, mut counted) = (0u64, 0usize);
        for (at, gram) in words.grams(GRAM).enumerate() {
            if !seen.insert(gram) {
                // Repeated n-grams overlap; each word is counted once.
                let from = at.max(counted);
                repeated += words.lengths[from..at + GRAM].iter().map(|length| u64::from(*length)).sum::<u64>();
                counted = at + GRAM;
            }
        }
        let total: u64 = words.lengths.iter().map(|length| u64::from(*length)).sum();
        repeated as f64 > threshold * total as f64 && !REFRAINS.occur_in(candidate.user)
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        repeated_places(candidate.answer, GRAM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_that_comes_again_is_caught() {
        let words = |from: usize, to: usize| crate::quality::text::different_words(from..to);
        let hits = |answer: &str| Dup10Gram.hits(&Candidate::new("Why?", answer), 0.3);
        assert!(hits(&(words(0, 40) + &words(100, 120) + &words(0, 40))));
        assert!(!hits(&words(0, 200)) && !hits(&(words(0, 200) + &words(0, 20))));
    }
}
