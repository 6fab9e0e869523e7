use std::sync::LazyLock;

/// True for characters that count as a word each: Chinese, Japanese and Korean.
pub fn is_whole_word(character: char) -> bool {
    matches!(character, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{20000}'..='\u{2ffff}')
}

/// The kinds of characters. The standard library's tables are searched, so those of the basic plane are looked up once.
const OTHER: u8 = 0;
pub const LETTER: u8 = 1;
pub const WHOLE_WORD: u8 = 2;
pub static KINDS: LazyLock<Box<[u8; 1 << 16]>> = LazyLock::new(|| {
    let mut kinds = Box::new([OTHER; 1 << 16]);
    (0..).zip(kinds.iter_mut()).for_each(|(value, kind)| *kind = kind_of(value));
    kinds
});

/// Returns the kind of the character with this number.
pub fn kind_of(value: u32) -> u8 {
    match char::from_u32(value) {
        Some(character) if is_whole_word(character) => WHOLE_WORD,
        Some(character) if character.is_alphanumeric() => LETTER,
        _ => OTHER,
    }
}

/// Returns the number of the character of several bytes that begins at a place in UTF-8, and how many bytes it has.
pub fn character_at(bytes: &[u8], at: usize) -> Option<(u32, usize)> {
    let low = |byte: u8| u32::from(byte & 0x3f);
    match bytes[at..] {
        [first @ ..0xe0, second, ..] => Some((u32::from(first & 0x1f) << 6 | low(second), 2)),
        [first @ ..0xf0, second, third, ..] => Some((u32::from(first & 0x0f) << 12 | low(second) << 6 | low(third), 3)),
        [first, second, third, fourth, ..] => {
            Some((u32::from(first & 7) << 18 | low(second) << 12 | low(third) << 6 | low(fourth), 4))
        }
        _ => None,
    }
}

/// True for letters and digits, and for what counts as a word.
pub fn is_letter(character: char) -> bool {
    let value = character as usize;
    KINDS.get(value).map_or_else(|| kind_of(u32::from(character)), |kind| *kind) != OTHER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_has_the_kind_that_the_standard_library_says() {
        for character in ('\0'..='\u{ffff}').chain('\u{1f300}'..='\u{20100}') {
            assert_eq!(is_letter(character), character.is_alphanumeric() || is_whole_word(character), "{character:?}");
            let text = character.to_string();
            if !character.is_ascii() {
                assert_eq!(character_at(text.as_bytes(), 0), Some((u32::from(character), text.len())));
            }
        }
    }
}
