use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns a text whose characters all show themselves. Names of files, data and what servers say may hold characters that
/// move the cursor, change colours, run commands of the terminal, or reverse the order of what follows. They are written as
/// `\u001b`, which JSON reads as the same character. Line breaks and tabs stay.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if is_hidden(letter) {
            let mut units = [0; 2];
            for unit in letter.encode_utf16(&mut units) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(letter);
        }
    }
    Cow::Owned(shown)
}

/// True for a character that a terminal obeys or that changes how others look: control characters, those of both
/// directions, separators of lines, invisible spaces, annotations and tags. Not the joiners of scripts and of emoji.
fn is_hidden(letter: char) -> bool {
    match letter {
        '\n' | '\t' => false,
        '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}' => true,
        '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}' => true,
        '\u{e0000}'..='\u{e007f}' => true,
        _ => letter.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_written_out_and_layout_and_scripts_stay() {
        for (text, shown) in [
            ("a\n\tb é 한국 👩‍👩‍👧 می‌خواهم", "a\n\tb é 한국 👩‍👩‍👧 می‌خواهم"),
            ("\u{1b}[31mred\u{1b}]0;title\u{7}", "\\u001b[31mred\\u001b]0;title\\u0007"),
            ("\u{9b}2J\u{7f}\u{0}\u{8}over\rwritten", "\\u009b2J\\u007f\\u0000\\u0008over\\u000dwritten"),
            ("txt.\u{202e}exe\u{2066}\u{200b}\u{2028}\u{feff}", "txt.\\u202eexe\\u2066\\u200b\\u2028\\ufeff"),
            ("\u{e0041}", "\\udb40\\udc41"),
        ] {
            assert_eq!(printable(text), shown);
        }
        let json = serde_json::json!({"a\u{9b}": "\u{1b}\u{202e}\u{e0041}\u{2028}"});
        let shown = json.to_string();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&printable(&shown)).unwrap(), json);
        assert!(printable(&shown).is_ascii());
    }
}
