use super::{Action, Candidate, Rule};
use std::borrow::Cow;

use crate::quality::text::Phrases;

/// Contains chat-template tokens, another speaker's line, or an unclosed reasoning block. Code is exempt, as are answers
/// to users who ask about templates or for a script.
pub struct TemplateLeak;

static MARKS: Phrases = Phrases::new(|| {
    Phrases::automaton(&[
        "<|im_",
        "<|eot",
        "<|start_header",
        "<|end_header",
        "<|endoftext",
        "<|begin_of",
        "<|end_of",
        "[INST]",
        "[/INST]",
        "<start_of_turn>",
        "<end_of_turn>",
        "<｜",
        "<|assistant|>",
        "<|user|>",
        "<|system|>",
    ])
});
/// Words with which a user may ask for template tokens.
static MARKS_ASKED_FOR: Phrases = Phrases::new(|| {
    Phrases::automaton(&[
        "<|",
        "[inst",
        "<think",
        "template",
        "prompt format",
        "chatml",
        "special token",
        "tokenizer",
        "fine-tun",
        "模板",
        "特殊标记",
        "微调",
    ])
});
/// Words with which a user may ask for lines of several speakers.
static SCRIPT_ASKED_FOR: Phrases = Phrases::new(|| {
    Phrases::automaton(&[
        "script",
        "dialog",
        "interview",
        "conversation",
        "transcript",
        "screenplay",
        "role-play",
        "roleplay",
        "chat between",
        "scene",
        "对话",
        "剧本",
        "台词",
        "采访",
        "访谈",
        "角色扮演",
        "聊天记录",
        "脚本",
    ])
});
const SPEAKERS: [&str; 5] = ["human:", "user:", "assistant:", "### human", "### assistant"];

impl Rule for TemplateLeak {
    fn name(&self) -> &'static str {
        "template_leak"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Reject, Action::Reject)
    }

    fn hits(&self, candidate: &Candidate<'_>, _: f64) -> bool {
        let prose = &outside_inline_code(candidate.prose());
        if memchr::memchr2(b'<', b'[', prose.as_bytes()).is_some() {
            let count = |mark: &str| memchr::memmem::find_iter(prose.as_bytes(), mark).count();
            if (MARKS.occur_in(prose) || count("<think>") != count("</think>"))
                && !MARKS_ASKED_FOR.occur_in(candidate.user)
            {
                return true;
            }
        }
        speaks_for_others(prose) && !SCRIPT_ASKED_FOR.occur_in(candidate.user)
    }
}

/// Removes inline code: text between single backticks on one line.
fn outside_inline_code(prose: &str) -> Cow<'_, str> {
    if memchr::memchr(b'`', prose.as_bytes()).is_none() || memchr::memchr2(b'<', b'[', prose.as_bytes()).is_none() {
        return Cow::Borrowed(prose);
    }
    let outside = |line: &str| line.split('`').step_by(2).collect::<Vec<_>>().join(" ");
    Cow::Owned(prose.lines().map(outside).collect::<Vec<_>>().join("\n"))
}

/// True where a line after the first begins with the user's speaker name. A text whose first line begins with a speaker's
/// name is a script and is exempt.
fn speaks_for_others(prose: &str) -> bool {
    let starts = |line: &str, name: &str| {
        line.as_bytes().get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
    };
    let mut lines = prose.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().unwrap_or_default();
    if SPEAKERS.iter().any(|name| starts(first, name)) {
        return false;
    }
    lines.any(|line| {
        let is_speaker = matches!(line.as_bytes().first(), Some(b'H' | b'h' | b'U' | b'u' | b'#'));
        is_speaker && (starts(line, "human:") || starts(line, "user:") || starts(line, "### human"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_foreign_lines_are_caught_outside_of_code() {
        let hits = |answer: &str| TemplateLeak.hits(&Candidate::new("Why?", answer), 0.0);
        assert!(
            hits("So.<|im_end|>")
                && hits("[INST] Why? [/INST]")
                && hits("So.\nHuman: And then?")
                && hits("I <think> so")
        );
        assert!(hits("所以。<｜end▁of▁sentence｜>"));
        assert!(!hits("Use this:\n```\n<|im_start|>user\n```") && !hits("x < y, [1], <b>, the user: you"));
        assert!(!hits("The `<think>` tag opens a thought, `[INST]` a turn."));
        assert!(!TemplateLeak.hits(&Candidate::new("What is ChatML?", "It has <|im_start|> and <|im_end|>."), 0.0));
        let leak = Candidate::new("谢谢，这次对话很有用。", "不客气。<|im_end|>\n<|im_start|>user");
        assert!(TemplateLeak.hits(&leak, 0.0), "to speak of a dialogue is not to ask for marks");
        assert!(!TemplateLeak.hits(&Candidate::new("写一段对话", "好的：\nUser: Hi."), 0.0));
        assert!(!hits("<think>so</think>Yes.") && !hits("User: Hi.\nBot: Hello.\nUser: Bye."));
    }
}
