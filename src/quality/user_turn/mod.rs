//! Checks a simulated user's message: whether a person could have written it, or only a model in a user's role.

mod assistant;
mod courtesy;
mod wrapping;

pub use wrapping::user_words;

use std::collections::HashSet;

use super::candidate::Candidate;
use super::rules::FIRST_RULES;
use super::text::{Spread, Words, outside_fences};

/// The context of a user's message.
#[derive(Clone, Copy, Debug, Default)]
pub struct UserTurnContext<'a> {
    /// The source's user messages, oldest first.
    pub source: &'a [&'a str],
    /// The simulated user messages since, oldest first.
    pub simulated: &'a [&'a str],
    /// The user's goal from its card, which the message must not recite.
    pub goal: &'a str,
    /// The assistant's last answer.
    pub heard: &'a str,
}

/// The longest message of a person. Prompts ask for 60 words.
const WORDS_MAX: usize = 200;
/// Words after a question that count as an answer to it.
const ANSWER_WORDS_MIN: usize = 25;
/// Questions that are answered by an explanation. After other questions the text is often their subject.
const EXPLAINED: &[&str] =
    &["why ", "how do", "how does", "how is", "what is", "what are", "what does", "为什么", "什么是", "如何"];
const GRAM_WORDS: usize = 5;
/// Messages with at least this similarity count as repeats.
const SIMILARITY_MAX: f64 = 0.7;
/// The general rules that also apply to user messages.
const GENERAL: [&str; 5] = ["control_chars", "template_leak", "language", "loop_token", "loop_char"];

