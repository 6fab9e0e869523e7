//! What is said of bytes that are not UTF-8: where, and which encoding they may be in.

use encoding_rs::{EUC_JP, Encoding, SHIFT_JIS};

/// Bytes that are looked at for the encoding.
const SAMPLE_BYTES: usize = 4_096;

/// Returns where `bytes` are not UTF-8 and what they may be, or nothing for bytes that are. They begin at `offset` of the
/// file.
pub fn not_utf8(bytes: &[u8], offset: u64) -> Option<String> {
    if simdutf8::basic::from_utf8(bytes).is_ok() {
        return None;
    }
    let at = std::str::from_utf8(bytes).err()?.valid_up_to();
    Some(not_utf8_at(bytes, at, offset + at as u64))
}

/// Says the same of the byte at `at`, which stands at `offset` of the file.
pub fn not_utf8_at(bytes: &[u8], at: usize, offset: u64) -> String {
    let byte = bytes.get(at).copied().unwrap_or_default();
    let start = at.saturating_sub(SAMPLE_BYTES / 2);
    let sample = &bytes[start..bytes.len().min(start + SAMPLE_BYTES)];
    let advice = match likely_encodings(sample).as_slice() {
        [] => "; --encoding NAME reads a file in another encoding".to_owned(),
        [first] => format!("; it looks like {first}: read the file with --encoding {first}"),
        [first, others @ ..] => {
            format!("; it looks like {first} or {}: read the file with --encoding {first}", others.join(" or "))
        }
    };
    format!("not UTF-8: byte {byte:#04x} at offset {offset}{advice}")
}

/// Returns the encodings that a text may be in, the likeliest first, at most two.
fn likely_encodings(sample: &[u8]) -> Vec<&'static str> {
    let runs: Vec<&[u8]> = sample.split(u8::is_ascii).filter(|run| !run.is_empty()).collect();
    let high_bytes: usize = runs.iter().map(|run| run.len()).sum();
    if high_bytes == 0 {
        return Vec::new();
    }
    let share = |count: usize, of: usize| count as f64 / of.max(1) as f64;
    let letters = |encoding: &'static Encoding, is_one: fn(char) -> bool| {
        // A sample may begin or end inside a character.
        let (text, _) = encoding.decode_without_bom_handling(sample);
        let foreign: Vec<char> = text.chars().filter(|letter| !letter.is_ascii()).collect();
        share(foreign.iter().filter(|letter| is_one(**letter)).count(), foreign.len())
    };
    let pairs = pairs(sample);
    let is_common_hanzi = |pair: &&(u8, u8)| matches!(pair, (0xb0..=0xd7 | 0xa1 | 0xa3, 0xa1..=0xfe));
    let is_common_big5 = |pair: &&(u8, u8)| matches!(pair, (0xa1 | 0xa4..=0xc6, 0x40..=0x7e | 0xa1..=0xfe));
    let is_common_hangul = |pair: &&(u8, u8)| matches!(pair, (0xb0..=0xc8, 0xa1..=0xfe));
    // Half of the characters of Big5 end in a letter of ASCII, and none of its neighbours' do.
    let has_low_ends = pairs.iter().filter(|(_, end)| end.is_ascii()).count() * 8 > pairs.len();
    let short_runs = runs.iter().filter(|run| run.len() == 1).count();
    let cyrillic = sample.iter().filter(|byte| matches!(byte, 0xc0..=0xff | 0xa8 | 0xb8)).count();
    let rated = [
        ("shift-jis", letters(SHIFT_JIS, is_kana)),
        ("euc-jp", letters(EUC_JP, is_kana)),
        ("euc-kr", share(pairs.iter().filter(is_common_hangul).count(), pairs.len()) - 0.05),
        ("gb18030", share(pairs.iter().filter(is_common_hanzi).count() * 2, high_bytes.max(pairs.len() * 2)) - 0.1),
        (
            "big5",
            if has_low_ends { share(pairs.iter().filter(is_common_big5).count(), pairs.len()) - 0.15 } else { 0.0 },
        ),
        ("windows-1252", share(short_runs, runs.len()) - 0.05),
        ("windows-1251", if short_runs * 3 < runs.len() { share(cyrillic, high_bytes) - 0.2 } else { 0.0 }),
    ];
    let mut likely: Vec<_> = rated.into_iter().filter(|(_, rate)| *rate > 0.5).collect();
    likely.sort_by(|left, right| right.1.total_cmp(&left.1));
    likely.truncate(2);
    likely.into_iter().map(|(name, _)| name).collect()
}

/// Returns what are characters of two bytes in encodings of Chinese: a byte that is not ASCII and the one behind it.
fn pairs(sample: &[u8]) -> Vec<(u8, u8)> {
    let mut pairs = Vec::new();
    let mut bytes = sample.iter().skip_while(|byte| !byte.is_ascii());
    while let Some(byte) = bytes.next() {
        if !byte.is_ascii() {
            pairs.extend(bytes.next().map(|second| (*byte, *second)));
        }
    }
    pairs
}

fn is_kana(letter: char) -> bool {
    matches!(letter, '\u{3000}'..='\u{30ff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_is_recognised_by_a_sentence() {
        let sentences = [
            ("windows-1252", "{\"a\": \"Le café est très bon, voilà une idée.\"}"),
            ("gb18030", "{\"a\": \"请解释一下为什么天空是蓝色的，谢谢。\"}"),
            ("shift-jis", "{\"a\": \"なぜ空は青いのですか、教えてください。\"}"),
            ("euc-jp", "{\"a\": \"なぜ空は青いのですか、教えてください。\"}"),
            ("euc-kr", "{\"a\": \"하늘은 왜 파란색인지 설명해 주세요.\"}"),
            ("big5", "{\"a\": \"請解釋一下為什麼天空是藍色的，謝謝。\"}"),
            ("windows-1251", "{\"a\": \"Почему небо голубое? Объясни, пожалуйста.\"}"),
        ];
        for (label, sentence) in sentences {
            let encoding = Encoding::for_label(label.as_bytes()).unwrap();
            let (bytes, _, _) = encoding.encode(sentence);
            let found = likely_encodings(&bytes);
            assert_eq!(found.first(), Some(&label), "{found:?}");
        }
    }

    #[test]
    fn the_byte_is_named() {
        assert_eq!(not_utf8("é".as_bytes(), 0), None);
        let reason = not_utf8(b"{\"a\": \"caf\xe9 noir\"}", 100).unwrap();
        assert!(reason.contains("byte 0xe9 at offset 110") && reason.contains("--encoding windows-1252"), "{reason}");
    }
}
