//! Recognises text around a message, or in its place, where a model plays a user.

use crate::quality::text::Phrases;

/// Speaker labels of the user.
const USERS: &[&str] = &["user", "human", "me", "用户", "患者", "病人"];

/// Phrases about a message instead of the message.
static ABOUT: Phrases = Phrases::new(|| {
    Phrases::automaton(&[
        "stage direction",
        "here is the next message",
        "here's the next message",
        "here is my next message",
        "here's my next message",
        "next user message",
        "the user wants me to",
        "playing the user",
        "<think",
        "以下是用户的",
        "用户的下一条消息",
        "作为用户，",
    ])
});

/// Openings of reasoning about what to write.
const THINKING: &[&str] = &[
    "okay, the user",
    "ok, the user",
    "so the user wants",
    "so the user is",
    "the user is asking",
    "as the user,",
    "alright, the user",
];

/// Returns a message without surrounding quotes and speaker label.
pub fn user_words(text: &str) -> &str {
    const LABEL_LETTERS_MAX: usize = 16;
    let mut text = text.trim();
    if let Some((label, rest)) = text.split_once([':', '：'])
        && label.chars().count() <= LABEL_LETTERS_MAX
        && !label.contains('\n')
    {
        let is_mark = |letter: char| "*_[]<># ".contains(letter);
        if USERS.contains(&label.trim_matches(is_mark).to_lowercase().as_str()) {
            text = rest.trim_start_matches(is_mark).trim();
        }
    }
    for (open, close) in [('"', '"'), ('“', '”'), ('「', '」')] {
        let inner = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        if let Some(inner) = inner.filter(|inner| !inner.contains([open, close])) {
            return inner.trim();
        }
    }
    text
}

/// True where the text is not a message: a stage direction, text about a message, or an object that contains one.
pub(super) fn is_not_a_message(text: &str) -> bool {
    let lower = text.to_lowercase();
    let thinks = THINKING.iter().any(|opening| lower.starts_with(opening));
    thinks || is_acted(text) || counts_its_words(text) || ABOUT.occur_in(text)
}

/// True for `*leans back* And then?`, `(smiles) And then?`, `[The user pauses.]`, `{"message": "…"}`; not for a user's
/// own remark in brackets.
fn is_acted(text: &str) -> bool {
    const ACTED_WORDS_MAX: usize = 4;
    let marks = [('(', ')'), ('（', '）'), ('[', ']'), ('{', '}'), ('*', '*')];
    marks.iter().any(|(open, close)| {
        let Some((inner, rest)) = text.strip_prefix(*open).and_then(|rest| rest.split_once(*close)) else {
            return false;
        };
        let lower = inner.to_lowercase();
        let mut words = lower.split(|letter: char| !letter.is_alphanumeric());
        let is_own = words.any(|word| ["i", "my", "we", "our"].contains(&word)) || inner.contains('我');
        // Lists, emphasis and code begin with these marks too.
        let is_other = inner.starts_with([' ', '*']) || inner.is_empty() || inner.contains('\n');
        let is_short = inner.split_whitespace().count() <= ACTED_WORDS_MAX && inner.chars().count() <= 40;
        let is_alone = rest.trim().is_empty();
        match open {
            '{' => is_alone && inner.contains(':'),
            '*' => !is_other && !is_own,
            _ => {
                !is_other
                    && !is_own
                    && (is_alone || is_short && inner.chars().all(|letter| letter.is_alphabetic() || letter == ' '))
            }
        }
    })
}

/// True for `… (28 words)` after about that many words. A request for fifty words is not meant.
fn counts_its_words(text: &str) -> bool {
    let Some((before, last)) = text.rsplit_once('(') else { return false };
    let inner = last.trim_end_matches(['.', ' ']).strip_suffix(')').unwrap_or_default();
    let mut parts = inner.split_whitespace();
    let counted = parts.next().and_then(|number| number.parse::<usize>().ok());
    let is_words = parts.next().is_some_and(|unit| unit.to_lowercase().starts_with("word")) && parts.next().is_none();
    let count = before.split_whitespace().count();
    is_words && counted.is_some_and(|counted| counted.abs_diff(count) <= 2 + count / 5)
}