/// Returns the fault of a simulated user message; `None` where it is valid.
///
/// The names: `empty`, `thanks_only`, `role_flip` (speaks as the assistant, or for both sides), `no_message` (text about a
/// message instead of one), `answers_itself`, `repeat` (a 5-gram Jaccard similarity of at least 0.7 to an earlier message;
/// short ones are compared with the last message only), `too_long`, and the general rules for template tokens, loops and
/// languages. The expected language is the source's, whatever was simulated since.
pub fn user_turn_fault(text: &str, before: &UserTurnContext<'_>) -> Option<&'static str> {
    let text = text.trim();
    if text.is_empty() {
        return Some("empty");
    }
    let prose = outside_fences(text);
    let own: [(&str, &dyn Fn() -> bool); 6] = [
        ("thanks_only", &|| courtesy::is_courtesy(text, before.heard)),
        ("role_flip", &|| assistant::speaks_as_assistant(text, &prose)),
        ("no_message", &|| wrapping::is_not_a_message(text)),
        ("repeat", &|| repeats_earlier(text, before)),
        ("too_long", &|| word_count(&prose) > WORDS_MAX),
        ("answers_itself", &|| answers_itself(&prose)),
    ];
    if let Some((name, _)) = own.iter().find(|(_, hits)| hits()) {
        return Some(name);
    }
    let source = before.source.join("\n");
    let candidate = Candidate::new(&source, text);
    // Simulated conversations have no version of their users' rules, so these stay as they are.
    let general = FIRST_RULES.iter().filter(|rule| GENERAL.contains(&rule.name()));
    general.filter(|rule| rule.hits(&candidate, rule.threshold().unwrap_or_default())).map(|rule| rule.name()).next()
}

/// True where a message is only thanks or a goodbye.
pub fn is_thanks(text: &str) -> bool {
    courtesy::is_thanks(text)
}

/// Returns the number of words. In scripts without spaces two characters count as one word.
fn word_count(text: &str) -> usize {
    let words = Words::of(text);
    let characters = words.lengths.iter().filter(|length| **length == 1).count();
    let is_unspaced = text.len() > 2 * text.chars().count();
    words.len() - if is_unspaced { characters / 2 } else { 0 }
}

fn repeats_earlier(text: &str, before: &UserTurnContext<'_>) -> bool {
    let words = Words::of(text);
    let mut earlier = before.source.iter().chain(before.simulated).rev();
    // People do write "go on" twice, but not in consecutive messages.
    let last = earlier.clone().next();
    if words.len() < GRAM_WORDS {
        return last.is_some_and(|last| Words::of(last).ids == words.ids && !words.is_empty() || text == last.trim());
    }
    let grams = words.grams(GRAM_WORDS).collect();
    earlier.any(|earlier| gram_similarity(&grams, earlier) >= SIMILARITY_MAX)
        || gram_similarity(&grams, before.goal) >= SIMILARITY_MAX
}

/// Returns the Jaccard similarity of word 5-grams and those of another text.
fn gram_similarity(ours: &HashSet<u64, Spread>, earlier: &str) -> f64 {
    let theirs: HashSet<u64, Spread> = Words::of(earlier).grams(GRAM_WORDS).collect();
    let both = ours.intersection(&theirs).count();
    both as f64 / (ours.len() + theirs.len() - both).max(1) as f64
}

/// True where a question that asks for an explanation is followed by one: enough words, none about the speaker.
fn answers_itself(prose: &str) -> bool {
    let Some(at) = prose.find(['?', '？']) else { return false };
    let asked = prose[..at].trim_start().to_lowercase();
    let rest = prose[at..].trim_start_matches(['?', '？']);
    let count = Words::of(rest).len();
    let lower = rest.to_lowercase();
    let mut words = lower.split(|letter: char| !letter.is_alphanumeric());
    let is_about_the_speaker = words.any(|word| ["i", "my", "me", "we", "our", "mine", "us"].contains(&word))
        || rest.contains(['我', '咱'])
        || rest.contains(['?', '？']);
    EXPLAINED.iter().any(|question| asked.starts_with(question))
        && count >= ANSWER_WORDS_MIN
        && count > Words::of(&prose[..at]).len()
        && !is_about_the_speaker
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "How do I keep tomatoes from splitting when it rains a lot in late summer?";

    fn fault(text: &str) -> Option<&'static str> {
        user_turn_fault(text, &UserTurnContext { source: &[FIRST], ..UserTurnContext::default() })
    }

    #[test]
    fn messages_of_people_are_valid() {
        for text in [
            "And what about cucumbers?",
            "Thanks! Can you make it shorter?",
            "That did not work, the leaves are yellow now.",
            "Thank you. My plants are in pots, does that change anything?",
            "Why? I have tried mulch and shade cloth, and my neighbour waters every single evening, but the fruit still \
             cracks within a day or two of the first storm.",
            "Now write it as a poem.",
            "Fix this:\n```\nprint(1)\n```",
            "ok, go on",
            "No.",
        ] {
            assert_eq!(fault(text), None, "{text}");
        }
        let zh = ["我最近总是头疼，应该吃什么药？"];
        for text in ["那需要去医院检查吗？", "谢谢医生，我还想问一下平时要注意什么", "我已经吃了三天药了，没有好转"]
        {
            assert_eq!(
                user_turn_fault(text, &UserTurnContext { source: &zh, ..UserTurnContext::default() }),
                None,
                "{text}"
            );
        }
    }

    #[test]
    fn faults_of_a_model_in_a_users_role_are_named() {
        for (text, name) in [
            ("  ", "empty"),
            ("Thank you so much, that was very helpful!", "thanks_only"),
            ("Great, thanks. Bye!", "thanks_only"),
            ("非常感谢您的帮助，再见！", "thanks_only"),
            ("As an AI, I cannot taste tomatoes.", "role_flip"),
            ("Sure, here is a plan for your garden.", "role_flip"),
            ("And then?\nAssistant: Then you water them.", "role_flip"),
            ("How do I keep tomatoes from splitting when it rains a lot in late summer??", "repeat"),
            ("我想知道番茄为什么会在下雨之后裂开，以及应该怎样避免这种情况发生。", "language"),
            ("And then?<|im_end|>", "template_leak"),
            (
                "Why do they split? The skin stops growing while the flesh takes up water from the wet soil, so pressure builds \
                 within the fruit until the skin tears along its weakest line near the stem.",
                "answers_itself",
            ),
        ] {
            assert_eq!(fault(text), Some(name), "{text}");
        }
        let code = format!("Like this:\n```\n{}```", "x = 1\n".repeat(12));
        assert_eq!(fault(&code), Some("role_flip"));
        assert_eq!(fault(&super::super::text::different_words(0..300)), Some("too_long"));
        let zh = ["我最近总是头疼，应该吃什么药？"];
        assert_eq!(
            user_turn_fault(
                "我最近总是头疼，应该吃什么药呢？",
                &UserTurnContext { source: &zh, ..UserTurnContext::default() }
            ),
            Some("repeat")
        );
        assert_eq!(
            user_turn_fault(
                "Should I go to a hospital and have it checked soon?",
                &UserTurnContext { source: &zh, ..UserTurnContext::default() }
            ),
            Some("language")
        );
    }

    #[test]
    fn people_are_not_taken_for_models() {
        for text in [
            "As an airline pilot I fly a lot, does that matter?",
            "As an AI researcher I would like more detail.",
            "As an assistant manager I have little time.",
            "Sure, here's my code: x = 1",
            "Sure, here are the numbers you asked for: 12, 14",
            "Sure thing, it's a Roma tomato in a pot.",
            "user: root\npassword: none",
            "Which one? A: straw\nB: bark",
            "Please add \"feel free to ask\" at the end.",
            "Is that so",
            "so is it good",
            "Really",
            "Which is right? The label says one thing and the seller says another, and the leaflet that came with the plants says \
             nothing at all about water in late summer.",
            "So what is the fix? The plants are in pots on a balcony that faces south and gets the full sun from ten in the \
             morning until late in the evening.",
            "What is wrong here?\n```\nline\nline\nline\nline\nline\nline\nline\nline\nline\nline\nline\nline\n```",
            "Thanks, but the leaves are yellow now.",
            "Welcome plants for shade then",
            "Is there anything else I can try?",
            "How can I assist my grandmother?",
            "What if the user wants a refund?",
            "Now sum it up (50 words).",
            "Thanks, now follow up with a more detailed explanation.",
            "Here's a step-by-step of what I did: I watered, I fed, I waited. What went wrong?",
            "You're welcome to correct me, but isn't that too much water?",
            "Let me know if you have any cheaper options for a small balcony.",
            "Sure. The variety is Brandywine, planted in May in a large clay pot near the kitchen door.",
            "Answer: I water twice a week. Is that too much?",
            "I hope this helps: they are planted 40 cm apart.",
            "(I have about 10 plants, if that matters.)",
            "So the user manual of my drip kit says 2 litres. Is that enough?",
            "* one\n* two\nWhich of them?",
            "(b1) sounds right, why is it better?",
        ] {
            assert_eq!(fault(text), None, "{text}");
        }
        for text in [
            "作为AI工程师，我想知道更多",
            "以下是我的体检报告：正常",
            "好的，以下是补充信息：我三十岁",
            "用户：张三，年龄：35",
            "医生建议您说的这种药，我吃过，没有用。",
            "以下是关于我的情况：三十岁，经常熬夜。需要做检查吗？",
        ] {
            let zh = ["我最近总是头疼，应该吃什么药？"];
            assert_eq!(
                user_turn_fault(text, &UserTurnContext { source: &zh, ..UserTurnContext::default() }),
                None,
                "{text}"
            );
        }
        // A user may answer a question with "yes", more than once.
        let before =
            UserTurnContext { source: &[FIRST], simulated: &["Yes", "And then?"], heard: "Is it hot there?", goal: "" };
        for text in ["Yes", "ok", "sure", "好的", "42"] {
            assert_eq!(user_turn_fault(text, &before), None, "{text}");
        }
    }

    #[test]
    fn models_are_recognised_by_their_phrases() {
        for (text, name) in [
            ("Thanks! I'll try that.", "thanks_only"),
            ("Thank you for your help! I have no further questions.", "thanks_only"),
            ("Thanks so much, have a great day!", "thanks_only"),
            ("thx", "thanks_only"),
            ("Vielen Dank für die Hilfe!", "thanks_only"),
            ("Merci beaucoup pour votre aide !", "thanks_only"),
            ("ありがとうございます。", "thanks_only"),
            ("Спасибо большое!", "thanks_only"),
            ("谢谢你的建议！", "thanks_only"),
            ("Ok, sounds good.", "thanks_only"),
            ("👍", "thanks_only"),
            ("You're welcome! Enjoy the tomatoes.", "role_flip"),
            ("Great question! It depends on the soil.", "role_flip"),
            (
                "Of course! Tomatoes need about three centimetres of water in a week, given slowly at the foot of the plant.",
                "role_flip",
            ),
            ("I am a large language model and have no garden.", "role_flip"),
            ("Is there anything else you'd like to know?", "role_flip"),
            ("And mulch?\n\n**Assistant:** Straw does well.", "role_flip"),
            ("And mulch?\n\n### Response\nStraw.", "role_flip"),
            ("Als KI-Modell habe ich keinen Garten.", "role_flip"),
            ("Let me know if you need more details!", "role_flip"),
            ("Thank you, that clears it up.", "thanks_only"),
            ("¡Muchas gracias, me ha sido muy útil!", "thanks_only"),
            ("好的，谢谢医生，我会注意的。", "thanks_only"),
            ("(smiles) And mulch?", "no_message"),
            ("*Leans back in the chair* And mulch?", "no_message"),
            ("（叹气）那怎么办？", "no_message"),
            ("建议您多喝水，注意休息。", "role_flip"),
            ("*leans back* And mulch?", "no_message"),
            ("[The user pauses and thinks about it.]", "no_message"),
            ("（停顿一下）", "no_message"),
            ("(Stage direction, not the assistant's words: Ask.) And mulch?", "no_message"),
            ("Here is the next message: And mulch?", "no_message"),
            ("{\"message\": \"And mulch?\"}", "no_message"),
            ("And mulch, does it help in the rain? (8 words)", "no_message"),
            ("Okay, the user wants me to ask about mulch.", "no_message"),
        ] {
            assert_eq!(fault(text), Some(name), "{text}");
        }
        let said = ["And what about mulch in the rain?", "And mulch?"];
        let before = UserTurnContext {
            source: &[FIRST],
            simulated: &said,
            goal: "keep tomatoes from splitting in the rain",
            heard: "",
        };
        assert_eq!(user_turn_fault("And mulch?", &before), Some("repeat"));
        assert_eq!(user_turn_fault("And what about mulch in the rain??", &before), Some("repeat"));
        assert_eq!(user_turn_fault("Keep tomatoes from splitting in the rain", &before), Some("repeat"));
        // A message simulated in another language does not change the source's language.
        let zh = ["我最近总是头疼，应该吃什么药？"];
        let before = UserTurnContext {
            source: &zh,
            simulated: &["And cucumbers, how long do they take, and why?"],
            ..UserTurnContext::default()
        };
        assert_eq!(user_turn_fault("Should I go to a hospital and have it checked soon?", &before), Some("language"));
    }

    #[test]
    fn labels_and_quotes_around_a_message_are_removed() {
        for (text, expected) in [
            ("\"And mulch?\"", "And mulch?"),
            ("User: And mulch?", "And mulch?"),
            ("**User:** And mulch?", "And mulch?"),
            ("[User]: “And mulch?”", "And mulch?"),
            ("用户：那覆盖物呢？", "那覆盖物呢？"),
            ("\"Mulch\" or \"straw\"?", "\"Mulch\" or \"straw\"?"),
            ("Use this: mulch", "Use this: mulch"),
        ] {
            assert_eq!(user_words(text), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_messages_do_not_panic(text in "([*(\\[{)\\]}\"“”:：!！,，?？`#<> \n]|sure|user|assistant|answer|thanks|好的|谢谢|建议您|[0-9a-zé你ß]){0,40}") {
            let said = [text.as_str()];
            let before = UserTurnContext { source: &[FIRST], simulated: &said, goal: &text, heard: &text };
            let words = user_words(&text);
            proptest::prop_assert!(text.contains(words));
            user_turn_fault(words, &before);
            is_thanks(words);
        }
    }
}
