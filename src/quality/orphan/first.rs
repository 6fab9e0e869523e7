//! The first version: quotes and a few pointers, in English and Chinese. It never changes.

use std::collections::HashSet;

use crate::quality::text::{Phrases, Spread, Words};

/// Consecutive words that count as a quote.
const QUOTE_WORDS: usize = 4;
/// Consecutive Chinese characters that count as a quote.
const QUOTE_HAN: usize = 6;

static POINTERS: Phrases = Phrases::new(|| {
    Phrases::automaton(&[
        "your first point",
        "your second point",
        "your third point",
        "your last point",
        "your first suggestion",
        "your second suggestion",
        "your third suggestion",
        "the first point",
        "the second point",
        "the third point",
        "first option",
        "second option",
        "third option",
        "the first one",
        "the second one",
        "the third one",
        "why did you say",
        "you said that",
        "you mentioned that",
        "number 2",
        "number 3",
        "第一点",
        "第二点",
        "第三点",
        "第四点",
        "第一条",
        "第二条",
        "第三条",
        "第一个",
        "第二个",
        "第三个",
        "最后一点",
        "你为什么说",
        "你刚才说",
        "您刚才说",
        "您刚刚提到",
        "你刚刚提到",
    ])
});

/// True where the user's message refers to the last replaced answer: it quotes words that occur neither in the user's earlier
/// messages nor in the new answer, or points to a part where the new answer has fewer than two.
pub fn is_orphan(user: &str, earlier_users: &[&str], replaced: &str, answer: &str) -> bool {
    let quoted = common_runs(user, replaced);
    if !quoted.is_empty() {
        let known: HashSet<u64, Spread> =
            earlier_users.iter().chain([&answer]).flat_map(|text| all_runs(text)).collect();
        if quoted.iter().any(|run| !known.contains(run)) {
            return true;
        }
    }
    POINTERS.occur_in(user) && item_count(replaced) >= 2 && item_count(answer) < 2
}

/// Returns the n-grams that two texts have in common.
fn common_runs(left: &str, right: &str) -> Vec<u64> {
    let there: HashSet<u64, Spread> = all_runs(right).into_iter().collect();
    all_runs(left).into_iter().filter(|run| there.contains(run)).collect()
}

/// Returns the n-grams of a text: six Chinese characters, or four words.
fn all_runs(text: &str) -> Vec<u64> {
    let words = Words::of(text);
    let size = QUOTE_HAN;
    let is_han = |lengths: &[u32]| lengths.iter().all(|length| *length == 1);
    let long = words.grams(size).enumerate().filter(|(at, _)| is_han(&words.lengths[*at..at + size]));
    let short = words.grams(QUOTE_WORDS).enumerate().filter(|(at, _)| {
        // Single characters are words of a script without spaces, or variables. Four of them are too short for a quote.
        words.lengths[*at..at + QUOTE_WORDS].iter().filter(|length| **length > 1).count() >= QUOTE_WORDS - 1
    });
    long.chain(short).map(|(_, run)| run).collect()
}

/// Returns the number of list items in a text.
fn item_count(text: &str) -> usize {
    let is_item = |line: &&str| {
        let line = line.trim_start().trim_start_matches(['*', '#', ' ']);
        let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
        (rest.len() < line.len() && rest.starts_with(['.', ')', '、', '．']))
            || line.starts_with(['-', '•', '·'])
            || ["一、", "二、", "三、", "首先", "其次", "第一", "第二", "First", "Second"]
                .iter()
                .any(|mark| line.starts_with(mark))
    };
    let sentences = text.split(['\n', '。', '；']);
    sentences.filter(is_item).count().max(text.lines().filter(is_item).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_of_the_replaced_answer_is_an_orphan() {
        let replaced = "You should try the old harbor road first.";
        let orphaned = |user: &str, answer: &str| is_orphan(user, &["How do I get there?"], replaced, answer);
        assert!(orphaned("Where does the old harbor road begin?", "Take the bus."));
        assert!(!orphaned("Where does the old harbor road begin?", "Take the old harbor road."));
        assert!(!orphaned("Thanks a lot for that!", "Take the bus."));
        assert!(is_orphan("布洛芬缓释胶囊怎么吃？", &[], "建议服用布洛芬缓释胶囊。", "建议多休息。"));
        let asked = ["布洛芬缓释胶囊好吗？"];
        assert!(!is_orphan("布洛芬缓释胶囊怎么吃？", &asked, "建议服用布洛芬缓释胶囊。", "多休息。"));
    }

    #[test]
    fn a_pointer_needs_something_to_point_at() {
        let replaced = "1. Rest.\n2. Drink.\n3. Sleep.";
        assert!(is_orphan("Explain your second point.", &[], replaced, "Just rest."));
        assert!(!is_orphan("Explain your second point.", &[], replaced, "- Rest.\n- Eat."));
        assert!(is_orphan("第二点是什么意思？", &[], "1、休息。\n2、喝水。", "请多休息。"));
    }
}
