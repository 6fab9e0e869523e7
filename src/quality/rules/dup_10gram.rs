use std::ops::Range;

use super::{Action, Candidate, Rule};
use crate::quality::phrases::automaton;
use crate::quality::text::{GramSet, Phrases, Units, Words, repeated_places};

/// More than the threshold's share of the answer was said before, in whole sentences and lines or in passages of 25 words; or
/// the answer ends in sentences that go round three times. Fenced code does not count, nor does a list of short items that comes
/// again in another order. Requested poems and songs may have refrains.
///
/// It began as Gopher's repetition filter (Rae et al. 2021, table A1), which counts repeated 10-grams. Good answers repeat those
/// where items have one pattern, so here they only show which answers are looked at.
pub struct Dup10Gram;

/// Requests whose answers may have refrains.
pub(super) static REFRAINS: Phrases = Phrases::new(|| automaton(&["refrain"]));
pub(super) const GRAM: usize = 10;
/// Repeated words below which nothing is looked at.
const REPEATED_MIN: u64 = 30;
/// Words of a passage that is too long for a pattern.
const PASSAGE: usize = 25;
/// A Chinese, Japanese or Korean character is a word here: this many are about as long as a passage.
const PASSAGE_IDEOGRAPHS: usize = 50;
pub(super) const WORDS_MIN: usize = 50;

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
        let words = candidate.prose_words();
        if words.len() < WORDS_MIN || repeated_letters(words, GRAM) < REPEATED_MIN || REFRAINS.occur_in(candidate.user)
        {
            return false;
        }
        let units = Units::of(candidate.prose());
        if units.ends_in_cycle() || units.repeated_share() > threshold {
            return true;
        }
        repeated_letters(words, passage_of(words)) as f64 > threshold * letters_of(words) as f64
    }

    fn value(&self, candidate: &Candidate<'_>) -> Option<f64> {
        let words = candidate.prose_words();
        if words.len() < WORDS_MIN || REFRAINS.occur_in(candidate.user) {
            return None;
        }
        if repeated_letters(words, GRAM) < REPEATED_MIN {
            return Some(0.0);
        }
        let units = Units::of(candidate.prose());
        let passages = repeated_letters(words, passage_of(words)) as f64 / letters_of(words).max(1) as f64;
        Some(if units.ends_in_cycle() { 1.0 } else { units.repeated_share().max(passages) })
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        repeated_places(candidate.answer, GRAM)
    }
}

/// Returns how many words of [`Words`] are a passage.
fn passage_of(words: &Words) -> usize {
    if is_ideographic(words) { PASSAGE_IDEOGRAPHS } else { PASSAGE }
}

/// True where most words are single characters.
fn is_ideographic(words: &Words) -> bool {
    2 * words.lengths.iter().filter(|length| **length == 1).count() > words.len()
}

pub(super) fn letters_of(words: &Words) -> u64 {
    words.lengths.iter().map(|length| u64::from(*length)).sum()
}

/// Returns how many letters are in runs of `size` words that were there before.
pub(super) fn repeated_letters(words: &Words, size: usize) -> u64 {
    let mut seen = GramSet::new(words.len());
    let (mut repeated, mut counted) = (0u64, 0usize);
    for (at, gram) in words.grams(size).enumerate() {
        if !seen.insert(gram) {
            // Repeated n-grams overlap; each word is counted once.
            let from = at.max(counted);
            repeated += words.lengths[from..at + size].iter().map(|length| u64::from(*length)).sum::<u64>();
            counted = at + size;
        }
    }
    repeated
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

    #[test]
    fn code_and_sentences_of_one_pattern_are_no_repetition() {
        let hits = |answer: &str| Dup10Gram.hits(&Candidate::new("Why?", answer), 0.3);
        let code = "```php\nsession_start();\nrequire_once \"config.php\";\n$id = $_SESSION[\"id\"];\n$row->execute([$id]);\n```\n";
        assert!(!hits(&format!("The first page:\n\n{code}\nThe second page:\n\n{code}\n{code}{code}")));
        let pattern = "A가 진실을 말하고 있다면, 배는 북쪽 항구에 있습니다.\nA가 거짓말을 하고 있다면, 배는 북쪽 항구에 없습니다.\n\
                       B가 진실을 말하고 있다면, 배는 남쪽 항구에 있습니다.\nB가 거짓말을 하고 있다면, 배는 남쪽 항구에 없습니다.";
        assert!(!hits(pattern));
        let list = "1. 北港海運株式会社: 31%\n2. 南港倉庫株式会社: 20%\n3. 東港物流株式会社: 10%\n";
        assert!(
            !hits(&format!("各社の成長率は次のとおりです。\n\n{list}\n高い順に並べます。\n\n{list}")),
            "a list in order"
        );
        let paragraph = "항구는 도시의 북쪽에 있고, 이곳에 오는 배들은 대부분 목재와 곡식을 나릅니다. 여름에는 부두에 사람이 많습니다.";
        assert!(hits(&format!("{paragraph}\n\n{paragraph}")));
        let paragraph =
            "港口位于城市的北部，大多数来这里的船只运送木材和粮食。夏天码头上有很多人，渔民在船上直接卖鱼。";
        assert!(hits(&format!("{paragraph}\n\n{paragraph}")));
        let pattern = (1..9).fold(String::new(), |text, number| {
            text + &format!("- \"{number}\": the flag affects only those versions whose number is greater than {number} or equal to it\n")
        });
        assert!(!hits(&pattern), "items of one pattern");
    }
}
