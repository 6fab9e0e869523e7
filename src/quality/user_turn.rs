use std::collections::HashSet;

use super::reply::Reply;
use super::rules::RULES;
use super::text::{Phrases, Words, fence_count, outside_fences};

/// Words that a user says alone, without asking or telling anything.
const COURTESIES: [&str; 64] = [
    "a",
    "again",
    "all",
    "alright",
    "amazing",
    "and",
    "appreciate",
    "appreciated",
    "awesome",
    "bye",
    "care",
    "cheers",
    "clear",
    "cool",
    "day",
    "everything",
    "excellent",
    "fine",
    "for",
    "glad",
    "good",
    "goodbye",
    "got",
    "grateful",
    "great",
    "help",
    "helped",
    "helpful",
    "helping",
    "helps",
    "i",
    "information",
    "is",
    "it",
    "lot",
    "makes",
    "m",
    "much",
    "nice",
    "now",
    "of",
    "ok",
    "okay",
    "perfect",
    "really",
    "s",
    "see",
    "sense",
    "so",
    "sounds",
    "sure",
    "take",
    "thank",
    "thanks",
    "that",
    "the",
    "this",
    "understand",
    "understood",
    "very",
    "was",
    "wonderful",
    "you",
    "your",
];

/// The same in Chinese, longest first where one contains another.
const COURTESIES_ZH: [&str; 32] = [
    "不客气",
    "祝你生活愉快",
    "祝您",
    "生活愉快",
    "非常感谢",
    "十分感谢",
    "感谢",
    "谢谢",
    "多谢",
    "再见",
    "拜拜",
    "好的",
    "明白了",
    "知道了",
    "了解了",
    "我明白",
    "我知道",
    "清楚了",
    "没问题",
    "很有帮助",
    "有帮助",
    "的帮助",
    "的解答",
    "的回答",
    "太好了",
    "非常",
    "医生",
    "老师",
    "您",
    "你",
    "了",
    "好",
];

/// How an assistant begins, and a user hardly ever.
static ASSISTANT: Phrases = Phrases::new(|| {
    Phrases::automaton(&[
        "as an ai",
        "as a language model",
        "as an assistant",
        "i'm an ai",
        "i am an ai",
        "how can i help you",
        "how can i assist",
        "how may i help",
        "how may i assist",
        "i'd be happy to help",
        "i would be happy to help",
        "i'm happy to help",
        "happy to assist",
        "let me know if you have any",
        "feel free to ask",
        "作为一个ai",
        "作为一名ai",
        "作为ai",
        "作为人工智能",
        "作为一个人工智能",
        "作为一个语言模型",
        "很高兴为您",
        "请问有什么可以帮",
        "有什么可以帮您",
        "希望对您有帮助",
        "希望以上",
    ])
});

/// How an assistant's answer opens.
const OPENINGS: [&str; 16] = [
    "sure, here",
    "sure! here",
    "sure. here",
    "sure thing",
    "certainly, here",
    "certainly! here",
    "certainly. here",
    "of course, here",
    "of course! here",
    "absolutely! here",
    "absolutely, here",
    "here is the answer",
    "当然，以下",
    "当然可以，以下",
    "好的，以下是",
    "以下是",
];

/// Names at a line's beginning by which somebody writes both sides.
const SPEAKERS: [&str; 12] =
    ["assistant:", "ai:", "user:", "human:", "bot:", "answer:", "a:", "助手：", "助手:", "用户：", "用户:", "答："];

/// Code that a user pastes is shorter, or is the question itself.
const CODE_LINES_MAX: usize = 10;
/// A message of a person; what is asked for is 60.
const WORDS_MAX: usize = 200;
/// Words behind a question that make an answer of them.
const ANSWER_WORDS_MIN: usize = 25;
const GRAM_WORDS: usize = 5;
/// From this likeness on, two messages are the same one.
const LIKENESS_MAX: f64 = 0.7;
/// The general rules that hold for a user's words too.
const GENERAL: [&str; 5] = ["control_chars", "template_leak", "language", "loop_token", "loop_char"];

