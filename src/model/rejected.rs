//! Keeps a bounded part of each reply, so that a person can look at one that was rejected.

use std::fmt;
use std::sync::Arc;

/// Bytes that are kept of a reply's beginning and of its end, each.
const PART_BYTES_MAX: usize = 32 << 10;

/// Longest word that is dropped at a gap. Keys are shorter.
const WORD_BYTES_MAX: usize = 4 << 10;

/// A reply that was rejected as unusable: its beginning and its end, with secrets removed.
#[derive(Clone, PartialEq, Eq)]
pub struct RejectedReply(Arc<Vec<u8>>);

impl RejectedReply {
    /// Returns the bytes, at most 64 kB and a few words.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for RejectedReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Collects the beginning and the end of a reply while it arrives.
#[derive(Debug, Default)]
pub struct Excerpt {
    beginning: Vec<u8>,
    end: Vec<u8>,
    left_out: usize,
}

impl Excerpt {
    /// Adds the next bytes of the reply.
    pub fn push(&mut self, bytes: &[u8]) {
        let room = (PART_BYTES_MAX - self.beginning.len()).min(bytes.len());
        self.beginning.extend_from_slice(&bytes[..room]);
        let rest = &bytes[room..];
        let kept = &rest[rest.len().saturating_sub(PART_BYTES_MAX)..];
        self.end.extend_from_slice(kept);
        self.left_out += rest.len() - kept.len();
        // The end is shortened only when it has doubled: moving it for each piece would cost more than reading it.
        if self.end.len() > 2 * PART_BYTES_MAX {
            self.shorten();
        }
    }

    fn shorten(&mut self) {
        let surplus = self.end.len().saturating_sub(PART_BYTES_MAX);
        self.end.drain(..surplus);
        self.left_out += surplus;
    }

    /// Drops the words that the gap may have cut: half a key is not recognised as one.
    fn drop_words_at_gap(&mut self) {
        let is_key = |byte: &&u8| byte.is_ascii_graphic() && !b"\"'<>(){}[],;".contains(byte);
        let before = self.beginning.iter().rev().take(WORD_BYTES_MAX).take_while(is_key).count();
        let after = self.end.iter().take(WORD_BYTES_MAX).take_while(is_key).count();
        self.beginning.truncate(self.beginning.len() - before);
        self.end.drain(..after);
        self.left_out += before + after;
    }

    /// Returns what was kept; `None` if nothing has arrived. `redact` removes the secrets of a text.
    pub fn into_reply(mut self, redact: impl Fn(&str) -> String) -> Option<RejectedReply> {
        self.shorten();
        if self.beginning.is_empty() {
            return None;
        }
        if self.left_out > 0 {
            self.drop_words_at_gap();
        }
        let gap = match self.left_out {
            0 => String::new(),
            bytes => format!("\n[… {bytes} bytes left out …]\n"),
        };
        let bytes = [&self.beginning, gap.as_bytes(), &self.end].concat();
        let redacted = std::str::from_utf8(&bytes).map(&redact).map(String::into_bytes);
        let bytes = redacted.unwrap_or_else(|_| redact(&String::from_utf8_lossy(&bytes)).into_bytes());
        Some(RejectedReply(Arc::new(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_and_the_end_are_kept_however_long_the_reply_is() {
        let kept = |pieces: usize| {
            let mut excerpt = Excerpt::default();
            (0..pieces).for_each(|number| excerpt.push(format!("{number:07}\n").as_bytes()));
            String::from_utf8(excerpt.into_reply(|text| text.replace("0000001", "***")).unwrap().bytes().to_vec())
                .unwrap()
        };
        assert_eq!(kept(3), "0000000\n***\n0000002\n");
        assert_eq!(kept(8_192).lines().count(), 8_192, "64 kB are kept whole");
        let long = kept(100_000);
        assert!(long.len() < 66_000, "{}", long.len());
        assert!(long.starts_with("0000000\n") && long.ends_with("0099999\n"));
        assert!(long.contains("[… 734471 bytes left out …]"), "{}", &long[32_700..32_900]);
        assert!(Excerpt::default().into_reply(str::to_owned).is_none());
    }

    #[test]
    fn a_reply_that_is_no_text_is_kept_as_one() {
        let mut excerpt = Excerpt::default();
        excerpt.push(b"key \xff key");
        let reply = excerpt.into_reply(|text| text.replace("key", "***")).unwrap();
        assert_eq!(reply.bytes(), "*** \u{fffd} ***".as_bytes());
    }

    #[test]
    fn a_gap_leaves_no_half_of_a_key() {
        let key = "sk-0123456789abcdef";
        for shift in 0..40 {
            let mut excerpt = Excerpt::default();
            excerpt.push(format!("{} {key} ", "x".repeat(PART_BYTES_MAX - shift)).as_bytes());
            excerpt.push(
                format!("{} {key} {}", "y".repeat(PART_BYTES_MAX), "z".repeat(PART_BYTES_MAX - shift)).as_bytes(),
            );
            let reply = excerpt.into_reply(|text| text.replace(key, "***")).unwrap();
            let text = String::from_utf8(reply.bytes().to_vec()).unwrap();
            assert!(!text.contains("sk-") && !text.contains("def"), "{shift}");
        }
    }
}
