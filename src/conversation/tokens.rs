/// Returns roughly how many tokens `text` is for a current model: 3.6 bytes a token where the script is
/// Latin, 1.6 characters a token where it is Chinese, Japanese or Korean. For estimates only.
pub fn estimate_tokens(text: &str) -> u64 {
    let (mut wide_count, mut wide_bytes) = (0, 0);
    if !text.is_ascii() {
        for character in text.chars().filter(|character| is_wide(*character)) {
            wide_count += 1;
            wide_bytes += character.len_utf8();
        }
    }
    let narrow_bytes = text.len() - wide_bytes;
    (f64::from(wide_count) / 1.6 + narrow_bytes as f64 / 3.6).ceil() as u64
}

/// True for Han, Kana and Hangul.
fn is_wide(character: char) -> bool {
    matches!(character, '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_estimated_by_script() {
        assert_eq!(["", "a", "abcd", "abcdefg", "abcdefgh"].map(estimate_tokens), [0, 1, 2, 2, 3]);
        assert_eq!(estimate_tokens(&"a".repeat(360)), 100);
        // 16 characters of three bytes; the same with Latin letters that are no ASCII.
        assert_eq!(estimate_tokens(&"漢".repeat(16)), 10);
        assert_eq!(estimate_tokens(&"é".repeat(18)), 10);
        assert_eq!(estimate_tokens(&format!("{}{}", "한".repeat(16), "a".repeat(36))), 20);
    }
}
