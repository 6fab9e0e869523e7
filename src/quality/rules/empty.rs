use std::ops::Range;

use super::{Action, Candidate, Rule};
use crate::quality::phrases::automaton;
use crate::quality::text::Phrases;

/// Says nothing: white space, characters without width, dots, `null`, empty brackets, an empty fence. What looks empty is an
/// answer where the user or the system message asks for that form.
pub struct Empty;

/// What says nothing has at most this many bytes, apart from white space.
const BYTES_MAX: usize = 64;
/// Words and brackets that stand for nothing.
const NOTHING: &[&str] =
    &["null", "undefined", "nan", "nil", "{}", "[]", "()", "<>", "\"\"", "''", "“”", "「」", "[{}]", "{\"\":\"\"}"];

/// Words with which a user asks for a form in which nothing is something.
static BLANK: Phrases = Phrases::new(|| automaton(&["blank"]));

impl Rule for Empty {
    fn name(&self) -> &'static str {
        "empty"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Reject, Action::Reject)
    }

    fn hits(&self, candidate: &Candidate<'_>, _: f64) -> bool {
        let answer = candidate.answer.trim();
        // A long answer has something visible at its beginning.
        if answer.len() > BYTES_MAX && !answer.chars().take(BYTES_MAX).all(is_unseen) {
            return false;
        }
        let answer = without_fence_name(answer);
        let seen: String = answer.chars().filter(|character| !is_unseen(*character)).collect();
        answer.is_empty() || seen.is_empty() || (looks_empty(&seen) && !is_asked_for(candidate, &seen))
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        std::iter::once(0..candidate.answer.len()).collect()
    }
}

/// True for characters that are not seen: spaces, and those without width.
fn is_unseen(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}')
        || matches!(character, '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(character, '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fe00}'..='\u{fe0f}')
}

/// True for a text without white space that stands for nothing.
fn looks_empty(seen: &str) -> bool {
    let inner = seen.trim_matches(['`', '~']);
    let is_fence = inner.len() < seen.len();
    let is_dot = |dot: char| matches!(dot, '.' | '…' | '。' | '·' | '-' | '—' | '_' | '*' | '\\');
    let is_one = seen.chars().nth(1).is_none();
    (inner.chars().all(is_dot) && (!is_one || seen == "…" || is_fence))
        || NOTHING.iter().any(|nothing| inner.eq_ignore_ascii_case(nothing))
}

/// Returns a text without the line of a fence that may name a language.
fn without_fence_name(answer: &str) -> &str {
    let is_fence = answer.starts_with("```") || answer.starts_with("~~~");
    answer.find('\n').filter(|_| is_fence).map_or(answer, |end| answer[end..].trim_start())
}

fn is_asked_for(candidate: &Candidate<'_>, seen: &str) -> bool {
    let inner = seen.trim_matches('`');
    let form = if inner.is_empty() { "```" } else { inner };
    let asks = |text: &str| text.contains(form) || BLANK.begin_word_in(text);
    asks(candidate.user) || candidate.system.is_some_and(asks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_is_nothing() {
        let hits = |answer: &str| Empty.hits(&Candidate::new("Why?", answer), 0.0);
        for answer in [
            "",
            " \n\u{3000}",
            "\u{200b}\u{feff}",
            "...",
            "…",
            "。。。",
            "null",
            "NULL",
            "{}",
            "{ }",
            "[]",
            "```\n```",
            "```json\n\n```",
            "``",
            "---",
            "\"\"",
            "**",
            "\u{200b}...\u{200b}",
            "```\n...\n```",
            "undefined",
            "~~~\n~~~",
        ] {
            assert!(hits(answer), "{answer:?}");
        }
        for answer in [".", "No", "0", "?", "🙂", "42", "好", "null is a value.", "```\nx\n```", "- a", "[1]", "None"]
        {
            assert!(!hits(answer), "{answer:?}");
        }
    }

    #[test]
    fn a_form_that_was_asked_for_is_an_answer_in_eight_languages() {
        for (user, answer) in [
            ("Return an empty JSON object.", "{}"),
            ("Gib ein leeres Objekt aus.", "{}"),
            ("Renvoie une liste vide.", "[]"),
            ("Devuelve una lista vacía.", "[]"),
            ("Restituisci un oggetto vuoto.", "{}"),
            ("Retorne uma lista vazia.", "[]"),
            ("Верни пустой список.", "[]"),
            ("返回一个空列表。", "[]"),
            ("空のリストを返してください。", "[]"),
            ("빈 목록을 출력해 줘.", "[]"),
            ("أعد قائمة فارغة.", "[]"),
            ("एक खाली सूची दो।", "[]"),
            ("What do `...` do in Python? Write only them.", "..."),
        ] {
            assert!(!Empty.hits(&Candidate::new(user, answer), 0.0), "{user}");
        }
        for user in ["为什么天空是蓝色的？", "なぜ空は青いのですか。", "Как готовят капусту?", "¿Qué es una ensenada?"]
        {
            assert!(Empty.hits(&Candidate::new(user, "{}"), 0.0), "{user}");
        }
        let mut candidate = Candidate::new("Anna was here.", "{}");
        assert!(Empty.hits(&candidate, 0.0));
        candidate.system = Some("Extract the orders as JSON.");
        assert!(!Empty.hits(&candidate, 0.0));
    }
}
