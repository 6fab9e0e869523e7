use std::collections::HashMap;
use std::sync::LazyLock;

use super::Spread;
use crate::quality::phrases::listed;

/// Whose turn a line begins, as chat templates name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnOf {
    /// The user.
    User,
    /// The model.
    Assistant,
}

/// Longest name of a role in characters.
const NAME_CHARACTERS_MAX: usize = 16;
/// Bytes of a line before its colon that are looked at.
const BEFORE_BYTES_MAX: usize = 96;
/// Longest name before a colon that may be a speaker of a script, in bytes.
const SPEAKER_BYTES_MAX: usize = 24;

/// The names of the roles in all languages, in small letters.
static NAMES: LazyLock<HashMap<&str, TurnOf, Spread>> = LazyLock::new(|| {
    let of = |section, role| listed(section).map(move |(_, name)| (name, role));
    of("user", TurnOf::User).chain(of("assistant", TurnOf::Assistant)).collect()
});

/// Returns the lines of a text that begin a turn, each with where it begins.
pub fn turns_in(text: &str) -> impl Iterator<Item = (usize, &str, TurnOf)> {
    // Lines without a colon are not looked at. The second byte ends the wide colon, and many other characters.
    let is_colon = |at: &usize| text.as_bytes()[*at] == b':' || text.as_bytes()[..*at].ends_with(&[0xef, 0xbc]);
    let mut before = usize::MAX;
    memchr::memchr2_iter(b':', 0x9a, text.as_bytes()).filter(is_colon).filter_map(move |at| {
        let near = at.saturating_sub(BEFORE_BYTES_MAX);
        let start = memchr::memrchr(b'\n', &text.as_bytes()[near..at]).map_or(near, |start| near + start + 1);
        if start == before || !(start == 0 || text.as_bytes()[start - 1] == b'\n') {
            return None;
        }
        before = start;
        let end = memchr::memchr(b'\n', &text.as_bytes()[at..]).map_or(text.len(), |end| at + end);
        let line = text[start..end].trim_end();
        turn_of(line).map(|role| (start, line, role))
    })
}

/// Returns whose turn a line begins: a role's name and a colon, with marks of emphasis, brackets or a heading around it.
/// A heading without a colon does not begin one.
pub fn turn_of(line: &str) -> Option<TurnOf> {
    let (name, _) = name_and_rest(line)?;
    let is_short = name.len() <= 4 * NAME_CHARACTERS_MAX && name.chars().count() <= NAME_CHARACTERS_MAX;
    if !is_short {
        return None;
    }
    let mut small = [0; 4 * NAME_CHARACTERS_MAX];
    let small = &mut small[..name.len()];
    small.copy_from_slice(name.as_bytes());
    small.make_ascii_lowercase();
    let known = NAMES.get(std::str::from_utf8(small).ok()?).copied();
    // Characters of more than two bytes have no case here.
    let may_be_capital = || name.bytes().any(|byte| matches!(byte, 0xc3..=0xd4));
    known.or_else(|| if may_be_capital() { NAMES.get(name.to_lowercase().as_str()).copied() } else { None })
}

/// Returns the name with which a line of a script or of a list of terms begins.
pub fn label_of(line: &str) -> Option<&str> {
    let (label, rest) = name_and_rest(line)?;
    let is_name = label.len() <= SPEAKER_BYTES_MAX
        && label.starts_with(|first: char| first.is_alphabetic() && !first.is_lowercase())
        && label.chars().all(|next| next.is_alphanumeric() || matches!(next, ' ' | '.' | '-'));
    // An address is no label.
    (is_name && !rest.starts_with("//")).then_some(label)
}

/// Returns the word in small letters with which a line of a list of terms begins.
pub fn field_of(line: &str) -> Option<&str> {
    let (label, _) = name_and_rest(line)?;
    let is_field = label.len() <= SPEAKER_BYTES_MAX
        && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    is_field.then_some(label)
}

/// Splits a line at its first colon: what stands before it without the marks around it, and the rest.
fn name_and_rest(line: &str) -> Option<(&str, &str)> {
    const MARKS: &[char] = &['#', '*', '_', '[', ']', '<', '>', '【', '】', '(', ')', ' ', '\t', '\u{3000}'];
    let near = crate::conversation::beginning(line, BEFORE_BYTES_MAX);
    let at = near.find([':', '：'])?;
    let colon = near[at..].chars().next().map_or(1, char::len_utf8);
    let name = line[..at].trim_matches(MARKS);
    (!name.is_empty()).then_some((name, &line[at + colon..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_known_in_every_language_and_form() {
        for line in [
            "User: Hi",
            "user:",
            "**User:** Hi",
            "**User**: Hi",
            "### Human: Hi",
            "  Human: Hi",
            "[User]: Hi",
            "用户：你好",
            "ユーザー: はい",
            "사용자: 네",
            "Benutzer: Ja",
            "Utilisateur : Oui",
            "Usuario: Sí",
            "Utente: Sì",
            "Usuário: Sim",
            "Пользователь: Да",
            "المستخدم: نعم",
            "उपयोगकर्ता: हाँ",
            "**用户**：好",
            "\u{3000}人类：好",
            "<user>: Hi",
        ] {
            assert_eq!(turn_of(line), Some(TurnOf::User), "{line}");
        }
        for line in ["Assistant:", "ASSISTANT: Yes", "助手：好", "アシスタント：はい", "Assistent: Ja", "Ассистент: Да"]
        {
            assert_eq!(turn_of(line), Some(TurnOf::Assistant), "{line}");
        }
        for line in [
            "### Human Health",
            "The user: you",
            "Users: 12",
            "- User: reads",
            "User interface: new",
            "Human",
            "用户可以",
        ] {
            assert_eq!(turn_of(line), None, "{line}");
        }
    }

    #[test]
    fn a_label_is_a_name_before_a_colon() {
        assert_eq!(label_of("Robot: Who?"), Some("Robot"));
        assert_eq!(label_of("**Admin**: all"), Some("Admin"));
        assert_eq!(label_of("小明：你好"), Some("小明"));
        assert_eq!(
            (label_of("and then: yes"), label_of("https://example.com"), label_of("no colon")),
            (None, None, None)
        );
    }
}
