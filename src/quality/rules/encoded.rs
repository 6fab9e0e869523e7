use std::ops::Range;

use super::{Action, Candidate, Rule};
use crate::quality::phrases::automaton;
use crate::quality::text::Phrases;

/// Noise that looks like Base64 or another encoding of bytes: at least the threshold's number of bytes are in long words of mixed
/// letters and digits. Code does not count, nor an answer to a user who asks for something encoded, keys or hashes, or who
/// wrote such a word.
pub struct Encoded;

/// Bytes of the shortest such word.
const WORD_MIN: usize = 24;
/// Changes between small letters, capitals and digits, one in this many bytes. Words of people have few.
const CHANGES_PER: usize = 5;

/// Words with which a user asks for what looks like noise.
static ASKED_FOR: Phrases = Phrases::new(|| automaton(&["encode"]));
/// The same in any language.
static NAMES: Phrases = Phrases::new(|| {
    Phrases::automaton(&[
        "base64", "base-64", "base 64", "base32", "base58", "sha256", "sha-256", "md5", "uuid", "jwt", "pgp",
        "hexadec", "hex dump",
    ])
});

impl Rule for Encoded {
    fn name(&self) -> &'static str {
        "encoded"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Reject, Action::Reject)
    }

    fn threshold(&self) -> Option<f64> {
        Some(60.0)
    }

    fn hits(&self, candidate: &Candidate<'_>, threshold: f64) -> bool {
        let found = noise_in(candidate.prose());
        let bytes: usize = found.iter().map(ExactSizeIterator::len).sum();
        !found.is_empty() && bytes as f64 >= threshold && !is_asked_for(candidate)
    }

    fn value(&self, candidate: &Candidate<'_>) -> Option<f64> {
        let bytes: usize = noise_in(candidate.prose()).iter().map(ExactSizeIterator::len).sum();
        (!is_asked_for(candidate)).then_some(bytes as f64)
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        noise_in(candidate.answer)
    }
}

/// True where the user or the system message asks for such words, or has some.
fn is_asked_for(candidate: &Candidate<'_>) -> bool {
    let texts = [Some(candidate.user), candidate.system];
    texts
        .into_iter()
        .flatten()
        .any(|text| ASKED_FOR.occur_in(text) || NAMES.occur_in(text) || !noise_in(text).is_empty())
}

/// Returns the words of a text that no language has.
fn noise_in(text: &str) -> Vec<Range<usize>> {
    let (bytes, mut found) = (text.as_bytes(), Vec::new());
    let is_end = |byte: &u8| IS_END[usize::from(*byte)];
    let (mut is_open, mut done) = (false, 0);
    // A word that is long enough fills two of these groups.
    let (groups, _) = bytes.as_chunks::<GROUP>();
    for (at, group) in groups.iter().enumerate() {
        let was_open = std::mem::replace(&mut is_open, !has_gap(*group));
        let within = GROUP * at;
        if !(was_open && is_open) || within <= done {
            continue;
        }
        let start = bytes[..within].iter().rposition(is_end).map_or(0, |end| end + 1);
        let end = bytes[within..].iter().position(is_end).map_or(bytes.len(), |end| within + end);
        let is_long = end >= start + WORD_MIN;
        if is_long && is_noise(&bytes[start..end]) && !is_in_address(bytes, start, end) {
            found.push(start..end);
        }
        done = end;
    }
    found
}

/// Bytes that are looked at together.
const GROUP: usize = WORD_MIN / 3;

/// True where a group of bytes has one of those that end a word: one of a character that is not ASCII, or a space or another one
/// before `+`, the first sign that a word may have.
fn has_gap(group: [u8; GROUP]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; GROUP]);
    const HIGHS: u64 = ONES << 7;
    let group = u64::from_ne_bytes(group);
    // A byte that is smaller borrows into its highest bit.
    (group | group.wrapping_sub(ONES * u64::from(b'+')) & !group) & HIGHS != 0
}

/// The bytes that end a word.
const IS_END: [bool; 256] = {
    let mut is_end = [true; 256];
    let mut byte = 0u8;
    while byte < 128 {
        is_end[byte as usize] = !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_'));
        byte += 1;
    }
    is_end
};

