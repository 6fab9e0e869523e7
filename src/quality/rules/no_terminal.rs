use std::ops::Range;

use super::{Action, Candidate, Rule, end_of};
use crate::quality::text::{LastLine, ends_sentence, is_item, word_count};

/// Ends mid-sentence: after nearly all of its token limit, or, where that is not known, where its other sentences end with a
/// mark. `cut_off` rejects what is certain.
pub struct NoTerminal;

/// Words of a last line that is a sentence.
const WORDS_MIN: usize = 8;
/// The share of the other lines that end with a mark.
const ENDED_MIN: f64 = 0.75;

impl Rule for NoTerminal {
    fn name(&self) -> &'static str {
        "no_terminal"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Flag, Action::Flag)
    }

    fn threshold(&self) -> Option<f64> {
        Some(0.95)
    }

    fn hits(&self, candidate: &Candidate<'_>, threshold: f64) -> bool {
        if !is_open(candidate.answer) {
            return false;
        }
        match candidate.tokens {
            Some((tokens, tokens_max)) => tokens as f64 >= threshold * tokens_max as f64,
            None => is_unlike_the_rest(candidate.answer),
        }
    }

    fn value(&self, candidate: &Candidate<'_>) -> Option<f64> {
        let (tokens, tokens_max) = candidate.tokens.filter(|_| is_open(candidate.answer))?;
        Some(tokens as f64 / tokens_max.max(1) as f64)
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        vec![end_of(candidate.answer)]
    }
}

/// True where a text ends in a word or a comma.
fn is_open(text: &str) -> bool {
    text.trim_end().chars().next_back().is_some_and(|last| last.is_alphanumeric() || last == ',')
}

/// True where the last line has no mark at its end and the sentences before it have one.
fn is_unlike_the_rest(answer: &str) -> bool {
    // Thai sentences have no mark.
    let is_unmarked = |letter: char| matches!(letter, '\u{e00}'..='\u{eff}');
    let Some(line) = LastLine::of(answer).filter(|line| !line.is_ended() && !line.text.contains(is_unmarked)) else {
        return false;
    };
    if line.fragment().is_some_and(|fragment| !fragment.is_empty()) {
        return true;
    }
    let last_is_item = is_item(line.text.trim_start());
    let (mut ended, mut all) = (0usize, 0usize);
    for other in answer[..line.start].lines().map(str::trim).filter(|other| !other.is_empty()) {
        if is_item(other) == last_is_item && (last_is_item || word_count(other) >= WORDS_MIN) {
            all += 1;
            ended += usize::from(ends_sentence(other));
        }
    }
    let is_long = line.word_count() >= WORDS_MIN;
    let has_rest = all >= 2 && (last_is_item || is_long) || all == 1 && is_long;
    has_rest && ended as f64 >= ENDED_MIN * all as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_long_answer_without_an_end_is_flagged() {
        let mut candidate = Candidate::new("Why?", "It is so because the");
        assert!(!NoTerminal.hits(&candidate, 0.95));
        candidate.tokens = Some((99, 100));
        assert!(NoTerminal.hits(&candidate, 0.95));
        candidate.tokens = Some((50, 100));
        assert!(!NoTerminal.hits(&candidate, 0.95));
        let mut ended = Candidate::new("Why?", "It is so.");
        ended.tokens = Some((100, 100));
        assert!(!NoTerminal.hits(&ended, 0.95));
    }

    #[test]
    fn without_a_count_the_other_sentences_tell() {
        let hits = |answer: &str| NoTerminal.hits(&Candidate::new("Why?", answer), 0.95);
        for answer in [
            "The harbor is deep. Ships come in summ",
            "Der Hafen ist tief. Schiffe kom",
            "Le port est profond. Les nav",
            "Le port est profond (« très profond »). Les nav",
            "El puerto es hondo. Los bar",
            "Il porto è profondo. Le na",
            "Гавань глубокая. Корабли прих",
            "港口很深。船只在夏",
            "港は深いです。船は夏に来",
            "1. It is deep.\n2. It is old.\n3. It is in the nor",
            "1. 港口：它很深，可以停靠很多来自岛上的大船。\n2. 船只：它们在夏天来到这里，运送木材和",
            "यह बंदरगाह पुराना है. यहाँ जहाज़ गर्मियों में आ",
            "The harbor is in the north of the old city.\n\nMost of the ships that come here carry timber and gr",
        ] {
            assert!(hits(answer), "{answer}");
        }
        for answer in [
            "The harbor is deep",
            "42",
            "1. Deep\n2. Old\n3. North",
            "1. It is deep.\n2. North",
            "The harbor is deep.\n\nRegards\nAnna",
            "Call me at 3 p.m. today",
            "ท่าเรือลึก. เรือมาในฤดูร้อน",
            "It is so.\n\n```\nlet a = 1\n```",
        ] {
            assert!(!hits(answer), "{answer}");
        }
    }
}
