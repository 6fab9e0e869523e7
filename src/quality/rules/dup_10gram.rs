use std::ops::Range;

use super::{Action, Candidate, Rule};
use crate::quality::text::{GramSet, Letters, Phrases, Script, Words, repeated_places};

/// The share of letters in repeated 10-grams of words exceeds the threshold. Fenced code does not count. Chinese, Japanese and
/// Korean words have one to three characters, each of which counts as a word here, so their runs are longer.
///
/// This is Gopher's repetition filter (Rae et al. 2021, table A1) at one length, with a threshold for chat: as published
/// it drops one in twelve of GPT-4's answers. Requested poems and songs may have refrains.
pub struct Dup10Gram;

/// Requests whose answers may have refrains.
pub(super) static REFRAINS: Phrases = Phrases::new(|| {
    Phrases::automaton(&[
        "poem", "song", "lyric", "refrain", "chorus", "rhyme", " sing ", "repeat", "诗", "歌词", "歌曲", "首歌",
        "副歌", "重复",
    ])
});
pub(super) const GRAM: usize = 10;
/// Characters that are about ten words.
const GRAM_HAN: usize = 16;
const GRAM_KANA: usize = 20;
const GRAM_HANGUL: usize = 24;
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
        if words.len() < WORDS_MIN {
            return false;
        }
        let size = gram_of(candidate.prose());
        let allowed = threshold * letters_of(words) as f64;
        repeated_letters(words, size) as f64 > allowed
            && !REFRAINS.occur_in(candidate.user)
            // A list may come again, sorted.
            && repeated_letters(&Words::of(&without_items(candidate.prose())), size) as f64 > allowed
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        repeated_places(candidate.answer, gram_of(candidate.prose()))
    }
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

/// Returns a text without the short items of its lists.
fn without_items(text: &str) -> String {
    const CHARACTERS_MAX: usize = 60;
    let is_item = |line: &&str| {
        let line = line.trim_start();
        let number = line.trim_start_matches(|character: char| character.is_ascii_digit());
        let is_numbered = number.len() < line.len() && number.starts_with(['.', ')', '、', '．']);
        (is_numbered || line.starts_with(['-', '*', '•', '・'])) && line.chars().count() <= CHARACTERS_MAX
    };
    text.lines().filter(|line| !is_item(line)).collect::<Vec<_>>().join("\n")
}

/// Returns how many words of [`Words`](crate::quality::Words) make ten words of the text.
fn gram_of(text: &str) -> usize {
    if text.is_ascii() {
        return GRAM;
    }
    let letters = Letters::of(text);
    match letters.dominant() {
        Script::Han => GRAM_HAN,
        Script::Kana => GRAM_KANA,
        Script::Hangul => GRAM_HANGUL,
        _ => GRAM,
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
    }
}
