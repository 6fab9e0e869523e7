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
