use super::{REJECTS, Superseded};
use crate::quality::rules::template_leak::{has_leak, outside_inline_code};
use crate::quality::text::{Phrases, template_marks};

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
/// Longest name before a colon that may be a speaker of a script.
const SPEAKER_BYTES_MAX: usize = 24;

/// Contains chat-template tokens, another speaker's line, or a stray tag of reasoning. Code and quoted tokens are exempt,
/// as are answers to users who ask about templates or for a script.
pub const TEMPLATE_LEAK: Superseded = Superseded {
    name: "template_leak",
    actions: REJECTS,
    threshold: None,
    hits: |candidate, _| {
        let prose = &outside_inline_code(candidate.prose());
        (has_leak(candidate, prose, first_marks(prose)) && !MARKS_ASKED_FOR.occur_in(candidate.user))
            || (speaks_for_others(prose) && !SCRIPT_ASKED_FOR.occur_in(candidate.user))
    },
    places: |candidate| {
        let marks = first_marks(candidate.answer).map(|(at, mark)| at..at + mark.len());
        let mut start = 0;
        let lines = candidate.answer.split_inclusive('\n').filter_map(|line| {
            let place = start..start + line.trim_end().len();
            start += line.len();
            (is_turn(line) || line.trim_end() == "assistant").then_some(place)
        });
        marks.chain(lines).collect()
    },
};

/// Beginnings of the tokens that are known since.
const LATER_MARKS: [&str; 11] = [
    "<beginning_of_sentence>",
    "<end_of_sentence>",
    "<TOKENS_UNUSED_",
    "<reserved_token_",
    "<special_token_",
    "[/TOOL_CONTENT]",
    "[CALL_ID]",
    "[ARGS]",
    "[MODEL_SETTINGS]",
    "[UNUSED_TOKEN_",
    "[unused",
];

/// Returns the template tokens that were known then.
fn first_marks(text: &str) -> impl Iterator<Item = (usize, &str)> {
    template_marks(text).filter(|(_, mark)| !LATER_MARKS.iter().any(|later| mark.starts_with(later)))
}

/// True where a line after the first begins with the user's speaker name, or with the heading of an instruction format. A
/// text whose first line begins with a speaker's name is a script and is exempt, as is one with speakers of other names.
fn speaks_for_others(prose: &str) -> bool {
    let lines: Vec<&str> = prose.lines().filter(|line| !line.trim().is_empty()).collect();
    let (Some(first), Some(last)) = (lines.first(), lines.last()) else { return false };
    // Decoders that drop special tokens leave the name of the role.
    if lines.contains(&"assistant") || lines.iter().any(|line| line.starts_with("### Instruction:")) {
        return true;
    }
    if first.starts_with("### Response:") || matches!(last.trim_end(), "### Response:" | "### Input:") {
        return true;
    }
    if SPEAKERS.iter().any(|name| starts(first, name)) {
        // One speaker alone makes no script. `user:` may be a field.
        let is_field = starts(first, "user:");
        return !is_field && !lines[1..].iter().any(|line| label_of(line).is_some() || is_turn(line));
    }
    // Vicuna's turns are on one line.
    let is_inline = || ["USER: ", "ASSISTANT: "].iter().any(|name| follows_sentence(prose, name));
    (1..lines.len()).any(|at| is_turn(lines[at]) && !has_other_speaker(prose, &lines, at)) || is_inline()
}

fn starts(line: &str, name: &str) -> bool {
    line.as_bytes().get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
}

/// True for a line with which a chat template begins a turn.
fn is_turn(line: &str) -> bool {
    let is_speaker = matches!(line.as_bytes().first(), Some(b'H' | b'h' | b'U' | b'u' | b'A' | b'a' | b'#'));
    let names = ["human:", "user:", "assistant:", "### human", "### user:", "### assistant:"];
    is_speaker && names.iter().any(|name| starts(line, name))
}

/// True where the line at `at` is one of a script or a list: a neighbour begins with a name that no chat template uses, and
/// that name speaks twice or no empty line is between the two.
fn has_other_speaker(prose: &str, lines: &[&str], at: usize) -> bool {
    let is_template = |label: &str| ["human", "user", "assistant"].iter().any(|name| label.eq_ignore_ascii_case(name));
    let speaks_twice = |label: &str| lines.iter().filter(|line| label_of(line) == Some(label)).count() > 1;
    let is_adjacent =
        |one: &str, other: &str| memchr::memmem::find(prose.as_bytes(), format!("{one}\n{other}").as_bytes());
    let before = at.checked_sub(1).map(|before| (lines[before], lines[before], lines[at]));
    let after = lines.get(at + 1).map(|after| (*after, lines[at], *after));
    before.into_iter().chain(after).any(|(neighbour, one, other)| {
        let label = label_of(neighbour).filter(|label| !is_template(label));
        label.is_some_and(|label| speaks_twice(label) || is_adjacent(one, other).is_some())
    })
}

