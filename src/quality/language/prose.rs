use std::borrow::Cow;

use crate::conversation::{beginning, ending};

/// Returns the sentences of a text: without fenced and indented code, quoted lines and passages, rules and cells of tables,
/// addresses, formulas, and digits. `bytes_max` is about how much is returned, from the end where `is_tail`.
pub fn plain_prose(text: &str, bytes_max: usize, is_tail: bool) -> String {
    let mut lines = prose_lines(text);
    if is_tail {
        lines.reverse();
    }
    let (mut chosen, mut bytes) = (Vec::new(), 0);
    for line in lines {
        let plain = without_inline(line);
        bytes += plain.len();
        chosen.push(plain);
        if bytes >= bytes_max {
            break;
        }
    }
    if is_tail {
        chosen.reverse();
    }
    let text = chosen.join("\n");
    if is_tail { ending(&text, bytes_max) } else { beginning(&text, bytes_max) }.to_owned()
}

/// Returns the lines outside code blocks and quotations.
fn prose_lines(text: &str) -> Vec<&str> {
    let (mut fence, mut is_after_blank, mut lines) = (None, true, Vec::new());
    for line in text.lines() {
        let trimmed = line.trim_start();
        let marker = ["```", "~~~"].into_iter().find(|marker| trimmed.starts_with(marker));
        match (fence, marker) {
            (None, Some(marker)) => fence = Some(marker),
            (Some(open), Some(marker)) if open == marker => fence = None,
            _ => {}
        }
        let is_code = fence.is_some() || marker.is_some();
        // Indented code stands after a blank line; list items continue below their first line.
        let is_indented = (line.starts_with("    ") || line.starts_with('\t')) && is_after_blank;
        if !is_code && !is_indented && !trimmed.starts_with('>') && !trimmed.is_empty() {
            lines.push(line);
        }
        // A block of indented code continues.
        is_after_blank = trimmed.is_empty() || is_indented;
    }
    lines
}

/// Removes inline code, quoted passages, addresses, formulas, table bars and digits from a line; spaces become one.
fn without_inline(line: &str) -> Cow<'_, str> {
    const PAIRS: &[(char, char)] = &[
        ('`', '`'),
        ('"', '"'),
        ('“', '”'),
        ('„', '“'),
        ('«', '»'),
        ('「', '」'),
        ('『', '』'),
        ('《', '》'),
        ('$', '$'),
    ];
    if !line.bytes().any(|byte| byte >= 0x80 || b"`\"$|/0123456789".contains(&byte) || byte == b'\t')
        && !line.contains("  ")
        && !line.contains("--")
    {
        return Cow::Borrowed(line);
    }
    let mut plain = String::with_capacity(line.len());
    let mut at = 0;
    while let Some(character) = line[at..].chars().next() {
        let after = at + character.len_utf8();
        let closing = PAIRS.iter().find(|(opening, _)| *opening == character).map(|(_, closing)| *closing);
        if let Some(end) = closing.and_then(|closing| end_of_passage(&line[after..], closing)) {
            plain.push(' ');
            at = after + end;
        } else if line[at..].starts_with("http://") || line[at..].starts_with("https://") {
            at = line[at..].find(char::is_whitespace).map_or(line.len(), |end| at + end);
        } else {
            let is_space =
                character.is_whitespace() || matches!(character, '|' | '0'..='9' | '-' | '=' | '_' | '*' | '#');
            if !is_space {
                plain.push(character);
            } else if !plain.ends_with(' ') {
                plain.push(' ');
            }
            at = after;
        }
    }
    Cow::Owned(plain)
}

/// Returns where a passage ends that `closing` closes, within a bound.
fn end_of_passage(rest: &str, closing: char) -> Option<usize> {
    const CHARACTERS_MAX: usize = 2_000;
    let mut characters = rest.char_indices().take(CHARACTERS_MAX);
    characters.find(|(_, character)| *character == closing).map(|(at, _)| at + closing.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sentences_stay() {
        let plain = |text: &str| plain_prose(text, 1_000, false);
        assert_eq!(plain("One.\n```rust\nlet a = 1;\n```\nTwo.\n~~~\ncode\n~~~\nThree."), "One.\nTwo.\nThree.");
        assert_eq!(plain("One.\n\n    indented code\n    more\n\nTwo."), "One.\nTwo.");
        assert_eq!(plain("- item\n    goes on"), "- item\n goes on");
        assert_eq!(plain("> quoted\nOwn."), "Own.");
        assert_eq!(plain("He said \"nein danke\" to `code` at https://example.com/a?b now."), "He said  to  at now.");
        assert_eq!(
            plain("| Name     | Count |\n|----------|-------|\n| Holz     | 12    |"),
            " Name Count \n \n Holz "
        );
    }

    #[test]
    fn a_tail_is_the_end_and_cuts_at_characters() {
        assert_eq!(plain_prose("eins\nzwei\ndrei", 6, true), "i\ndrei");
        assert_eq!(plain_prose("äöü", 3, true), "ü");
        assert_eq!(plain_prose("äöü", 3, false), "ä");
    }
}
