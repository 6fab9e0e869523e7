use std::collections::HashSet;

use super::OrphanLevel;
use super::seen::Seen;
use crate::quality::text::{Spread, Words};

/// Consecutive words that may be a quote, and characters of Chinese, Japanese or Korean.
const WORDS: usize = 4;
const CHARACTERS: usize = 6;

/// A clause that says no more than that the assistant has said something.
const BARE_CHARACTERS: usize = 32;

/// Words that the message says the assistant has used, or has in quotation marks, or that are too many for chance.
pub fn quote(seen: &Seen<'_>) -> Option<OrphanLevel> {
    let claims = seen.clauses_with("mention").any(|clause| {
        // Where the claim is all that is said, what was claimed comes before it or next.
        let at = seen.clauses.iter().position(|other| other == clause).unwrap_or_default();
        let beside = at.checked_sub(1).into_iter().chain([at + 1]).filter_map(|at| seen.clauses.get(at));
        let mut beside = beside.filter(|_| seen.text[clause.clone()].chars().count() < BARE_CHARACTERS);
        seen.is_phrase_gone_in(clause) || beside.any(|part| seen.is_phrase_gone_in(part))
    });
    if claims || quoted(seen) {
        return Some(OrphanLevel::Strong);
    }
    // Who accepts advice repeats it, and the same advice comes in many words.
    let is_certain = !seen.gone.is_empty() && seen.clauses_with("accept").next().is_none();
    has_long_run(seen).then_some(if is_certain { OrphanLevel::Strong } else { OrphanLevel::Weak })
}

/// True where quotation marks hold something that only a replaced answer has.
fn quoted(seen: &Seen<'_>) -> bool {
    const MARKS: [(char, char); 5] = [('"', '"'), ('“', '”'), ('「', '」'), ('«', '»'), ('„', '“')];
    MARKS.iter().any(|(open, close)| {
        let mut from = 0;
        while let Some(start) = seen.text[from..].find(*open).map(|at| from + at + open.len_utf8()) {
            let Some(end) = seen.text[start..].find(*close).map(|at| start + at) else { return false };
            if end - start < 200 && seen.is_phrase_gone_in(&(start..end)) {
                return true;
            }
            from = end + close.len_utf8();
        }
        false
    })
}

/// True where the message shares a run of words with a replaced answer alone.
fn has_long_run(seen: &Seen<'_>) -> bool {
    let follow_up = seen.follow_up;
    let old: HashSet<u64, Spread> = follow_up.replaced.iter().flat_map(|text| runs(text)).collect();
    let known: HashSet<u64, Spread> = follow_up.known().flat_map(runs).collect();
    runs(follow_up.user).iter().any(|run| old.contains(run) && !known.contains(run))
}

/// Returns the runs of a text that are long enough for a quote.
fn runs(text: &str) -> Vec<u64> {
    let words = Words::of(text);
    let is_wide = |lengths: &[u32]| lengths.iter().all(|length| *length == 1);
    let wide = words.grams(CHARACTERS).enumerate().filter(|(at, _)| is_wide(&words.lengths[*at..at + CHARACTERS]));
    // Four words of more than one letter: four letters in a row are too short for a quote.
    let long = words
        .grams(WORDS)
        .enumerate()
        .filter(|(at, _)| words.lengths[*at..at + WORDS].iter().filter(|length| **length > 1).count() >= WORDS - 1);
    wide.chain(long).map(|(_, run)| run).collect()
}

#[cfg(test)]
mod tests {
    use crate::quality::OrphanLevel;
    use crate::quality::orphan::tests::level;

    const STRONG: Option<OrphanLevel> = Some(OrphanLevel::Strong);

    #[test]
    fn what_the_assistant_is_said_to_have_said_is_looked_for_in_every_language() {
        for (user, asked, replaced, answer, same) in [
            (
                "Where is the lighthouse you mentioned?",
                "What can I see?",
                "The old lighthouse.",
                "The market.",
                "A lighthouse.",
            ),
            ("您提到的针灸治疗安全吗？", "我腰疼怎么办？", "可以试试针灸治疗。", "多休息。", "针灸治疗也可以。"),
            ("さっき言っていた灯台はどこですか。", "見どころは？", "古い灯台です。", "市場です。", "港の灯台です。"),
            (
                "방금 말씀하신 등대는 어디에 있어요?",
                "볼거리가 있나요?",
                "오래된 등대가 있습니다.",
                "시장이 있습니다.",
                "등대가 있습니다.",
            ),
            ("Où est le phare que vous avez mentionné ?", "Que voir ?", "Le vieux phare.", "Le marché.", "Le phare."),
            (
                "Wo steht der Leuchtturm, den Sie erwähnt haben?",
                "Was gibt es?",
                "Den Leuchtturm.",
                "Den Markt.",
                "Der Leuchtturm.",
            ),
            (
                "¿Dónde está el faro que mencionaste antes?",
                "¿Qué hay para ver?",
                "El faro viejo.",
                "El mercado.",
                "Hay un faro.",
            ),
            (
                "Dove si trova la torre di cui hai parlato?",
                "Cosa posso vedere?",
                "La torre vecchia.",
                "Il mercato.",
                "Una torre.",
            ),
            (
                "Onde fica o farol que você mencionou antes?",
                "O que posso ver?",
                "O farol velho.",
                "O mercado.",
                "Há um farol.",
            ),
            ("А где находится маяк, который вы упомянули?", "Что посмотреть?", "Старый маяк.", "Рынок.", "Есть маяк."),
            ("أين تقع المنارة التي ذكرتها؟", "ماذا أزور؟", "المنارة القديمة.", "السوق.", "المنارة."),
            ("आपने जो प्रकाशस्तंभ बताया वह कहाँ है?", "क्या देखूँ?", "पुराना प्रकाशस्तंभ।", "बाज़ार।", "एक प्रकाशस्तंभ।"),
        ] {
            assert_eq!(level(user, asked, replaced, answer), STRONG, "{user}");
            assert_eq!(level(user, asked, replaced, same), None, "{user}");
        }
    }

    #[test]
    fn words_in_quotation_marks_and_long_runs_are_quotes() {
        let replaced = "Take the old harbor road behind the mill.";
        let of = |user: &str, answer: &str| level(user, "How do I get there?", replaced, answer);
        assert_eq!(of("What is a \"harbor road\" there?", "Take the bus."), STRONG);
        assert_eq!(of("And the old harbor road behind the mill, is it steep?", "Take the bus."), STRONG);
        assert_eq!(of("And the old harbor road behind the mill, is it steep?", replaced), None);
        assert_eq!(level("布洛芬缓释胶囊怎么吃？", "我头疼。", "建议服用布洛芬缓释胶囊。", "建议多休息。"), STRONG);
    }

    #[test]
    fn a_message_may_be_longer_than_all_that_was_said() {
        let long: String = (0..3_000).fold(String::new(), |text, number| text + "word" + &number.to_string() + " ");
        assert_eq!(level(&long, "Why?", "Because of it.", "So it is."), None);
    }
}
