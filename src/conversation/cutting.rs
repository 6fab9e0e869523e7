//! Parts of texts by bytes, of whole characters.

/// Returns the beginning of a text: at most this many bytes of whole characters.
pub fn beginning(text: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

/// Returns the end of a text: at most this many bytes of whole characters.
pub fn ending(text: &str, bytes_max: usize) -> &str {
    let start = (text.len().saturating_sub(bytes_max)..text.len()).find(|start| text.is_char_boundary(*start));
    &text[start.unwrap_or(text.len())..]
}

/// Returns the two halves of a text. A character in the middle belongs to the first.
pub fn halves(text: &str) -> [&str; 2] {
    let second = ending(text, text.len().div_ceil(2));
    [&text[..text.len() - second.len()], second]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_is_cut() {
        let text = "aäöü";
        assert_eq!(
            (0..=8).map(|bytes| beginning(text, bytes)).collect::<Vec<_>>(),
            ["", "a", "a", "aä", "aä", "aäö", "aäö", "aäöü", "aäöü"]
        );
        assert_eq!(
            (0..=8).map(|bytes| ending(text, bytes)).collect::<Vec<_>>(),
            ["", "", "ü", "ü", "öü", "öü", "äöü", "aäöü", "aäöü"]
        );
        assert_eq!(
            (halves(text), halves("äöü"), halves(""), halves("ab")),
            (["aä", "öü"], ["äö", "ü"], ["", ""], ["a", "b"])
        );
    }
}
