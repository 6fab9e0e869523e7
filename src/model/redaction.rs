//! Masks secrets in the texts of servers: they like to quote a key, whole or as its beginning with dots after it, in errors
//! and in other fields.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::secret::Secret;
use crate::conversation::beginning;

/// Characters of a secret that are masked wherever they are.
const PIECE_BYTES_MIN: usize = 8;
/// A shorter text is no secret, and masking it would blank out numbers and words.
const SECRET_BYTES_MIN: usize = 4;
/// Bytes of a text that are read. What is shown or stored is far shorter.
const READ_BYTES_MAX: usize = 64 << 10;
/// What is shown in place of a secret.
const MASK: &str = "***";

/// Returns a text without any secret, then shortened to a number of characters. So a cut never leaves half a key.
pub fn shown(text: &str, secrets: &[Masked], characters_max: usize) -> String {
    let read = beginning(text, READ_BYTES_MAX);
    let masked = redact(read, secrets);
    match masked.char_indices().nth(characters_max) {
        Some((at, _)) => format!("{}…", &masked[..at]),
        None if read.len() < text.len() => format!("{masked}…"),
        None => masked.into_owned(),
    }
}

/// Returns a text without any secret. One pass over all of them: secrets may begin alike, and the longest counts.
pub fn redact<'a>(text: &'a str, secrets: &[Masked]) -> Cow<'a, str> {
    let (mut masked, mut copied, mut at) = (String::new(), 0, 0);
    while at < text.len() {
        let Some(length) = secrets.iter().filter_map(|secret| secret.length_at(text, at)).max() else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
            continue;
        };
        masked.push_str(&text[copied..at]);
        masked.push_str(MASK);
        at += length;
        copied = at;
    }
    if copied == 0 { Cow::Borrowed(text) } else { Cow::Owned(masked + &text[copied..]) }
}

/// A secret as it may be written.
#[derive(Clone)]
pub struct Masked {
    text: String,
    /// True if pieces of it are masked too.
    has_pieces: bool,
}

impl Masked {
    /// A key or a token: itself, and as it is written within a JSON string and a URL.
    pub fn key(secret: &Secret) -> Vec<Self> {
        let text = secret.expose();
        let mut forms = vec![text.to_owned(), text.replace('/', "\\/"), percent_encoded(text)];
        forms.dedup();
        forms.retain(|form| form.len() >= SECRET_BYTES_MIN);
        forms.into_iter().map(|text| Self { has_pieces: text.len() >= PIECE_BYTES_MIN, text }).collect()
    }

    /// The value of a header: a key, after its scheme if it has one, or any other text. Pieces of `application/json` or of an
    /// address are no secrets.
    pub fn header(value: &Secret) -> Vec<Self> {
        let text = value.expose();
        let after_scheme = text.split_once(' ').map(|(_, key)| key.trim()).filter(|key| !key.contains(' '));
        let looks_random = |text: &str| {
            let has = |is: fn(&char) -> bool| text.chars().any(|letter| is(&letter));
            has(char::is_ascii_digit) && has(char::is_ascii_alphabetic) && !text.contains([' ', ':', ';', ','])
        };
        let key = after_scheme.and_then(Secret::new).unwrap_or_else(|| value.clone());
        let key = if looks_random(key.expose()) { Self::key(&key) } else { Vec::new() };
        let whole = (text.len() >= SECRET_BYTES_MIN).then(|| Self { text: text.to_owned(), has_pieces: false });
        whole.into_iter().chain(key).collect()
    }

    /// Returns how many bytes of the text are to be masked at a place, if any are.
    fn length_at(&self, text: &str, at: usize) -> Option<usize> {
        if !self.has_pieces {
            return text[at..].starts_with(&self.text).then_some(self.text.len());
        }
        let length = piece_at(text, at, &self.text)?;
        Some(length + hidden_end(&text[at + length..], &self.text))
    }
}

