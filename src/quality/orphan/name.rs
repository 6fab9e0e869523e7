use std::collections::HashSet;
use std::ops::Range;

use super::OrphanLevel;
use super::seen::Seen;

/// As many words together are no chance.
const WORDS: usize = 3;
/// Characters of a script without capital letters that may be a name.
const CHARACTERS: usize = 3;

/// Names and numbers of a replaced answer that the new conversation lacks, or several other words. A user may know them from
/// elsewhere, so they are a doubt alone.
pub fn name(seen: &Seen<'_>) -> Option<OrphanLevel> {
    let names = capitalised(seen.follow_up.user);
    let is_name = |gone: &Range<usize>| {
        let word = &seen.text[gone.clone()];
        let has_capitals = word.chars().any(|letter| letter.to_uppercase().next() != Some(letter));
        word.starts_with(|first: char| first.is_ascii_digit())
            || names.contains(word)
            || (!has_capitals && word.chars().count() >= CHARACTERS)
    };
    (seen.gone.len() >= WORDS || seen.gone.iter().any(is_name)).then_some(OrphanLevel::Weak)
}

/// Returns the words, in small letters, that begin with a capital inside a sentence.
fn capitalised(text: &str) -> HashSet<String> {
    let mut found = HashSet::new();
    let mut is_first = true;
    for word in text.split_inclusive(|letter: char| !letter.is_alphanumeric()) {
        let bare = word.trim_end_matches(|letter: char| !letter.is_alphanumeric());
        if !bare.is_empty() {
            if !is_first && bare.starts_with(char::is_uppercase) {
                found.insert(bare.to_lowercase());
            }
            is_first = false;
        }
        is_first |= word.ends_with(['.', '!', '?', '\n', ':', '"', '“']);
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::quality::OrphanLevel;
    use crate::quality::orphan::tests::level;

    #[test]
    fn a_name_or_a_number_that_is_missing_now_is_a_doubt() {
        for (user, asked, replaced, answer) in [
            ("Is Marenholm crowded in August?", "Which town should I visit?", "Visit Marenholm.", "A quiet village."),
            ("Why 1876 of all years?", "When was it built?", "It was built in 1876.", "Long ago."),
            ("马伦霍尔姆人多吗？", "去哪里玩？", "去马伦霍尔姆吧。", "去海边。"),
            ("マーレンは混みますか。", "どこへ行けばいいですか。", "マーレンです。", "海辺です。"),
            ("Сколько стоит билет в Маренхольм?", "Куда поехать?", "В Маренхольм.", "К морю."),
        ] {
            assert_eq!(level(user, asked, replaced, answer), Some(OrphanLevel::Weak), "{user}");
            assert_eq!(level(user, asked, replaced, replaced), None, "{user}");
        }
    }
}
