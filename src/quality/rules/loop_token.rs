use std::collections::HashSet;
use std::ops::Range;

use super::dup_10gram::REFRAINS;
use super::{Action, Candidate, Rule};
use crate::quality::text::{looped_places, runs};

/// A passage of up to 40 words is repeated back to back, three times or more: a run in which each word equals the one a period
/// earlier, with at least 30 words and more than the threshold's share of the answer. Twice as long a run is a loop in any
/// answer, and a shorter one where the answer ends in it. Fenced code does not count.
pub struct LoopToken;

pub(super) const PERIOD_MAX: usize = 40;
pub(super) const RUN_MIN: usize = 30;
/// Words of a run that is a loop however long the answer is.
const RUN_LONG: usize = 2 * RUN_MIN - 1;
/// Words of a run with which an answer ends, where a phrase of at least three different words comes three times.
const RUN_AT_END_MIN: usize = 8;
const DIFFERENT_MIN: usize = 3;
/// Words of such a run where fewer words come again: a few are emphasis (no, no, no!).
const RUN_OF_FEW_AT_END_MIN: usize = 18;

impl Rule for LoopToken {
    fn name(&self) -> &'static str {
        "loop_token"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Reject, Action::Reject)
    }

    fn threshold(&self) -> Option<f64> {
        Some(0.2)
    }

    fn hits(&self, candidate: &Candidate<'_>, threshold: f64) -> bool {
        let ids = &candidate.prose_words().ids;
        let needed = RUN_MIN.max((threshold * ids.len() as f64) as usize + 1).min(RUN_LONG);
        // Less than two periods is a passage that comes again once, such as a list in another order.
        (1..=PERIOD_MAX).any(|period| runs(ids, period, needed.max(2 * period)).next().is_some())
            || (ends_in_loop(ids) && ends_in_words(candidate.prose()) && !REFRAINS.occur_in(candidate.user))
    }

    fn value(&self, candidate: &Candidate<'_>) -> Option<f64> {
        let ids = &candidate.prose_words().ids;
        let longest = (1..=PERIOD_MAX).map(|period| longest_run(ids, period)).max().unwrap_or(0);
        let is_run = longest >= RUN_MIN;
        (!ids.is_empty()).then(|| if is_run { longest as f64 / ids.len() as f64 } else { 0.0 })
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        looped_places(candidate.answer, PERIOD_MAX, RUN_MIN)
    }
}

/// Returns the words of the longest run in which each equals the one a period before it; 0 where it is shorter than two periods.
fn longest_run(ids: &[u32], period: usize) -> usize {
    let (mut longest, mut run) = (0, 0);
    for at in period..ids.len() {
        run = if ids[at] == ids[at - period] { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    if longest < 2 * period { 0 } else { longest }
}

/// True where the last words are a phrase that came at least twice right before.
fn ends_in_loop(ids: &[u32]) -> bool {
    (1..=PERIOD_MAX).any(|period| {
        let equal = ids.iter().rev().zip(ids.iter().rev().skip(period)).take_while(|(word, before)| word == before);
        let run = equal.count();
        if run < RUN_AT_END_MIN.max(2 * period) {
            return false;
        }
        let different = ids[ids.len() - period..].iter().collect::<HashSet<_>>().len();
        different >= DIFFERENT_MIN || run >= RUN_OF_FEW_AT_END_MIN
    })
}

/// True where a text ends in words, not in a table or in numbers.
fn ends_in_words(text: &str) -> bool {
    const CHARACTERS: usize = 60;
    let text = text.trim_end();
    let last = text.char_indices().rev().nth(CHARACTERS).map_or(0, |(at, _)| at);
    let (letters, digits) = text[last..].chars().fold((0, 0), |(letters, digits), character| {
        (letters + usize::from(character.is_alphabetic()), digits + usize::from(character.is_numeric()))
    });
    letters > digits && !text.lines().next_back().is_some_and(|line| line.trim_start().starts_with('|'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_over_and_over_is_caught_wherever_it_stands() {
        let hits = |answer: &str| LoopToken.hits(&Candidate::new("Why?", answer), 0.2);
        let words = |count: usize| crate::quality::text::different_words(0..count);
        assert!(hits(&(words(60) + &"and so on ".repeat(15))));
        assert!(hits(&("and so on, ".repeat(15) + &words(60))));
        assert!(!hits(&("and so on ".repeat(15) + &words(600))), "less than a fifth");
        assert!(hits(&("and ".repeat(60) + &words(600))), "sixty times is a loop in any answer");
        assert!(!hits(&"and so on ".repeat(3)), "too short to tell");
        assert!(hits(&(words(600) + &"and so it goes on for ever. ".repeat(3))), "it ends in a loop");
        assert!(!hits(&(words(60) + "no, no, no, no!")), "emphasis");
        assert!(hits(&(words(60) + &"so it goes on ".repeat(3))), "a phrase three times");
        assert!(
            !hits(&(words(60) + &"so it goes on ".repeat(2))) && !hits(&(words(60) + &"| 0 | 1 | 2 | 3 |\n".repeat(4)))
        );
        assert!(!hits(&(words(60) + &"1 2 3 4 ".repeat(4))), "numbers");
        let list = "1. 北港海運株式会社: 31%\n2. 南港倉庫株式会社: 20%\n3. 東港物流株式会社: 10%\n";
        assert!(
            !hits(&format!("各社の成長率は次のとおりです。\n\n{list}\n高い順に並べます。\n\n{list}")),
            "a list in order"
        );
        assert!(hits(&"我知道了".repeat(20)));
    }
}