/// Returns what keeps a message from being one that a user could say after `earlier`, the user's messages before it, oldest
/// first; `None` where it may go on.
///
/// The names: `empty`, `thanks_only`, `role_flip` (speaks as the assistant, or for both), `answers_itself`, `repeat` (5-gram
/// Jaccard to an earlier message of 0.7 and more), `too_long`, and the general rules for marks, loops and languages.
pub fn user_turn_fault(text: &str, earlier: &[&str]) -> Option<&'static str> {
    let text = text.trim();
    if text.is_empty() {
        return Some("empty");
    }
    let prose = outside_fences(text);
    let words = Words::of(text);
    let own: [(&str, &dyn Fn() -> bool); 5] = [
        ("thanks_only", &|| is_courtesy(text)),
        ("role_flip", &|| speaks_as_assistant(text, &prose)),
        ("repeat", &|| earlier.iter().any(|earlier| likeness(&words, earlier, text) >= LIKENESS_MAX)),
        ("too_long", &|| Words::of(&prose).len() > WORDS_MAX),
        ("answers_itself", &|| answers_itself(&prose)),
    ];
    if let Some((name, _)) = own.iter().find(|(_, hits)| hits()) {
        return Some(name);
    }
    let before = earlier.join("\n");
    let reply = Reply::new(&before, text);
    let general = RULES.iter().filter(|rule| GENERAL.contains(&rule.name()));
    general.filter(|rule| rule.hits(&reply, rule.threshold().unwrap_or_default())).map(|rule| rule.name()).next()
}

/// True where nothing is said but thanks, assent or a good-bye.
fn is_courtesy(text: &str) -> bool {
    let mut rest = text.to_lowercase();
    for courtesy in COURTESIES_ZH {
        rest = rest.replace(courtesy, " ");
    }
    let mut words = rest.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    !text.contains(['?', '？']) && words.all(|word| COURTESIES.contains(&word))
}

fn speaks_as_assistant(text: &str, prose: &str) -> bool {
    let lower = text.trim_start().to_lowercase();
    let opens = OPENINGS.iter().any(|opening| lower.starts_with(opening));
    let code_lines = text.lines().count().saturating_sub(prose.lines().count());
    let has_code = fence_count(text) > 0 && code_lines > CODE_LINES_MAX;
    let names_a_speaker =
        lower.lines().any(|line| SPEAKERS.iter().any(|speaker| line.trim_start().starts_with(speaker)));
    opens || has_code || names_a_speaker || ASSISTANT.occur_in(text)
}

/// True where a question is followed by so many words that are about nobody that they answer it.
fn answers_itself(prose: &str) -> bool {
    let Some(at) = prose.find(['?', '？']) else { return false };
    let rest = prose[at..].trim_start_matches(['?', '？']);
    let count = Words::of(rest).len();
    let lower = rest.to_lowercase();
    let mut words = lower.split(|letter: char| !letter.is_alphanumeric());
    let is_about_the_speaker = words.any(|word| ["i", "my", "me", "we", "our", "mine", "us"].contains(&word))
        || rest.contains(['我', '咱'])
        || rest.contains(['?', '？']);
    count >= ANSWER_WORDS_MIN && count > Words::of(&prose[..at]).len() && !is_about_the_speaker
}

/// Returns the Jaccard index of two texts' runs of five words; of shorter ones whether their words are the same.
fn likeness(words: &Words, earlier: &str, text: &str) -> f64 {
    let other = Words::of(earlier);
    if words.len() < GRAM_WORDS || other.len() < GRAM_WORDS {
        let is_same = words.ids == other.ids && (!words.ids.is_empty() || text == earlier.trim());
        return f64::from(u8::from(is_same));
    }
    let (ours, theirs): (HashSet<u64>, HashSet<u64>) =
        (words.grams(GRAM_WORDS).collect(), other.grams(GRAM_WORDS).collect());
    let both = ours.intersection(&theirs).count();
    both as f64 / (ours.len() + theirs.len() - both) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "How do I keep tomatoes from splitting when it rains a lot in late summer?";

    fn fault(text: &str) -> Option<&'static str> {
        user_turn_fault(text, &[FIRST])
    }

    #[test]
    fn what_people_say_next_is_good() {
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
            assert_eq!(user_turn_fault(text, &zh), None, "{text}");
        }
    }

    #[test]
    fn what_a_model_says_in_a_users_place_is_named() {
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
        assert_eq!(user_turn_fault("我最近总是头疼，应该吃什么药呢？", &zh), Some("repeat"));
        assert_eq!(user_turn_fault("Should I go to a hospital and have it checked soon?", &zh), Some("language"));
    }
}
