//! Text that arrives in pieces whose borders may be inside a character.

/// The bytes of a text. Halves of a character that arrive in neighbouring pieces are joined at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextBuffer(Vec<u8>);

impl TextBuffer {
    /// Appends a piece, which need not be text by itself.
    pub fn push(&mut self, piece: impl AsRef<[u8]>) {
        self.0.extend_from_slice(piece.as_ref());
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the number of bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if nothing has been appended.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns the text. What is no character, even after joining, becomes U+FFFD.
    pub fn into_string(self) -> String {
        match String::from_utf8(self.0) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(&with_pairs_joined(error.as_bytes())).into_owned(),
        }
    }
}

/// Replaces each surrogate pair by its character and each half of one by U+FFFD.
fn with_pairs_joined(bytes: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(0xed, rest) {
        joined.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let character = match (half(rest), rest.get(3..).and_then(half)) {
            (Some(first @ 0xd800..=0xdbff), Some(second @ 0xdc00..=0xdfff)) => {
                rest = &rest[6..];
                char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))
            }
            (Some(_), _) => {
                rest = &rest[3..];
                None
            }
            (None, _) => {
                joined.push(rest[0]);
                rest = &rest[1..];
                continue;
            }
        };
        let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
        joined.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    joined.extend_from_slice(rest);
    joined
}

/// Returns the surrogate whose three bytes `bytes` begins with.
fn half(bytes: &[u8]) -> Option<u32> {
    match *bytes {
        [0xed, middle @ 0xa0..=0xbf, last @ 0x80..=0xbf, ..] => {
            Some(0xd000 | (u32::from(middle & 0x3f) << 6) | u32::from(last & 0x3f))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(pieces: &[&[u8]]) -> String {
        let mut text = TextBuffer::default();
        for piece in pieces {
            text.push(piece);
        }
        text.into_string()
    }

    #[test]
    fn halves_in_neighbouring_pieces_are_joined_and_others_are_replaced_once() {
        assert_eq!(joined(&[b"A kite ", b"\xed\xa0\xbe", b"\xed\xba\x81", b" flies"]), "A kite 🪁 flies");
        assert_eq!(joined(&[b"kite ", &"风".as_bytes()[..2], &"风".as_bytes()[2..]]), "kite 风");
        assert_eq!(joined(&[b"a \xed\xa0\xbe b"]), "a \u{fffd} b");
        assert_eq!(joined(&[b"\xed\xba\x81\xed\xa0\xbe"]), "\u{fffd}\u{fffd}");
        assert_eq!(joined(&["한국".as_bytes(), b"\xff"]), "한국\u{fffd}");
        assert_eq!(joined(&[b"\xed"]), "\u{fffd}");
    }
}
