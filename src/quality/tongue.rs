use super::text::{Letters, Script};
use crate::conversation::beginning;

/// Bytes of a text that are used to detect its language.
const SAMPLE_BYTES: usize = 600;
/// Letters below which the language of a text in Latin letters is not known.
const LETTERS_MIN: usize = 12;

/// Returns the language of a text as a code of three letters (ISO 639-3), or the name of its script where that alone is
/// known; empty for a text without letters. For display: short texts are often wrong.
pub fn language_of(text: &str) -> &'static str {
    let sample = beginning(text, SAMPLE_BYTES);
    let letters = Letters::of(sample);
    if letters.total() == 0 {
        return "";
    }
    match letters.dominant() {
        Script::Latin if letters.total() < LETTERS_MIN => "latin",
        Script::Thai => "tha",
        Script::Hebrew => "heb",
        Script::Greek => "ell",
        _ => whichlang::detect_language(sample).three_letter_code(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_told_apart() {
        for (text, language) in [
            ("Why is the sky blue in the morning?", "eng"),
            ("为什么天空是蓝色的？", "cmn"),
            ("なぜ空は青いのですか。", "jpn"),
            ("하늘은 왜 파란가요?", "kor"),
            ("Warum ist der Himmel am Morgen so blau?", "deu"),
            ("ok", "latin"),
            ("123 !?", ""),
        ] {
            assert_eq!(language_of(text), language, "{text}");
        }
    }
}
