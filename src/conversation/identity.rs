//! Content hashes as types: a fingerprint cannot be used as a conversation key.

use std::fmt;
use std::str::FromStr;

/// 32 bytes of blake3 over something without an identity of its own (a message, a setting list).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// All zero: the digest of something that is not there.
    pub const ZERO: Self = Self([0; 32]);

    /// Returns the digest of a text for one purpose.
    pub fn of_text(purpose: &'static str, text: &str) -> Self {
        let mut hasher = PartHasher::new(purpose);
        hasher.text(text);
        Self(hasher.finish())
    }

    /// Returns the digest of a sequence that ended with `self` and continues with `next`.
    #[must_use]
    pub fn then(&self, next: &Digest) -> Digest {
        let mut hasher = PartHasher::new("cohobate sequence 1");
        hasher.digest(self).digest(next);
        Digest(hasher.finish())
    }
}

/// Hashes bytes as they come: plain BLAKE3, as `b3sum` prints it.
#[derive(Default)]
pub struct ContentHasher(blake3::Hasher);

impl ContentHasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the hash of all bytes.
    pub fn finish(&self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// Identifies a question by everything that can change its answer.
///
/// The bytes that are hashed, in this order (integers little-endian):
/// `"cohobate question 1\0"`, the 32-byte digest of the [`Target`](super::Target) (model name,
/// dialect, sampling, body fields and tools where they are used), a zero (`u32`), the sample
/// index (`u32`), the message count (`u32`), then the 32-byte digest of each [`Message`](super::Message). Only where a
/// system message is folded into the user's: `"fold-system"`.
/// Not in it: endpoint addresses, keys, concurrency, timeouts, prices, row ids, file names, row order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// Identifies a conversation: the same recipe settings over the same normalised seed.
///
/// blake3 over `"cohobate conversation 1\0"`, the digest of the [`Settings`](super::Settings), the
/// digest of the [`Seed`](super::Seed).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConversationKey(pub [u8; 32]);

/// The text is not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a 64-digit hexadecimal hash")]
pub struct ParseDigestError;

macro_rules! hexadecimal {
    ($($name:ident),*) => {$(
        impl $name {
            /// Returns the first eight bytes as a number, for ordering and bucketing.
            pub fn prefix(&self) -> u64 {
                u64::from_le_bytes(self.0[..8].try_into().expect("a hash has 32 bytes"))
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
        impl FromStr for $name {
            type Err = ParseDigestError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                blake3::Hash::from_hex(text).map(|hash| Self(hash.into())).map_err(|_| ParseDigestError)
            }
        }
    )*};
}
hexadecimal!(Digest, Fingerprint, ConversationKey);

/// Hashes parts of unlike kinds so that no two lists of parts give the same bytes.
///
/// Parts are collected and hashed many at a time: of a long conversation every question hashes 32 bytes for each message,
/// and BLAKE3 takes whole kilobytes several times as fast.
#[derive(Default)]
pub(super) struct PartHasher {
    hasher: blake3::Hasher,
    parts: Vec<u8>,
}

/// Bytes that are collected.
const PARTS_BYTES_MAX: usize = 64 << 10;

impl PartHasher {
    pub fn new(domain: &'static str) -> Self {
        let mut hasher = Self::default();
        hasher.raw(domain.as_bytes()).raw(&[0]);
        hasher
    }

    pub fn number(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub fn text(&mut self, value: &str) -> &mut Self {
        self.number(value.len() as u64).raw(value.as_bytes())
    }

    pub fn digest(&mut self, value: &Digest) -> &mut Self {
        self.raw(&value.0)
    }

    pub fn raw(&mut self, value: &[u8]) -> &mut Self {
        if self.parts.len() + value.len() > PARTS_BYTES_MAX {
            self.hasher.update(&self.parts);
            self.parts.clear();
        }
        if value.len() > PARTS_BYTES_MAX {
            self.hasher.update(value);
        } else {
            self.parts.extend_from_slice(value);
        }
        self
    }

    pub fn finish(&mut self) -> [u8; 32] {
        self.hasher.update(&self.parts);
        self.parts.clear();
        self.hasher.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stored answers are found by these hashes: collecting parts must not change one.
    #[test]
    fn parts_of_every_length_are_hashed_as_if_in_one_piece() {
        let max = PARTS_BYTES_MAX;
        let lengths = [1, max - 1, 1, 1, max, 7, max + 1, 7, 2 * max, max / 2, max / 2, max / 2 + 1, 3];
        for begin in 0..lengths.len() {
            let (mut hasher, mut whole) = (PartHasher::new("test"), b"test\0".to_vec());
            for (part, length) in lengths[begin..].iter().enumerate() {
                let bytes = vec![part as u8; *length];
                hasher.raw(&bytes);
                whole.extend(bytes);
            }
            assert_eq!(hasher.finish(), <[u8; 32]>::from(blake3::hash(&whole)), "from part {begin}");
        }
    }

    #[test]
    fn numbers_and_texts_are_hashed_with_their_lengths() {
        let mut hasher = PartHasher::new("test");
        hasher.number(258).text("ü").digest(&Digest([7; 32]));
        let mut whole = b"test\0".to_vec();
        whole.extend([2, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0xC3, 0xBC]);
        whole.extend([7; 32]);
        assert_eq!(hasher.finish(), <[u8; 32]>::from(blake3::hash(&whole)));
    }

    #[test]
    fn content_is_hashed_as_it_comes() {
        let mut hasher = ContentHasher::default();
        hasher.update(b"a");
        hasher.update(b"bc");
        assert_eq!(hasher.finish(), Digest(blake3::hash(b"abc").into()));
        assert_eq!(hasher.finish().prefix(), u64::from_le_bytes(*b"\x64\x37\xb3\xac\x38\x46\x51\x33"));
    }

    #[test]
    fn a_hash_is_written_as_64_digits_and_read_back() {
        let hash = Fingerprint(std::array::from_fn(|byte| byte as u8 * 8));
        let text = "0008101820283038404850586068707880889098a0a8b0b8c0c8d0d8e0e8f0f8";
        assert_eq!((hash.to_string().as_str(), text.parse()), (text, Ok(hash)));
        assert_eq!(format!("{hash:?}"), format!("Fingerprint({text})"));
        assert_eq!("00".parse::<Fingerprint>(), Err(ParseDigestError));
    }
}
