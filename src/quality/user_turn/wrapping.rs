//! What stands around a message, or in its place, where a model plays a user.

use crate::quality::text::Phrases;

/// Names of the user's own part.
const USERS: &[&str] = &["user", "human", "me", "用户", "患者", "病人"];

/// What is said of a message instead of it.
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

/// How somebody begins who thinks about what to write.
const THINKING: &[&str] =
    &["okay, the user", "ok, the user", "so the user", "the user is asking", "as the user,", "alright, the user"];

/// Returns a message without the quotes around it and its speaker's name before it.
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

/// True where a message is no message: a stage direction, words about it, or an object that holds it.
pub(super) fn is_no_message(text: &str) -> bool {
    let in_brackets = [('(', ')'), ('（', '）'), ('[', ']'), ('{', '}')].iter().any(|(open, close)| {
        let inner = text.strip_prefix(*open).and_then(|rest| rest.strip_suffix(*close));
        inner.is_some_and(|inner| !inner.contains([*open, *close]))
    });
    // `*leans back* And then?`
    let is_acted = text.strip_prefix('*').is_some_and(|rest| {
        let end = rest.find('*').unwrap_or(0);
        rest.starts_with(|letter: char| letter.is_lowercase()) && end > 0 && !rest[..end].contains('\n')
    });
    let lower = text.to_lowercase();
    let thinks = THINKING.iter().any(|opening| lower.starts_with(opening));
    in_brackets || is_acted || thinks || counts_its_words(text) || ABOUT.occur_in(text)
}

/// True for `… (28 words)` behind about as many: a wish for fifty words is another thing.
fn counts_its_words(text: &str) -> bool {
    let Some((before, last)) = text.rsplit_once('(') else { return false };
    let inner = last.trim_end_matches(['.', ' ']).strip_suffix(')').unwrap_or_default();
    let mut parts = inner.split_whitespace();
    let counted = parts.next().and_then(|number| number.parse::<usize>().ok());
    let is_words = parts.next().is_some_and(|unit| unit.to_lowercase().starts_with("word")) && parts.next().is_none();
    let count = before.split_whitespace().count();
    is_words && counted.is_some_and(|counted| counted.abs_diff(count) <= 2 + count / 5)
}
