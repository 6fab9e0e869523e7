use std::ops::Range;

use super::{Action, Candidate, Rule};
use crate::quality::phrases::automaton;
use crate::quality::text::Phrases;

/// Letters that were read in the wrong encoding: UTF-8 taken for Windows-1252, Latin-1 or Windows-1251. At least the threshold's
/// number of characters stand where two or more of them are the bytes of one other. The reverse mistake leaves replacement
/// characters, which `control_chars` counts.
pub struct Mojibake;

/// Sequences that follow each other in a script whose letters are all read wrong. Ukrainian has single ones.
const RUN_MIN: usize = 3;

/// Words with which a user asks about encodings.
static ASKED_FOR: Phrases = Phrases::new(|| automaton(&["encoding"]));
/// The names of encodings, in any language.
static NAMES: Phrases = Phrases::new(|| {
    Phrases::automaton(&[
        "utf-8",
        "utf8",
        "mojibake",
        "latin-1",
        "latin1",
        "cp1252",
        "windows-125",
        "iso-8859",
        "unicode",
    ])
});

impl Rule for Mojibake {
    fn name(&self) -> &'static str {
        "mojibake"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Reject, Action::Reject)
    }

    fn threshold(&self) -> Option<f64> {
        Some(2.0)
    }

    fn hits(&self, candidate: &Candidate<'_>, threshold: f64) -> bool {
        let found = misread_in(candidate.answer);
        !found.is_empty() && found.len() as f64 >= threshold && !is_known(candidate.user)
    }

    fn value(&self, candidate: &Candidate<'_>) -> Option<f64> {
        (!is_known(candidate.user)).then(|| misread_in(candidate.answer).len() as f64)
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        misread_in(candidate.answer)
    }
}

/// True where the user asks about encodings, or writes such text.
fn is_known(user: &str) -> bool {
    ASKED_FOR.occur_in(user) || NAMES.occur_in(user) || !misread_in(user).is_empty()
}

/// Returns where the characters of a text are the bytes of another character.
fn misread_in(text: &str) -> Vec<Range<usize>> {
    let (mut western, mut cyrillic) = (Vec::new(), Vec::new());
    let bytes = text.as_bytes();
    if !may_be_misread(bytes) {
        return western;
    }
    let mut end = 0;
    for at in pairs(bytes, memchr::memchr(0xc3, bytes), |first, third| first == 0xc3 && may_follow_western(third)) {
        if at >= end
            && let Some(length) = misread_at(&text[at..], byte_of_western)
        {
            end = at + length;
            western.push(at..end);
        }
    }
    let mut run: Vec<Range<usize>> = Vec::new();
    let mut end = 0;
    for at in pairs(bytes, memchr::memchr2(0xd0, 0xd1, bytes), |first, third| {
        matches!(first, 0xd0 | 0xd1) && may_follow_cyrillic(third)
    }) {
        if at < end || !may_be_low(bytes[at + 2], bytes.get(at + 3).copied().unwrap_or_default()) {
            continue;
        }
        if let Some(length) = misread_at(&text[at..], byte_of_cyrillic) {
            end = at + length;
            if run.last().is_some_and(|last| last.end != at) {
                keep(text, &mut run, &mut cyrillic);
            }
            run.push(at..end);
        }
    }
    keep(text, &mut run, &mut cyrillic);
    western.append(&mut cyrillic);
    western
}

/// False for a text without a character that may be followed by what the bytes of another one are taken for. Bytes are looked at
/// without a branch, which vectorises.
#[expect(clippy::needless_bitwise_bool, reason = "a lazy operator is a branch")]
fn may_be_misread(bytes: &[u8]) -> bool {
    const BLOCK: usize = 256;
    let is_suspect = |first: u8, third: u8, fourth: u8| {
        let is_high = (third == 0xc2) | (third == 0xe2);
        let is_western = (first == 0xc3) & (is_high | (third == 0xc5) | (third == 0xc6) | (third == 0xcb));
        let is_low = (third == 0xd2) | (third == 0xd0) & (fourth < 0x90) | (third == 0xd1) & (fourth > 0x90);
        is_western | (first & 0xfe == 0xd0) & (is_high | is_low)
    };
    let Some(first) = memchr::memchr3(0xc3, 0xd0, 0xd1, bytes) else { return false };
    // The third byte begins a character of two bytes or more.
    (first..bytes.len().saturating_sub(3)).step_by(BLOCK).any(|start| {
        let firsts = &bytes[start..bytes.len().min(start + BLOCK)];
        let near = firsts.iter().zip(&bytes[start + 2..]).zip(&bytes[start + 3..]);
        near.fold(false, |found, ((first, third), fourth)| found | is_suspect(*first, *third, *fourth))
    })
}