/// True where `name` follows the end of a sentence and a space.
fn follows_sentence(prose: &str, name: &str) -> bool {
    prose.match_indices(name).any(|(at, _)| {
        let before = prose[..at].strip_suffix(' ').unwrap_or("x").trim_end();
        before.ends_with(['.', '!', '?', '。', '！', '？']) || before.ends_with("</s>")
    })
}

/// Returns the name with which a line of a script begins.
fn label_of(line: &str) -> Option<&str> {
    let (label, rest) = line.split_once(':')?;
    let is_name = label.len() <= SPEAKER_BYTES_MAX
        && label.starts_with(char::is_uppercase)
        && label.chars().all(|next| next.is_alphabetic() || matches!(next, ' ' | '.' | '-'));
    (is_name && rest.starts_with(' ')).then_some(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::Candidate;
    use crate::quality::rules::Rule;

    #[test]
    fn marks_and_foreign_lines_are_caught_outside_of_code() {
        let hits = |answer: &str| TEMPLATE_LEAK.hits(&Candidate::new("Why?", answer), 0.0);
        assert!(
            hits("So.<|im_end|>")
                && hits("[INST] Why? [/INST]")
                && hits("So.\nHuman: And then?")
                && hits("I <think> so")
        );
        assert!(hits("所以。<｜end▁of▁sentence｜>"));
        assert!(!hits("Use this:\n```\n<|im_start|>user\n```") && !hits("x < y, [1], <b>, the user: you"));
        assert!(!hits("The `<think>` tag opens a thought, `[INST]` a turn."));
        assert!(!TEMPLATE_LEAK.hits(&Candidate::new("What is ChatML?", "It has <|im_start|> and <|im_end|>."), 0.0));
        let leak = Candidate::new("谢谢，这次对话很有用。", "不客气。<|im_end|>\n<|im_start|>user");
        assert!(TEMPLATE_LEAK.hits(&leak, 0.0), "to speak of a dialogue is not to ask for marks");
        assert!(!TEMPLATE_LEAK.hits(&Candidate::new("写一段对话", "好的：\nUser: Hi."), 0.0));
        assert!(
            hits("It flies. USER: And then? ASSISTANT: It lands.")
                && hits("ASSISTANT: It flies.")
                && hits("It flies.\n\n### Instruction:\nAnd then?")
                && hits("### Response:\nIt flies.")
                && hits("It flies.\nassistant\nIt flies.")
                && hits("It flies.\nNote: so.\nNote: yes.\n\nIt lands.\n\nHuman: And then?")
        );
        assert!(hits("It flies.</s>") && hits("It flies.[/THINK]") && hits("<tool_call>\n{}\n</tool_call>"));
        assert!(!hits("They met.\nRobot: Who are you?\nHuman: A guest.\nRobot: Welcome."), "a script of its own");
        assert!(!hits("Roles:\nAdmin: does all.\nUser: reads only."), "a list of names");
        assert!(hits("It flies.\n\nAssistant: It lands.") && hits("It flies.\n### User:\nAnd then?"));
        assert!(hits("Human: It flies."), "one speaker alone makes no script");
        assert!(!hits("## Response\nThe server sends 200.\n### Response: 200\nThen it closes."));
        assert!(!hits("The price is <s>20</s> 15 dollars.") && !hits("An unknown word becomes \"<unk>\"."));
        let named = Candidate::new("When is <unk> used?", "It is used for <unk> words.");
        assert!(!TEMPLATE_LEAK.hits(&named, 0.0), "the user wrote it");
        assert!(!hits("<think>so</think>Yes.") && !hits("User: Hi.\nBot: Hello.\nUser: Bye."));
    }
    #[test]
    fn what_is_known_since_was_no_mark() {
        for mark in
            ["<beginning_of_sentence>", "<TOKENS_UNUSED_0>", "<reserved_token_3>", "[ARGS]", "[UNUSED_TOKEN_145]"]
        {
            let answer = format!("An answer. {mark}");
            let candidate = Candidate::new("Why?", &answer);
            assert!(!TEMPLATE_LEAK.hits(&candidate, 0.0), "{mark}");
            assert!(crate::quality::rules::template_leak::TemplateLeak.hits(&candidate, 0.0), "{mark}");
        }
    }
}
