use std::collections::HashSet;

use super::{REJECTS, Superseded};
use crate::quality::rules::Candidate;
use crate::quality::text::{Phrases, Spread, Words, common_places};

const THRESHOLD: f64 = 0.8;
const GRAM: usize = 8;
/// Shorter answers ("Yes.", a number) may be repeated.
const WORDS_MIN: usize = 20;

static SAME_TEXT: Phrases = Phrases::new(|| {
    Phrases::automaton(&[
        "repeat",
        "correct",
        "proofread",
        "grammar",
        "edit",
        "rewrite",
        "rephrase",
        "paraphrase",
        "format",
        "translat",
        "copy",
        "fix",
        "improve",
        "extract",
        "quote",
        "list",
        "summar",
        "sort",
        "replace",
        "change",
        "remove",
        "add ",
        "fill",
        "改",
        "修正",
        "纠正",
        "重复",
        "翻译",
        "润色",
        "格式",
        "复制",
        "提取",
        "列出",
        "总结",
        "概括",
        "替换",
        "排序",
        "原文",
        "补充",
        "填",
    ])
});

/// Repeats the user's message or the previous answer: at least the threshold's share of its 8-grams occurs there. Where
/// the user asks for work on the same text (correct, translate, format), only a verbatim copy of the previous answer
/// counts.
pub const ECHO: Superseded = Superseded {
    name: "echo",
    actions: REJECTS,
    threshold: Some(THRESHOLD),
    hits: repeats,
    places: |candidate| {
        let before = candidate.earlier.last().copied().unwrap_or_default();
        [candidate.user, before].iter().flat_map(|text| common_places(candidate.answer, GRAM, text)).collect()
    },
};

fn repeats(candidate: &Candidate<'_>, threshold: f64) -> bool {
    if candidate.words().len() < WORDS_MIN {
        return false;
    }
    let is_wanted = SAME_TEXT.occur_in(candidate.user);
    let previous = candidate.earlier.last().copied().unwrap_or_default();
    let says_again = |text: &str| {
        // A much shorter text cannot contain that share of the answer.
        text.len() as f64 >= 0.5 * threshold * candidate.answer.len() as f64
            && repeated_share(candidate.words(), text) >= threshold
    };
    if is_wanted {
        let is_repeat = candidate.user.contains("repeat") || candidate.user.contains("重复");
        return previous.trim() == candidate.answer.trim() && !is_repeat;
    }
    says_again(candidate.user) || says_again(previous)
}

/// True where an answer to `user` repeats the same speaker's previous answer, by this rule.
pub fn says_again(user: &str, answer: &str, before: &str) -> bool {
    // Whether it repeats the user's words is not checked here.
    let mut candidate = Candidate::new(if SAME_TEXT.occur_in(user) { user } else { "" }, answer);
    candidate.earlier = vec![before];
    repeats(&candidate, THRESHOLD)
}

/// Returns the share of the 8-grams of `words` that occur in `text`.
fn repeated_share(words: &Words, text: &str) -> f64 {
    let there: HashSet<u64, Spread> = Words::of(text).grams(GRAM).collect();
    let count = words.len().saturating_sub(GRAM - 1);
    words.grams(GRAM).filter(|gram| there.contains(gram)).count() as f64 / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::rules::Rule;

    #[test]
    fn saying_again_is_caught_unless_it_was_asked_for() {
        let words = crate::quality::text::different_words(0..60);
        let mut candidate = Candidate::new(&words, &words);
        assert!(ECHO.hits(&candidate, 0.8));
        candidate.user = "Go on.";
        candidate.earlier = vec![&words];
        assert!(ECHO.hits(&candidate, 0.8));
        candidate.user = "Could you translate that?";
        assert!(ECHO.hits(&candidate, 0.8), "the same words are no translation");
        candidate.user = "Please repeat that.";
        assert!(!ECHO.hits(&candidate, 0.8));
        candidate.earlier = Vec::new();
        let asked = format!("Correct this: {words}");
        candidate.user = &asked;
        assert!(!ECHO.hits(&candidate, 0.8));
        assert!(!ECHO.hits(&Candidate::new("Yes?", "Yes?"), 0.8));
    }
}