/// Returns the length of the longest piece of the secret that begins at a place of the text.
fn piece_at(text: &str, at: usize, secret: &str) -> Option<usize> {
    let beginning = text.get(at..at + PIECE_BYTES_MIN)?;
    let shared = |from: usize| {
        let pairs = text[at..].chars().zip(secret[from..].chars());
        pairs.take_while(|(one, other)| one == other).map(|(letter, _)| letter.len_utf8()).sum::<usize>()
    };
    secret.match_indices(beginning).map(|(from, _)| shared(from)).max()
}

/// Returns how much of the text hides the middle of a secret and shows its end: `…`, `***wxyz`.
fn hidden_end(text: &str, secret: &str) -> usize {
    let rest = text.trim_start_matches(['*', '.', '…', '•', '·', '#']);
    let dots = text.len() - rest.len();
    if dots == 0 {
        return 0;
    }
    let ends = (1..=secret.len().min(PIECE_BYTES_MIN)).rev().filter_map(|length| secret.get(secret.len() - length..));
    dots + ends.into_iter().find(|end| rest.starts_with(end)).map_or(0, str::len)
}

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk-proj-3f9a/1c77+e0b24d55";

    fn masked(text: &str) -> String {
        redact(text, &Masked::key(&Secret::new(KEY).unwrap())).into_owned()
    }

    #[test]
    fn a_key_is_masked_whole_in_pieces_and_as_others_write_it() {
        for (said, shown) in [
            (format!("wrong key {KEY}!"), "wrong key ***!"),
            (format!("{KEY}{KEY}"), "******"),
            (format!("wrong key {}...", &KEY[..8]), "wrong key ***"),
            (format!("wrong key {}***{}.", &KEY[..12], &KEY[KEY.len() - 4..]), "wrong key ***."),
            (format!("it ends in {}", &KEY[KEY.len() - 9..]), "it ends in ***"),
            (format!("{}…", &KEY[..20]), "***"),
            (KEY.replace('/', "\\/"), "***"),
            ("/x?key=sk-proj-3f9a%2F1c77%2Be0b24d55&y".to_owned(), "/x?key=***&y"),
            (format!("é{}é", &KEY[3..12]), "é***é"),
            ("sk-proj".to_owned(), "sk-proj"),
            ("no key at all…".to_owned(), "no key at all…"),
        ] {
            assert_eq!(masked(&said), shown, "{said}");
        }
    }

    #[test]
    fn a_text_is_shortened_after_its_secrets_are_gone() {
        let secrets = Masked::key(&Secret::new(KEY).unwrap());
        for before in 0..40 {
            let said = format!("{}{KEY} and more", "x".repeat(before));
            let text = shown(&said, &secrets, 20);
            assert!(text.chars().count() <= 21 && !text.contains("sk-"), "{text}");
        }
        let long = shown(&"é".repeat(20 << 20), &secrets, 300);
        assert_eq!((long.chars().count(), long.ends_with('…')), (301, true));
        // A cut of what is read, where masking makes the rest short.
        let many = shown(&KEY.repeat(4_000), &secrets, usize::MAX);
        assert!(!many.contains("sk-proj-"), "{}", &many[many.len() - 20..]);
    }

    #[test]
    fn a_header_hides_its_key_and_no_words() {
        let masked = |value: &str, said: &str| redact(said, &Masked::header(&Secret::new(value).unwrap())).into_owned();
        assert_eq!(masked("Bearer abcd1234efgh5678", "not abcd1234ef..."), "not ***");
        assert_eq!(masked("abcd1234efgh5678", "not abcd1234ef..."), "not ***");
        assert_eq!(masked("application/json", "an application"), "an application");
        assert_eq!(masked("https://a1.example", "see https://b"), "see https://b");
        assert_eq!(masked("abc", "abcd"), "abcd");
    }

    #[test]
    fn short_keys_are_masked_whole_only() {
        let key = |key: &str| Masked::key(&Secret::new(key).unwrap());
        assert_eq!(redact("EMPTY is not a key", &key("EMPTY")), "*** is not a key");
        assert!(key("x").is_empty());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_masking_panic_or_keeps_a_piece(before in ".{0,20}", from in 0..18usize, after in ".{0,20}") {
            let text = masked(&format!("{before}{}{after}", &KEY[from..from + 8]));
            proptest::prop_assert!(!text.contains(&KEY[from..from + 8]), "{text}");
        }
    }
}