fn is_noise(word: &[u8]) -> bool {
    let kind = |byte: u8| match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let count = |of: u8| word.iter().filter(|byte| kind(**byte) == of).count();
    let (small, capitals, digits, others) = (count(0), count(1), count(2), count(3));
    let changes =
        word.windows(2).filter(|pair| kind(pair[0]) != kind(pair[1]) && kind(pair[0]) < 3 && kind(pair[1]) < 3).count();
    // A word of `camelCaseParts` changes before each capital and after it, and has no digits.
    let is_mixed = small > 0 && capitals > 0 && digits > 0;
    let is_hex = digits > 0 && capitals * small == 0 && word.iter().all(u8::is_ascii_hexdigit) && word.len() >= 48;
    (is_mixed || is_hex) && changes * CHANGES_PER >= word.len() && others * 8 <= word.len()
}

/// True for a part of a path, an address or a link.
fn is_in_address(bytes: &[u8], start: usize, end: usize) -> bool {
    let before = &bytes[start.saturating_sub(2)..start];
    let after = &bytes[end..bytes.len().min(end + 2)];
    let is_joined =
        |byte: u8| matches!(byte, b'.' | b':' | b'?' | b'@' | b'&' | b'#' | b'%' | b'`' | b'\\' | b'{' | b'$');
    bytes[..start].ends_with(b"base64,")
        || before.last().is_some_and(|byte| is_joined(*byte))
        || matches!(after, [b'.' | b':' | b'?' | b'&' | b'@', next] if next.is_ascii_alphanumeric() || *next == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOISE: &str = "U2hpcHMgY29tZSBoZXJlIGluIHN1bW1lciBhbmQgYnJpbmcgdGltYmVyIGFuZCBncmFpbi4K";

    fn hits(user: &str, answer: &str) -> bool {
        Encoded.hits(&Candidate::new(user, answer), 60.0)
    }

    #[test]
    fn noise_is_caught_wherever_it_stands() {
        assert!(hits("Why?", NOISE) && hits("Why?", &format!("So it is. {NOISE}")));
        assert!(hits("为什么？", &format!("因为这样。{NOISE}")));
        let (first, second) = NOISE.split_at(36);
        assert!(hits("Why?", &format!("So:\n{first}\n{second}\nThat is it.")));
        let answer = format!("So {NOISE} is.");
        let places = Encoded.places(&Candidate::new("Why?", &answer));
        assert_eq!((places.len(), &answer[places[0].clone()]), (1, NOISE));
    }

    proptest::proptest! {
        #[test]
        fn every_long_word_is_looked_at(parts in proptest::collection::vec("[aZ0+/]{1,40}|[ .,é\n\"]{1,3}", 0..12)) {
            let text = parts.concat();
            let is_end = |byte: &u8| IS_END[usize::from(*byte)];
            let words = text.as_bytes().split(is_end).filter(|word| word.len() >= WORD_MIN && is_noise(word));
            let place = |word: &[u8]| word.as_ptr() as usize - text.as_ptr() as usize;
            let words = words.map(|word| place(word)..place(word) + word.len());
            let words: Vec<_> = words.filter(|at| !is_in_address(text.as_bytes(), at.start, at.end)).collect();
            proptest::prop_assert_eq!(noise_in(&text), words);
        }
    }

    #[test]
    fn what_people_write_is_let_pass() {
        for answer in [
            "See https://example.com/watch?v=aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3gH5jK7mN9pQ1sT3vW5yZ for it.",
            "```\nU2hpcHMgY29tZSBoZXJlIGluIHN1bW1lciBhbmQgYnJpbmcgdGltYmVyIGFuZCBncmFpbi4K\n```",
            "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenverordnungsentwurf und so weiter und so fort",
            "call getUserNameFromDatabaseConnectionPoolManagerFactoryBeanProviderServiceImplementationClass",
            "src/main/java/com/example/project/service/implementation/UserServiceImplementation",
            "Its sum is e3b0c44298fc1c149afbf4c8996fb924.",
        ] {
            assert!(!hits("Why?", answer), "{answer}");
        }
    }

    #[test]
    fn what_was_asked_for_is_let_pass_in_eight_languages() {
        for user in [
            "Encode it as Base64.",
            "Kodiere das.",
            "Encode ce texte.",
            "Codifica este texto.",
            "Codifica questo testo.",
            "Закодируй это.",
            "请编码。",
            "エンコードして",
            "인코딩해 줘",
            "قم بترميز هذا",
            "इसे एन्कोड करो",
            "Codifique isto.",
            "Make an SSH key.",
        ] {
            assert!(!hits(user, NOISE), "{user}");
        }
        assert!(!hits(&format!("What is {NOISE}?"), NOISE));
    }
}
