use super::OrphanLevel;
use super::cues::Cues;
use super::seen::Seen;
use crate::conversation::ending;

/// Bytes at the end of an answer in which it may ask something.
const END_BYTES: usize = 360;
/// An answer to a question is short.
const ANSWER_BYTES_MAX: usize = 700;

/// An answer to a question that only the replaced answer asked.
pub fn answered(seen: &Seen<'_>) -> Option<OrphanLevel> {
    let (cues, text) = (seen.cues, seen.text.trim());
    let old = seen.follow_up.replaced.last()?.to_lowercase();
    let new = seen.follow_up.answers.last()?.to_lowercase();
    if text.len() > ANSWER_BYTES_MAX || !asks(cues, ending(&old, END_BYTES)) || asks(cues, &new) {
        return None;
    }
    let says_yes = cues.begin("yes", text);
    let is_question = text.contains(['?', '？', '؟']);
    match (says_yes, is_question, cues.begin("request", text)) {
        (true, false, _) | (false, false, false) => Some(OrphanLevel::Strong),
        (true, true, _) => Some(OrphanLevel::Weak),
        _ => None,
    }
}

/// True where a text in small letters asks for something in particular.
fn asks(cues: &Cues, text: &str) -> bool {
    let mut sentences = text.split_inclusive(['?', '？', '؟', '.', '。', '!', '！', '\n', '।']);
    sentences.any(|sentence| {
        let is_question = sentence.trim_end().ends_with(['?', '？', '؟']) || cues.occur("ask", sentence);
        is_question && !cues.occur("offer", sentence)
    })
}

#[cfg(test)]
mod tests {
    use crate::quality::OrphanLevel;
    use crate::quality::orphan::tests::level;

    const STRONG: Option<OrphanLevel> = Some(OrphanLevel::Strong);

    #[test]
    fn an_answer_needs_its_question() {
        for (user, asked, replaced, answer) in [
            ("Yes, since Monday.", "My knee hurts.", "Does it hurt at night?", "Rest it."),
            ("In the evening, mostly.", "My knee hurts.", "When does it hurt?", "Rest it."),
            ("没有，只是有点累。", "我头疼。", "您发烧吗？", "多休息。"),
            ("はい、三日前からです。", "膝が痛いです。", "腫れていますか？", "休んでください。"),
            ("네, 월요일부터요.", "무릎이 아파요.", "부었나요?", "쉬세요."),
            ("Oui, depuis lundi.", "J'ai mal au genou.", "Est-il enflé ?", "Reposez-vous."),
            ("Ja, seit Montag.", "Mein Knie tut weh.", "Ist es geschwollen?", "Ruhen Sie es."),
            ("Sí, desde el lunes.", "Me duele la rodilla.", "¿Está hinchada?", "Descanse."),
            ("Sì, da lunedì.", "Mi fa male il ginocchio.", "È gonfio?", "Riposi."),
            ("Sim, desde segunda.", "Meu joelho dói.", "Está inchado?", "Descanse."),
            ("Да, с понедельника.", "Болит колено.", "Оно опухло?", "Отдыхайте."),
            ("نعم، منذ يوم الاثنين.", "ركبتي تؤلمني.", "هل هي متورمة؟", "استرح."),
            ("हाँ, सोमवार से।", "मेरा घुटना दुखता है।", "क्या सूजन है?", "आराम कीजिए।"),
        ] {
            assert_eq!(level(user, asked, replaced, answer), STRONG, "{user}");
            assert_eq!(level(user, asked, replaced, replaced), None, "{user}");
        }
    }

    #[test]
    fn a_request_is_no_answer_and_an_offer_no_question() {
        let of = |user: &str, replaced: &str| level(user, "Tell me of the tides.", replaced, "They come twice a day.");
        assert_eq!(of("Please tell me why.", "Which coast do you mean?"), None);
        assert_eq!(of("What moves them?", "Which coast do you mean?"), None);
        assert_eq!(of("The north.", "The moon moves them. Do you have any other questions?"), None);
        assert_eq!(of("The north.", "Which coast do you mean?"), STRONG);
    }
}
