use super::{Action, Candidate, Rule};
use crate::quality::text::{GramSet, Phrases};

/// More than the threshold's share of the letters stand in runs of ten words that stood there before.
///
/// Gopher's repetition filter (Rae et al. 2021, table A1) at one length, with a threshold for chat: as published it drops
/// one in twelve of GPT-4's answers. Poems and songs that were asked for may have refrains.
pub struct Dup10Gram;

/// What has refrains.
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
        let (mut doubled, mut counted) = (0u64, 0usize);
        for (at, gram) in words.grams(GRAM).enumerate() {
            if !seen.insert(gram) {
                // Words that an earlier repeated run has counted are not counted again.
                let from = at.max(counted);
                doubled += words.lengths[from..at + GRAM].iter().map(|length| u64::from(*length)).sum::<u64>();
                counted = at + GRAM;
            }
        }
        let total: u64 = words.lengths.iter().map(|length| u64::from(*length)).sum();
        doubled as f64 > threshold * total as f64 && !REFRAINS.occur_in(candidate.user)
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