/// Returns the places of bytes, from one place on, that are followed, after one more, by another one, both as `fits` says.
fn pairs(bytes: &[u8], from: Option<usize>, fits: impl Fn(u8, u8) -> bool) -> impl Iterator<Item = usize> {
    let from = from.unwrap_or(bytes.len());
    let windows = bytes[from..].windows(3).enumerate();
    windows.filter(move |(_, bytes)| fits(bytes[0], bytes[2])).map(move |(at, _)| from + at)
}

/// True for the first bytes of characters that are 80 to BF in Windows-1252. The letters before them, which begin with C3, are the
/// first bytes of UTF-8.
fn may_follow_western(byte: u8) -> bool {
    matches!(byte, 0xc2 | 0xc5 | 0xc6 | 0xcb | 0xe2)
}

/// The same in Windows-1251.
fn may_follow_cyrillic(byte: u8) -> bool {
    matches!(byte, 0xc2 | 0xd0..=0xd2 | 0xe2)
}

/// True for bytes that may begin a character that is 80 to BF in Windows-1251: no letter of Russian but `ё`.
fn may_be_low(first: u8, second: u8) -> bool {
    !matches!((first, second), (0xd0, 0x90..) | (0xd1, ..=0x90))
}

/// Keeps the sequences of a run that is long enough, or within a word of Latin letters.
fn keep(text: &str, run: &mut Vec<Range<usize>>, kept: &mut Vec<Range<usize>>) {
    let is_latin = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphabetic());
    let is_within = |run: &[Range<usize>]| {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return false };
        is_latin(text[..first.start].chars().next_back()) || is_latin(text[last.end..].chars().next())
    };
    if run.len() >= RUN_MIN || is_within(run) {
        kept.append(run);
    }
    run.clear();
}

/// Returns the length of the characters at the beginning of a text that are the bytes of one other character.
fn misread_at(text: &str, byte_of: fn(char) -> Option<u8>) -> Option<usize> {
    let mut characters = text.char_indices();
    let first = byte_of(characters.next()?.1)?;
    let (more, mut value) = match first {
        0xc2..=0xdf => (1, u32::from(first & 0x1f)),
        0xe0..=0xef => (2, u32::from(first & 0x0f)),
        0xf0..=0xf4 => (3, u32::from(first & 0x07)),
        _ => return None,
    };
    for _ in 0..more {
        let byte = byte_of(characters.next()?.1).filter(|byte| (0x80..0xc0).contains(byte))?;
        value = value << 6 | u32::from(byte & 0x3f);
    }
    is_common(value).then(|| characters.next().map_or(text.len(), |(at, _)| at))
}

/// True for characters of scripts and signs that texts are made of.
fn is_common(value: u32) -> bool {
    matches!(value, 0xa0..=0x24f | 0x370..=0x3ff | 0x400..=0x45f | 0x490..=0x491 | 0x5d0..=0x5ea | 0x60c..=0x6d5)
        || matches!(value, 0x900..=0x97f | 0xe01..=0xe5b | 0x1e00..=0x1eff | 0x2010..=0x2040 | 0x20a0..=0x20bf)
        || matches!(value, 0x2122 | 0x2190..=0x22ff | 0x2500..=0x27bf | 0x3000..=0x30ff | 0x4e00..=0x9fff)
        || matches!(value, 0xac00..=0xd7a3 | 0xff01..=0xff5e | 0x1f300..=0x1faff)
}

/// Returns the byte of a character in Windows-1252; of one that it lacks, in Latin-1.
fn byte_of_western(character: char) -> Option<u8> {
    const HIGH: &str = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ";
    const BYTES: [u8; 27] = [
        0x80, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8e, 0x91, 0x92, 0x93, 0x94, 0x95,
        0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9e, 0x9f,
    ];
    match character {
        '\u{80}'..='\u{ff}' => u8::try_from(u32::from(character)).ok(),
        _ => HIGH.chars().position(|high| high == character).map(|at| BYTES[at]),
    }
}

