use super::Needles;
use super::turns::{TurnOf, field_of, label_of, turn_of, turns_in};

/// True for a line that only a format of instructions has, and for the name of a role that a decoder left when it dropped the
/// tokens around it.
pub fn is_bare_mark(line: &str) -> bool {
    line == "assistant" || line.starts_with("### Instruction:") || line.trim_end() == "### Response:"
}

/// True where a line begins a turn of a chat. An answer that begins with a turn of the user's is a script or a list of fields
/// and is exempt, as is a line that another line introduces, and one between names that no template uses.
pub fn speaks_for_others(prose: &str) -> bool {
    if MARKS.occur_in(prose) && has_mark(prose) {
        return true;
    }
    let mut turns = turns_in(prose).peekable();
    let Some((at, line, role)) = turns.peek().copied() else { return false };
    let lines: Vec<&str> = prose.lines().filter(|line| !line.trim().is_empty()).collect();
    if prose[..at].trim().is_empty() {
        let others = || lines[1..].iter().any(|line| label_of(line).is_some_and(|_| turn_of(line).is_none()));
        let is_field = role == TurnOf::User && !line.trim_start_matches(['#', '*', ' ']).starts_with(['H', 'h']);
        return !is_field && !others();
    }
    let place =
        |line: &str| lines.iter().position(|other| other.trim_end().as_ptr() == line.as_ptr()).unwrap_or_default();
    // An example of a dialogue has two lines or more.
    let is_introduced = prose[..at].trim_end().ends_with([':', '：']);
    if is_introduced && lines.iter().skip(place(line) + 1).any(|line| label_of(line).is_some()) {
        return false;
    }
    turns.any(|(_, line, _)| !has_other_speaker(prose, &lines, place(line)) && !is_field_of_list(line, &lines))
}

/// What the marks have that [`has_mark`] looks for.
static MARKS: Needles = Needles::new(|| Needles::finders(&["###", "assistant", "USER: ", "ASSISTANT: "]));

/// True where a text has a mark of a format of instructions, or turns of Vicuna's, which are on one line.
fn has_mark(prose: &str) -> bool {
    prose.lines().any(is_bare_mark)
        || prose.trim_start().starts_with("### Response:")
        || prose.trim_end().ends_with("\n### Input:")
        || ["USER: ", "ASSISTANT: "].iter().any(|name| follows_sentence(prose, name))
}

/// True where the line at `at` is one of a script or a list: a neighbour begins with a name that no chat template uses, and
/// that name speaks twice, or both are emphasised, or no empty line is between the two.
fn has_other_speaker(prose: &str, lines: &[&str], at: usize) -> bool {
    let speaks_twice = |label: &str| lines.iter().filter(|line| label_of(line) == Some(label)).count() > 1;
    let is_adjacent =
        |one: &str, other: &str| memchr::memmem::find(prose.as_bytes(), format!("{one}\n{other}").as_bytes()).is_some();
    let is_marked = |line: &str| line.trim_start().starts_with(['*', '#', '-', '•']);
    let before = at.checked_sub(1).map(|before| (lines[before], lines[before], lines[at]));
    let after = lines.get(at + 1).map(|after| (*after, lines[at], *after));
    before.into_iter().chain(after).any(|(neighbour, one, other)| {
        let label = label_of(neighbour).filter(|_| turn_of(neighbour).is_none());
        let is_pair = |label| speaks_twice(label) || is_marked(one) && is_marked(other) || is_adjacent(one, other);
        label.is_some_and(is_pair)
    })
}

/// True for a line of a list of terms in small letters: `user: …` beside `mail: …` and `news: …`.
fn is_field_of_list(line: &str, lines: &[&str]) -> bool {
    const OTHERS_MIN: usize = 3;
    let is_field = |line: &&&str| field_of(line).is_some_and(|_| turn_of(line).is_none());
    field_of(line).is_some() && lines.iter().filter(is_field).count() >= OTHERS_MIN
}

/// True where `name` follows the end of a sentence and a space.
fn follows_sentence(prose: &str, name: &str) -> bool {
    prose.match_indices(name).any(|(at, _)| {
        let before = prose[..at].strip_suffix(' ').unwrap_or("x").trim_end();
        before.ends_with(['.', '!', '?', '。', '！', '？']) || before.ends_with("</s>")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_of_another_is_told_from_a_script_and_from_a_list() {
        let asked = "So it is.\n\nuser: And then?\n\nassistant: It rains.";
        assert!(speaks_for_others(asked) && speaks_for_others("news: one\n\nIt is.\n\nuser: And then?"));
        for text in ["So.\nHuman: And then?", "So. USER: And then?", "So.\nassistant\nYes.", "Assistant: So."] {
            assert!(speaks_for_others(text), "{text}");
        }
        for text in [
            "User: Hi.\nBot: Yes.",
            "Such as:\nUser: Hi.\nAssistant: Yes.",
            "Admin: all.\nUser: some.",
            "It has these:\n\nmail: of mail;\n\nuser: of users;\n\nnews: of news;\n\nlpr: of printers;",
            "有这些：\n\nmail：邮件\n\nuser：用户消息\n\nnews：新闻\n\nlpr：打印",
            "The user: you",
            "",
        ] {
            assert!(!speaks_for_others(text), "{text}");
        }
    }
}
