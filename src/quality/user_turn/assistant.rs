//! Recognises messages in the assistant's voice, or in both voices.

use crate::quality::text::{Phrases, fence_count};

/// Phrases of assistants that users hardly ever write.
static ASSISTANT: Phrases = Phrases::new(|| {
    Phrases::automaton(&[
        "as an ai,",
        "as an ai language",
        "as an ai model",
        "as an ai assistant",
        "as an artificial intelligence,",
        "as a language model",
        "as a large language model",
        "as an assistant,",
        "i'm an ai language",
        "i'm an ai model",
        "i'm an ai assistant",
        "i'm an ai,",
        "i am an ai language",
        "i am an ai model",
        "i am an ai assistant",
        "i am an ai,",
        "i am a large language model",
        "i'm a large language model",
        "i am a language model",
        "i'm a language model",
        "how can i help you",
        "how can i assist you",
        "how may i help you",
        "how may i assist you",
        "i'd be happy to help",
        "i would be happy to help",
        "i'm happy to help",
        "happy to assist you",
        "let me know if you have any question",
        "let me know if you have any other question",
        "let me know if you have any further question",
        "let me know if you have any more question",
        "let me know if you need",
        "feel free to ask",
        "feel free to reach out",
        "i hope this helps!",
        "i hope this helps.",
        "hope that helps!",
        "is there anything else you'd like",
        "is there anything else i can help",
        "is there anything else i can assist",
        "is there anything else i can do for you",
        "i can't help with that",
        "i cannot help with that",
        "i can't assist with",
        "i cannot assist with",
        "here's a step-by-step guide",
        "here is a step-by-step guide",
        "als ki-modell",
        "als ki-sprachmodell",
        "hier sind einige tipps",
        "en tant qu'ia",
        "como modelo de lenguaje",
        "aquí tienes algun",
        "aiとして",
        "aiアシスタントとして",
        "作为一个ai，",
        "作为一个ai助手",
        "作为一个ai语言",
        "作为一名ai，",
        "作为一名ai助手",
        "作为ai，",
        "作为ai助手",
        "作为ai语言模型",
        "作为人工智能，",
        "作为人工智能助手",
        "作为人工智能语言",
        "作为一个人工智能",
        "作为一个语言模型",
        "很高兴为您",
        "请问有什么可以帮",
        "有什么可以帮您",
        "希望对您有帮助",
        "希望以上",
    ])
});

/// Openings of an assistant's answer, whatever follows.
const OPENINGS: &[&str] = &[
    "great question!",
    "that's a great question",
    "that is a great question",
    "good question!",
    "you're welcome!",
    "you're welcome.",
    "you are welcome!",
    "you are welcome.",
    "here is the answer",
    "以下是一些",
    "以下是几",
    "以下是关于",
    "以下是针对",
    "以下是您",
    "以下是对",
    "以下是建议",
    "以下是详细",
    "好的，以下是一些",
    "好的，以下是几",
    "好的，以下是针对",
    "好的，以下是您",
    "当然，以下",
    "当然可以，以下",
    "不客气，",
];

/// Words with which an assistant agrees before it answers. A user who agrees speaks about themselves.
const AGREEING: &[&str] = &["sure", "certainly", "of course", "absolutely", "definitely"];
/// Words with which users speak about themselves.
const OWN: &[&str] = &["i", "my", "me", "mine", "we", "our", "us"];

/// Speaker names at the start of a line that mark the assistant's side.
const OTHERS: &[&str] = &[
    "assistant",
    "ai",
    "ai assistant",
    "bot",
    "chatbot",
    "chatgpt",
    "answer",
    "助手",
    "ai助手",
    "答",
    "回答",
    "医生回答",
];

/// Users paste at most this many lines of code without a question.
const CODE_LINES_MAX: usize = 10;
/// Words after an agreeing opening that make the message an answer.
const AGREEING_WORDS_MIN: usize = 12;

/// True where a message speaks as the assistant or for both sides. `prose` is the message without fenced code.
pub(super) fn speaks_as_assistant(text: &str, prose: &str) -> bool {
    let lower = text.to_lowercase();
    let is_asked = text.contains(['?', '？']);
    let code_lines = text.lines().count().saturating_sub(prose.lines().count());
    let has_code = fence_count(text) > 0 && code_lines > CODE_LINES_MAX && !prose.contains(['?', '？']);
    let advises = lower.starts_with("建议您") && !is_asked;
    let is_own = is_asked && text.contains('我');
    advises
        || !is_own && OPENINGS.iter().any(|opening| lower.starts_with(opening))
        || has_code
        || prose.lines().enumerate().any(|(number, line)| names_the_other(number, line))
        || agrees_and_answers(&lower)
        || ASSISTANT.occur_in(&without_quotes(text))
}

/// True for a line such as `Assistant: …`, `**AI:** …`, or an equivalent heading.
fn names_the_other(number: usize, line: &str) -> bool {
    let is_mark = |letter: char| "*_[]<>#`\"“” ".contains(letter);
    let line = line.trim();
    let name = line.split([':', '：']).next().unwrap_or_default();
    let bare = name.trim_matches(is_mark).to_lowercase();
    // On the first line a user may be answering a question.
    let is_answer = number == 0 && ["answer", "答", "回答"].contains(&bare.as_str());
    let is_named = line.len() > name.len() && OTHERS.contains(&bare.as_str()) && !is_answer;
    // Without a colon the name must be the whole line, with or without markup.
    is_named || line.len() == name.len() && (bare == "assistant" || bare == "response" && line.starts_with('#'))
}

/// True for `Sure, here is a plan`, `Of course! Tomatoes need …`; not for users who agree and speak about themselves.
fn agrees_and_answers(lower: &str) -> bool {
    let Some(rest) = AGREEING.iter().find_map(|word| lower.strip_prefix(word)) else { return false };
    let Some(rest) = rest.strip_prefix([',', '!', '.', '，', '！']) else { return false };
    let is_eager = lower.as_bytes().get(lower.len() - rest.len() - 1) == Some(&b'!');
    let rest = rest.trim_start();
    let words: Vec<&str> =
        rest.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let is_own = words.iter().any(|word| OWN.contains(word)) || rest.contains("you asked");
    let gives = words.first() == Some(&"here");
    !is_own && !rest.contains('?') && (gives || is_eager && words.len() >= AGREEING_WORDS_MIN)
}

/// Returns a text without its double-quoted parts, which may be somebody else's words.
fn without_quotes(text: &str) -> String {
    let mut is_inside = false;
    let letters = text.chars().filter(|letter| {
        let is_quote = matches!(letter, '"' | '“' | '”' | '「' | '」');
        is_inside ^= is_quote;
        !is_inside && !is_quote
    });
    let kept: String = letters.collect();
    // An unclosed quotation mark is not a quote.
    if is_inside { text.to_owned() } else { kept }
}
