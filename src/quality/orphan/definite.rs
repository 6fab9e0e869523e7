use std::ops::Range;

use super::OrphanLevel;
use super::seen::{Seen, is_within};

/// Bytes between a word such as "that" and what it points to.
const NEAR_BYTES: usize = 24;

/// Words that take something for known ("that function", "elaborate on the tides") which only a replaced answer has; and
/// words that accept advice which only it gave.
pub fn definite(seen: &Seen<'_>) -> Option<OrphanLevel> {
    let text = |place: &Range<usize>| &seen.text[place.clone()];
    // Two characters of Chinese are said by chance more often than a word is.
    let is_much = |gone: &&Range<usize>| text(gone).chars().count() > 2;
    let near = |section: &str| {
        seen.clauses.iter().any(|clause| {
            let cues = seen.cues.find(section, text(clause));
            cues.iter().any(|cue| {
                let reach = clause.start + cue.end..clause.end.min(clause.start + cue.end + NEAR_BYTES);
                seen.gone.iter().filter(is_much).any(|gone| reach.contains(&gone.start) && gone.end <= clause.end)
            })
        })
    };
    let is_kept = |clause: &Range<usize>| {
        let gone: Vec<_> = seen.gone.iter().filter(|gone| is_within(gone, clause)).collect();
        gone.len() > 1 || gone.iter().any(is_much)
    };
    let with = |section| seen.clauses_with(section).any(is_kept);
    let is_elaborated = seen.clauses_with("elaborate").any(|clause| seen.is_phrase_gone_in(clause));
    let is_strong = is_elaborated || with("still") || ["that", "regarding"].into_iter().any(near);
    // Advice in other words may be the same advice.
    let is_weak = || with("accept");
    if is_strong { Some(OrphanLevel::Strong) } else { is_weak().then_some(OrphanLevel::Weak) }
}

#[cfg(test)]
mod tests {
    use crate::quality::OrphanLevel;
    use crate::quality::orphan::tests::level;

    const STRONG: Option<OrphanLevel> = Some(OrphanLevel::Strong);

    #[test]
    fn what_is_taken_for_known_has_to_be_there() {
        for (user, asked, replaced, answer) in [
            ("How do I call that function?", "How do I sort a list?", "Write a function sort_all.", "Use the menu."),
            (
                "Can you elaborate on the tidal currents?",
                "Why is it so cold?",
                "Tidal currents bring cold water.",
                "It is the wind.",
            ),
            ("这种免疫疗法贵吗？", "怎么治？", "可以考虑免疫疗法。", "先观察。"),
            ("その灯台群は古いですか。", "何がありますか。", "灯台群があります。", "市場があります。"),
            ("그 등대는 오래됐어요?", "뭐가 있어요?", "등대가 있습니다.", "시장이 있습니다."),
            ("Wie alt ist dieser Leuchtturm eigentlich?", "Was gibt es?", "Den Leuchtturm.", "Den Markt."),
            ("Et ce phare, il est ancien ou moderne ?", "Que voir ?", "Le phare.", "Le marché."),
            ("¿Y ese faro es antiguo o moderno?", "¿Qué hay?", "El faro.", "El mercado."),
            ("E quella torre antica quanto è alta?", "Cosa vedo?", "La torre.", "Il mercato."),
            ("E esse farol antigo abre no verão?", "O que há?", "O farol.", "O mercado."),
            ("А этот маяк давно построили?", "Что есть?", "Маяк.", "Рынок."),
        ] {
            assert_eq!(level(user, asked, replaced, answer), STRONG, "{user}");
            assert_eq!(level(user, asked, replaced, replaced), None, "{user}");
        }
    }

    #[test]
    fn advice_that_only_the_replaced_answer_gave_is_a_doubt() {
        for (user, asked, replaced, answer) in [
            ("I will buy the thermometer then.", "How hot is the oven?", "Buy a thermometer.", "About hot enough."),
            ("好的，我会去心理科看看。", "我很烦躁。", "建议去心理科。", "多休息。"),
            ("Ich werde das Thermometer kaufen.", "Wie heiß?", "Ein Thermometer kaufen.", "Heiß genug."),
        ] {
            assert_eq!(level(user, asked, replaced, answer), Some(OrphanLevel::Weak), "{user}");
        }
    }
}
