//! Messages of a simulated user that are about the task of writing one, not a user's words.

/// How somebody begins who announces to write something or to play a part, and words in the same sentence that say it is this
/// task: users announce letters and posts too. All in lower case.
const ANNOUNCEMENTS: [(&[&str], &[&str]); 6] = [
    (
        &[
            "i will",
            "i'll",
            "i am going to",
            "i'm going to",
            "i shall",
            "i need to write",
            "i am writing",
            "i'm writing",
            "let me",
            "here is",
            "here's",
            "this is",
            "below is",
            "sure",
            "okay",
            "my task",
        ],
        &[
            "the user's",
            "for the user",
            "as the user",
            "play the user",
            "play a user",
            "one message",
            "next message",
            "my role as",
            "role of the user",
            "role of a user",
            "user's message",
            "user's point of view",
        ],
    ),
    (
        &["as the user,", "as a user,", "as the simulated user"],
        &["i would", "i will", "i'd", "i'll", "i want to ask", "i ask"],
    ),
    (
        &["ich werde", "ich schreibe", "ich soll", "hier ist", "als nutzer", "als benutzer"],
        &[
            "des nutzers",
            "des benutzers",
            "für den nutzer",
            "für den benutzer",
            "nächste nachricht",
            "rolle des",
            "würde ich",
        ],
    ),
    (
        &["voy a", "escribiré", "aquí está", "como usuario"],
        &["del usuario", "para el usuario", "próximo mensaje", "siguiente mensaje", "papel de", "preguntaría"],
    ),
    (
        &["je vais", "j'écrirai", "voici", "en tant qu'utilisateur"],
        &["de l'utilisateur", "pour l'utilisateur", "prochain message", "rôle de", "je demanderais"],
    ),
    (
        &["我将", "我会", "我要", "下面是", "这是", "作为用户"],
        &["用户的消息", "为用户写", "作为用户", "用户的下一条", "扮演用户", "一条用户消息"],
    ),
];

/// Words of the instructions to a user.
const INSTRUCTIONS: [&str; 3] = ["write your next message", "you play a user who", "(the conversation begins"];

/// True where a message is about the task.
pub(super) fn is_about_task(text: &str) -> bool {
    let lower = text.trim_start_matches(|letter: char| !letter.is_alphanumeric()).to_lowercase();
    let lower = lower.replace('’', "'").replace(['*', '_'], "");
    let sentence = lower.split(['.', '!', '?', '\n', '。', '！', '？']).next().unwrap_or_default();
    let announces = |(openings, task): &(&[&str], &[&str])| {
        openings.iter().any(|opening| sentence.starts_with(opening))
            && task.iter().any(|words| sentence.contains(words))
    };
    ANNOUNCEMENTS.iter().any(announces) || INSTRUCTIONS.iter().any(|words| lower.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_does_not_speak_of_the_task() {
        for text in [
            "I will be writing one message for the user",
            "I’ll write the user's next message. How long does it take?",
            "**As the user, I** would ask how long it takes.",
            "Sure, here is one message: How long?",
            "(Now write your next message alone.)",
            "Ich werde eine Nachricht für den Nutzer schreiben.",
            "Voy a escribir un mensaje para el usuario.",
            "Je vais écrire le prochain message.",
            "我将为用户写一条消息。",
        ] {
            assert!(is_about_task(text), "{text}");
        }
        for text in [
            "How long does it take?",
            "I will be writing an exam next week. Where do I begin?",
            "I will write a message to my landlord. What should it say?",
            "The user interface of my oven is broken. What now?",
            "Write one message for the user who complained.",
            "As a user, which settings do I need?",
            "As a beginner, I need less detail.",
            "Ich schreibe gerade eine Bewerbung. Hilfst du mir?",
            "我要给房东写一封信。",
        ] {
            assert!(!is_about_task(text), "{text}");
        }
    }
}
