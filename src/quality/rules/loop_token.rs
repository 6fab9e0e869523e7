use std::ops::Range;

use super::{Action, Candidate, Rule};
use crate::quality::text::looped_places;

/// A passage of up to 40 words is repeated back to back, three times or more: a run in which each word equals the one a period
/// earlier, with at least 30 words and more than the threshold's share of the answer. Twice as long a run is a loop in any
/// answer, and a shorter one where the answer ends in it. Fenced code does not count.
pub struct LoopToken;

pub(super) const PERIOD_MAX: usize = 40;
pub(super) const RUN_MIN: usize = 30;
/// Words of a run that is a loop however long the answer is.
const RUN_LONG: usize = 2 * RUN_MIN - 1;
/// Words of a run with which an answer ends. Ones of a period below the minimum are emphasis: no, no, no!
const RUN_AT_END_MIN: usize = 12;
const PERIOD_AT_END_MIN: usize = 3;

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
        (1..=PERIOD_MAX).any(|period| has_run(ids, period, needed.max(2 * period)) || ends_in_loop(ids, period))
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        looped_places(candidate.answer, PERIOD_MAX, RUN_MIN)
    }
}

/// True where the last words repeat the ones a period before them at least twice.
fn ends_in_loop(ids: &[u32], period: usize) -> bool {
    let needed = RUN_AT_END_MIN.max(2 * period);
    period >= PERIOD_AT_END_MIN
        && ids.len() >= needed + period
        && (ids.len() - needed..ids.len()).rev().all(|at| ids[at] == ids[at - period])
}

/// True where `needed` consecutive words equal those a period before them.
pub(super) fn has_run(ids: &[u32], period: usize, needed: usize) -> bool {
    // A run of that length covers one of every `needed` positions; checking only these first skips most of the text.
    let mut at = period + needed - 1;
    while at < ids.len() {
        let mut start = at;
        while start >= period && ids[start] == ids[start - period] && at - start + 1 < needed {
            start -= 1;
        }
        if start >= period && ids[start] == ids[start - period] {
            return true;
        }
        // No run contains `start`.
        at = start + needed;
    }
    false
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
        assert!(!hits(&"and so on ".repeat(4)), "too short to tell");
        assert!(hits(&(words(600) + &"and so it goes on for ever. ".repeat(3))), "it ends in a loop");
        assert!(!hits(&(words(60) + "no, no, no, no!")), "emphasis");
        let list = "1. 北港海運株式会社: 31%\n2. 南港倉庫株式会社: 20%\n3. 東港物流株式会社: 10%\n";
        assert!(
            !hits(&format!("各社の成長率は次のとおりです。\n\n{list}\n高い順に並べます。\n\n{list}")),
            "a list in order"
        );
        assert!(hits(&"我知道了".repeat(20)));
    }

    proptest::proptest! {
        #[test]
        fn skipping_finds_the_same_runs(ids in proptest::collection::vec(0u32..3, 0..120), period in 1usize..6, needed in 1usize..12) {
            let slow = |ids: &[u32]| {
                let mut run = 0;
                (period..ids.len()).any(|at| {
                    run = if ids[at] == ids[at - period] { run + 1 } else { 0 };
                    run >= needed
                })
            };
            proptest::prop_assert_eq!(has_run(&ids, period, needed), slow(&ids));
        }
    }
}
