use std::ops::Range;
use std::sync::LazyLock;

use super::{Action, Candidate, Rule};
use crate::quality::phrases::{Beginnings, LANGUAGES, Sorted, automaton};
use crate::quality::text::Phrases;

/// Begins with a refusal, and the question is not of a kind that good models refuse.
///
/// A sentence refuses where it has a phrase that says so, or says "I cannot" of something that one does for others, in one
/// language. Only the first characters are searched: in whole texts the phrases hit one in sixty good answers. Missing
/// information ("I don't have access to") does not count as a refusal.
pub struct RefusalRule;

const CHARACTERS: usize = 120;
const SENTENCE_ENDS: &[char] = &['.', '!', '?', '。', '！', '？', '।', '؟', '\n'];

const SECTIONS: &[&str] = &["decline", "unable", "act", "cancel", "can", "not", "inability", "sorry", "missing"];
const DECLINE: u8 = 1;
const UNABLE: u8 = 1 << 1;
const ACT: u8 = 1 << 2;
const CANCEL: u8 = 1 << 3;
const CAN: u8 = 1 << 4;
const NOT: u8 = 1 << 5;
const INABILITY: u8 = 1 << 6;
const SORRY: u8 = 1 << 7;

const MISSING: usize = 8;

/// Every refusing sentence has one of these kinds.
const NEEDED: u8 = DECLINE | UNABLE | INABILITY | CAN;
static BEGINNINGS: LazyLock<Beginnings> = LazyLock::new(|| Beginnings::of(&["decline", "unable", "inability", "can"]));
static REFUSING: LazyLock<Sorted> = LazyLock::new(|| Sorted::of(SECTIONS));
/// Topics that may be refused.
static DANGER: Phrases = Phrases::new(|| automaton(&["danger"]));

impl Rule for RefusalRule {
    fn name(&self) -> &'static str {
        "refusal"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Flag, Action::Reject)
    }

    fn hits(&self, candidate: &Candidate<'_>, _: f64) -> bool {
        refusing_sentence(candidate.answer).is_some() && !DANGER.occur_in(candidate.user)
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        refusing_sentence(candidate.answer).into_iter().collect()
    }
}

/// Returns the sentence at the beginning of an answer that refuses.
fn refusing_sentence(answer: &str) -> Option<Range<usize>> {
    let skipped = answer.len() - answer.trim_start().len();
    let head = &answer[skipped..];
    let head = &head[..head.char_indices().nth(CHARACTERS).map_or(head.len(), |(at, _)| at)];
    let may_refuse = |at: usize| {
        REFUSING.find_at(head, at).find(|found| found.section < MISSING && NEEDED >> found.section & 1 == 1)
    };
    BEGINNINGS.find_map(head, may_refuse)?;
    let found: Vec<_> = REFUSING.find(head).collect();
    // An answer that asks for what it lacks does not refuse.
    if found.is_empty() || found.iter().any(|found| found.section == MISSING) {
        return None;
    }
    let mut sorry = [false; LANGUAGES];
    found
        .iter()
        .filter(|found| found.section < MISSING && 1 << found.section == SORRY)
        .for_each(|found| sorry[found.language] = true);
    let mut start = 0;
    for sentence in head.split_inclusive(SENTENCE_ENDS) {
        let end = start + sentence.len();
        let mut said = [0u8; LANGUAGES];
        for found in found.iter().filter(|found| start <= found.place.start && found.place.start < end) {
            said[found.language] |= 1 << found.section;
        }
        if said.iter().zip(sorry).any(|(said, is_sorry)| refuses(*said, is_sorry)) {
            return Some(skipped + start..skipped + end);
        }
        start = end;
    }
    None
}

/// True where what a sentence has makes a refusal.
fn refuses(said: u8, is_sorry: bool) -> bool {
    let has = |kinds: u8| said & kinds == kinds;
    let is_unable = has(UNABLE) || has(CAN | NOT) || (has(INABILITY) && is_sorry);
    !has(CANCEL) && (has(DECLINE) || (is_unable && has(ACT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_count_at_the_beginning_and_not_where_they_are_right() {
        let hits = |user: &str, answer: &str| RefusalRule.hits(&Candidate::new(user, answer), 0.0);
        assert!(hits("Write a poem.", "I'm sorry, but I can't do that."));
        assert!(hits("写一首诗。", "很抱歉，我无法写诗。"));
        assert!(hits("他住在哪里？", "我不能提供他的住址，这违反了我的准则。"));
        assert!(!hits("他住在哪里？", "我不能回答，您能提供更多线索吗？"), "it asks for what it lacks");
        assert!(hits("Écris un roman.", "Je ne suis hélas pas capable d'écrire un roman."));
        assert!(!hits("How do I build a bomb?", "I'm sorry, but I can't help with that."));
        assert!(!hits("Wie baut man eine Bombe?", "Dabei kann ich dir leider nicht helfen."));
        assert!(!hits("Write a letter.", &format!("{}I'm unable to help.", "Dear Sir, ".repeat(30))));
        assert!(!hits("用一句话总结。", "抱歉，您没有提供文章，我无法为您总结。请提供全文。"));
        assert!(!hits("What is in the file?", "I don't have access to the file; could you paste it?"));
    }

    #[test]
    fn its_place_is_the_sentence() {
        let answer = "Danke.\n Dabei kann ich dir leider nicht helfen. Frag bitte jemand anderen.";
        let places = RefusalRule.places(&Candidate::new("Hilf mir.", answer));
        assert_eq!(&answer[places[0].clone()], " Dabei kann ich dir leider nicht helfen.");
    }
}
