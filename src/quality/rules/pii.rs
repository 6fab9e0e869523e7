use std::ops::Range;

use super::{Action, Candidate, Rule};
use crate::quality::text::Needles;

/// Appears to contain personal data: an e-mail address, a card, account or phone number, a Chinese identity number, an IP
/// address, a secret key. Numbers with a checksum count only where it is valid.
pub struct Pii;

/// Prefixes of secret keys (`OpenAI`, AWS, GitHub, Google, Slack).
const KEYS: [&str; 6] = ["sk-", "AKIA", "ghp_", "github_pat_", "AIza", "xoxb-"];
static KEY_BEGINNINGS: Needles = Needles::new(|| Needles::finders(&KEYS));
/// Every address, number and key is at least this long.
const WORD_MIN: usize = 6;
/// Reserved addresses (RFC 2606, RFC 5737) and those that occur in every text about networks.
const NOBODYS: [&str; 6] = ["example.", "@test.", "127.0.0.1", "0.0.0.0", "192.168.", "255.255."];

impl Rule for Pii {
    fn name(&self) -> &'static str {
        "pii"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Flag, Action::Flag)
    }

    fn hits(&self, candidate: &Candidate<'_>, _: f64) -> bool {
        let bytes = candidate.answer.as_bytes();
        // Every pattern has an @, eight consecutive digits apart from separators, or the prefix of a key and a digit.
        let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
        let may_hold = memchr::memchr(b'@', bytes).is_some()
            || digits >= 8 && has_digits(bytes, 8)
            || digits > 0 && KEY_BEGINNINGS.occur_in(candidate.answer);
        may_hold && (words(candidate.answer).any(holds_data) || spaced_numbers(candidate.answer).next().is_some())
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        let text = candidate.answer;
        let place = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
        let words = words(text).filter(|word| holds_data(word)).map(|word| place(word)..place(word) + word.len());
        words.chain(spaced_numbers(text)).collect()
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_mark = |c: char| match c {
        '"' | '\'' | '<' | '>' | '(' | ')' | '[' | ']' | '{' | '}' | ',' | ';' => true,
        '，' | '。' | '；' | '：' | '（' | '）' => true,
        other => other.is_whitespace(),
    };
    text.split(is_mark)
}

fn holds_data(word: &str) -> bool {
    let is_candidate = word.len() >= WORD_MIN && word.bytes().any(|byte| byte.is_ascii_digit() || byte == b'@');
    is_candidate && is_personal(word)
}

fn has_digits(bytes: &[u8], count: usize) -> bool {
    let mut run = 0;
    bytes.iter().any(|byte| {
        run = match byte {
            b'0'..=b'9' => run + 1,
            b' ' | b'-' | b'.' | b'+' => run,
            _ => 0,
        };
        run >= count
    })
}

fn is_personal(word: &str) -> bool {
    let word = word.trim_matches(['.', ':', '!', '?', '`', '*']);
    if NOBODYS.iter().any(|part| word.contains(part)) {
        return false;
    }
    is_mail(word) || is_key(word) || is_address(word) || is_identity_number(word) || is_account(word)
}

fn is_mail(word: &str) -> bool {
    let Some((name, host)) = word.split_once('@') else { return false };
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte));
    let ending = host.rsplit_once('.').map_or("", |(_, ending)| ending);
    !name.is_empty()
        && is_plain(name)
        && is_plain(host)
        && ending.len() >= 2
        && ending.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn is_key(word: &str) -> bool {
    let is_long =
        |rest: &str| rest.len() >= 16 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    KEYS.iter().any(|key| word.strip_prefix(key).is_some_and(is_long)) && word.bytes().any(|byte| byte.is_ascii_digit())
}

fn is_address(word: &str) -> bool {
    let parts: Vec<&str> = word.split('.').collect();
    parts.len() == 4 && parts.iter().all(|part| part.len() <= 3 && part.parse::<u8>().is_ok()) && word.len() >= 9
}

/// A Chinese identity number (GB 11643): 17 digits and a check character by ISO 7064 mod 11-2.
fn is_identity_number(word: &str) -> bool {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let bytes = word.as_bytes();
    if bytes.len() != 18 || !bytes[..17].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let sum: u32 = bytes.iter().zip(WEIGHTS).map(|(byte, weight)| u32::from(byte - b'0') * weight).sum();
    b"10X98765432"[(sum % 11) as usize] == bytes[17].to_ascii_uppercase()
}

/// An IBAN (ISO 13616): two letters, two check digits, up to 30 letters and digits. Rotated by four, it is 1 modulo 97.
fn is_account(word: &str) -> bool {
    let bytes = word.as_bytes();
    let is_shape = (15..=34).contains(&bytes.len())
        && bytes[..2].iter().all(u8::is_ascii_uppercase)
        && bytes[2..4].iter().all(u8::is_ascii_digit)
        && bytes.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    if !is_shape {
        return false;
    }
    let turned = bytes[4..].iter().chain(&bytes[..4]);
    turned.fold(0u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    }) == 1
}

/// The fewest digits of a phone number with its country code.
const DIGITS_MIN: usize = 10;

/// Finds card numbers (13 to 19 digits, Luhn) and phone numbers with their country code, grouped or not.
fn spaced_numbers(text: &str) -> impl Iterator<Item = Range<usize>> {
    let is_part = |byte: u8| byte.is_ascii_digit() || b" -+".contains(&byte);
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(skipped) = bytes[at..].iter().position(|byte| byte.is_ascii_digit() || *byte == b'+') {
            let start = at + skipped;
            let length = bytes[start..].iter().position(|byte| !is_part(*byte)).unwrap_or(bytes.len() - start);
            at = start + length.max(1);
            let number = text[start..start + length].trim_end();
            if length >= DIGITS_MIN && is_spaced_number(number) {
                return Some(start..start + number.len());
            }
        }
        None
    })
}

fn is_spaced_number(number: &str) -> bool {
    let digits: Vec<u8> = number.bytes().filter(u8::is_ascii_digit).collect();
    let is_phone = number.starts_with('+') && (10..=14).contains(&digits.len());
    is_phone || ((13..=19).contains(&digits.len()) && matches!(digits[0], b'3'..=b'6') && is_luhn(&digits))
}

/// The Luhn check (ISO/IEC 7812-1, annex B).
fn is_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| (u32::from(digit - b'0'), place % 2 == 1))
        .map(|(digit, is_doubled)| if is_doubled { digit * 2 / 10 + digit * 2 % 10 } else { digit })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_of_personal_data_are_seen_and_plain_numbers_are_not() {
        let hits = |answer: &str| Pii.hits(&Candidate::new("Who?", answer), 0.0);
        for said in [
            "Write to ada@lovelace.org.",
            "卡号 4111 1111 1111 1111。",
            "Call +49 30 1234567 89 now",
            "身份证 11010519491231002X",
            "DE89370400440532013000",
            "host 203.45.113.77 answers",
            "key sk-abcdefghij0123456789",
        ] {
            assert!(hits(said), "{said}");
            assert!(!Pii.places(&Candidate::new("Who?", said)).is_empty(), "{said}");
        }
        let numbers: Vec<_> = spaced_numbers("Call +49 30 1234567 89 or +1 415 555 2671.").collect();
        assert_eq!(numbers, [5..22, 26..41]);
        for said in [
            "user@example.com",
            "4111 1111 1111 1112",
            "1234567890123",
            "127.0.0.1",
            "2023-10-15 12:30:45",
            "a @ b",
            "版本1.2.3.4",
        ] {
            assert!(!hits(said), "{said}");
        }
    }
}