/// Returns the byte of a character in Windows-1251.
fn byte_of_cyrillic(character: char) -> Option<u8> {
    const HIGH: &str = "ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—\u{98}™љ›њќћџ\u{a0}ЎўЈ¤Ґ¦§Ё©Є«¬\u{ad}®Ї°±Ііґµ¶·ё№є»јЅѕї";
    match character {
        'А'..='я' => u8::try_from(u32::from(character) - u32::from('А') + 0xc0).ok(),
        _ => HIGH.chars().position(|high| high == character).and_then(|at| u8::try_from(0x80 + at).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [&str; 9] = [
        "Die Häfen für größere Schiffe öffnen täglich früh.",
        "Les élèves ont été très gênés à l’école, déjà.",
        "El niño soñó con un pingüino más pequeño en España.",
        "Perché è così? Però la città è già più bella.",
        "Não há razão: a estação está à direita, então não.",
        "Гавань находится на севере города.",
        "港口位于城市的北部。",
        "港は町の北にあります。",
        "항구는 도시의 북쪽에 있습니다.",
    ];

    fn hits(user: &str, answer: &str) -> bool {
        Mojibake.hits(&Candidate::new(user, answer), 2.0)
    }

    fn misread(text: &str, byte_of: fn(char) -> Option<u8>) -> String {
        let high = ('\u{80}'..='\u{2fff}').filter_map(|character| Some((byte_of(character)?, character)));
        let table: std::collections::HashMap<u8, char> = high.collect();
        let read =
            |byte: u8| if byte < 0x80 { char::from(byte) } else { *table.get(&byte).unwrap_or(&char::from(byte)) };
        text.bytes().map(read).collect()
    }

    #[test]
    fn what_was_read_wrong_is_caught_in_nine_languages_and_good_text_is_not() {
        for text in TEXTS {
            assert!(!hits("Why?", text), "{text}");
            for byte_of in [byte_of_western, byte_of_cyrillic, |character| u8::try_from(u32::from(character)).ok()] {
                let wrong = misread(text, byte_of);
                // Single letters of a Latin script are told by Windows-1252 alone.
                if byte_of('Р').is_none() || text.chars().filter(|letter| !letter.is_ascii()).count() > 12 {
                    assert!(hits("Why?", &wrong), "{wrong}");
                }
            }
        }
        assert!(hits("Why?", "It is so â€“ the quay isnâ€™t deep, they donâ€™t come."));
        assert!(!hits("Why?", "«Voilà\u{a0}», „Ä“ und „Ö“, Ångström, Größe: 5\u{a0}°C, Рік, Січень, Різні, Сіль."));
    }

    #[test]
    fn what_stands_anywhere_is_seen_at_a_glance() {
        for wrong in ["Ã¤", "â€™", "РџСЂ", "Ñ„Ñ€", "ÐºÐ¸"] {
            for before in [0, 1, 254, 255, 256, 511] {
                let text = format!("{}{wrong}{wrong}{wrong} and more", "a".repeat(before));
                assert_eq!(misread_in(&text).len(), misread_in(&text[before..]).len(), "{wrong} {before}");
                assert!(!misread_in(&text).is_empty(), "{wrong} {before}");
            }
        }
    }

    #[test]
    fn who_asks_about_it_gets_an_answer() {
        let wrong = "It becomes â€™ and â€“ and Ã¤ and Ã¶.";
        assert!(hits("Why?", wrong));
        assert!(!hits("What is mojibake?", wrong) && !hits("Why do I see donâ€™t?", wrong));
        for asked in [
            "What is wrong with the encoding of this page?",
            "Was stimmt mit der Zeichenkodierung der Seite nicht?",
            "Quel est le problème d'encodage de cette page ?",
            "¿Qué pasa con la codificación de esta página?",
            "Che cosa non va nella codifica della pagina?",
            "O que há com a codificação desta página?",
            "Что с кодировкой этой страницы?",
            "为什么这个页面是乱码？",
            "このページはなぜ文字化けしますか。",
            "이 페이지는 왜 글자가 깨지나요?",
            "ما مشكلة ترميز هذه الصفحة؟",
            "इस पेज की एन्कोडिंग में क्या समस्या है?",
        ] {
            assert!(!hits(asked, wrong), "{asked}");
        }
        assert!(hits("Was ist mit der Seite?", wrong) && hits("这个页面怎么样？", wrong));
        let place = Mojibake.places(&Candidate::new("Why?", "schÃ¶n"));
        assert_eq!((place.len(), place[0].clone()), (1, 3..7));
    }
}
