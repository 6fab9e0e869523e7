/// Returns roughly how many tokens `text` is for a current model: 3.6 bytes a token where the script is
/// Latin, 1.6 characters a token where it is Chinese, Japanese or Korean. For plans, never for bills.
pub fn estimate_tokens(text: &str) -> u64 {
    let wide_count = text.chars().filter(|character| is_wide(*character)).count();
    let narrow_bytes =
        text.len() - text.chars().filter(|character| is_wide(*character)).map(char::len_utf8).sum::<usize>();
    (wide_count as f64 / 1.6 + narrow_bytes as f64 / 3.6).ceil() as u64
}

/// True for Han, Kana and Hangul.
fn is_wide(character: char) -> bool {
    matches!(character, '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}
