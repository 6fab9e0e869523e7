use std::ops::Range;

use super::{Action, Candidate, Rule};

/// Control characters: a NUL, or a share of replacement, control and private-use characters above the threshold.
pub struct ControlChars;

impl Rule for ControlChars {
    fn name(&self) -> &'static str {
        "control_chars"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Reject, Action::Reject)
    }

    fn threshold(&self) -> Option<f64> {
        Some(0.001)
    }

    fn hits(&self, candidate: &Candidate<'_>, threshold: f64) -> bool {
        let bytes = candidate.answer.as_bytes();
        if !may_be_bad(bytes) {
            return false;
        }
        if bytes.contains(&0) {
            return true;
        }
        let bad = candidate.answer.chars().filter(|character| is_bad(*character)).count();
        bad > 0 && bad as f64 > threshold * candidate.answer.chars().count() as f64
    }

    fn value(&self, candidate: &Candidate<'_>) -> Option<f64> {
        if candidate.answer.contains('\0') {
            return Some(1.0);
        }
        let bad = candidate.answer.chars().filter(|character| is_bad(*character)).count();
        Some(bad as f64 / candidate.answer.chars().count().max(1) as f64)
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        let bad = candidate.answer.char_indices().filter(|(_, character)| is_bad(*character));
        bad.map(|(at, character)| at..at + character.len_utf8()).collect()
    }
}

/// False for a text without control, replacement and private-use characters. Pairs of bytes are looked at without a branch, which
/// vectorises.
#[expect(clippy::needless_bitwise_bool, reason = "a lazy operator is a branch")]
fn may_be_bad(bytes: &[u8]) -> bool {
    const BLOCK: usize = 256;
    // C0 controls and DEL are single bytes. C1 is C2 with 80 to 9F; U+FFFD and the private-use areas begin with EF BF, EE, EF 80 to
    // EF A3, F3 and F4.
    let is_suspect = |byte: u8, next: u8| {
        (byte < 0x20) & (byte != b'\n') & (byte != b'\t') & (byte != b'\r')
            | (byte == 0x7f)
            | (byte == 0xc2) & (next < 0xa0)
            | (byte == 0xee)
            | (byte == 0xef) & ((next < 0xa4) | (next == 0xbf))
            | (byte >= 0xf3)
    };
    (0..bytes.len()).step_by(BLOCK).any(|start| {
        let block = &bytes[start..bytes.len().min(start + BLOCK)];
        let next = &bytes[start + 1..bytes.len().min(start + 1 + BLOCK)];
        let last = *block.last().unwrap_or(&b' ');
        let is_in = block.iter().zip(next).fold(false, |found, (byte, next)| found | is_suspect(*byte, *next));
        is_in | is_suspect(last, 0)
    })
}

/// True for replacement, control and private-use characters.
fn is_bad(character: char) -> bool {
    (character.is_control() && !matches!(character, '\n' | '\t' | '\r'))
        || matches!(character, '\u{fffd}' | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stray_character_in_a_long_text_is_let_pass_and_a_nul_never() {
        let hits = |answer: &str| ControlChars.hits(&Candidate::new("Why?", answer), 0.001);
        let long = "word ".repeat(1_000);
        assert!(!hits("Tabs\tand\r\nlines, é, 你好，\u{a0}🙂."));
        assert!(hits("a\u{fffd}b") && hits("a\u{1b}[31m") && hits("\u{e000}"));
        assert!(!hits(&format!("{long}\u{fffd}")) && hits(&format!("{long}\0")));
    }
}
