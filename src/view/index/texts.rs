use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes that are read at a time: what a processor's cache holds.
const READ_BYTES: usize = 1 << 20;
/// Bytes before each text: a magic number, the item, the length.
pub const HEADER_BYTES: usize = 20;
const MAGIC: u32 = u32::from_le_bytes(*b"text");

/// The texts of all items, one after the other.
pub struct Texts(File);

/// A text in the file.
pub struct FoundText<'a> {
    /// Whose it is.
    pub item: u64,
    /// The words, folded.
    pub text: &'a [u8],
}

impl Texts {
    /// Texts in this file.
    pub fn new(file: File) -> Self {
        Self(file)
    }

    /// Adds to `bytes` what stands in the file for an item.
    pub fn put(bytes: &mut Vec<u8>, item: u64, text: &[u8]) {
        bytes.extend_from_slice(&MAGIC.to_le_bytes());
        bytes.extend_from_slice(&item.to_le_bytes());
        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text);
    }

    /// Writes bytes at a place.
    pub fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    /// Passes each text between two places to `visit`, in order. Ends early where something else is found.
    pub fn for_each(
        &self,
        range: std::ops::Range<u64>,
        mut visit: impl FnMut(FoundText<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut buffer = vec![0; READ_BYTES];
        let mut at = range.start;
        let mut wanted = 0;
        while at < range.end {
            let left = (range.end - at) as usize;
            if buffer.len() < wanted {
                buffer.resize(wanted, 0);
            }
            let length = buffer.len().min(left);
            self.0.read_exact_at(&mut buffer[..length], at)?;
            let mut start = 0;
            wanted = 0;
            while let Some(header) = buffer[..length].get(start..start + HEADER_BYTES) {
                let Some((item, bytes)) = read_header(header) else { return Ok(()) };
                let words = start + HEADER_BYTES;
                let Some(text) = buffer[..length].get(words..words.saturating_add(bytes)) else {
                    wanted = HEADER_BYTES.saturating_add(bytes);
                    break;
                };
                visit(FoundText { item, text })?;
                start = words + bytes;
            }
            // A text that goes beyond the end was not written to its end.
            if start == 0 && wanted.max(HEADER_BYTES) > left {
                return Ok(());
            }
            at += start as u64;
        }
        Ok(())
    }
}

fn read_header(header: &[u8]) -> Option<(u64, usize)> {
    let number = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap_or_default());
    let is_text = header[..4] == MAGIC.to_le_bytes();
    is_text.then(|| (number(4), usize::try_from(number(12)).unwrap_or(usize::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_whatever_their_length_and_an_unfinished_one_ends_it() {
        let file = tempfile::tempfile().unwrap();
        let mut bytes = Vec::new();
        let lengths = [0, 5, READ_BYTES, READ_BYTES + 3, 3 * READ_BYTES, 7];
        for (item, length) in (0u64..).zip(lengths) {
            Texts::put(&mut bytes, item, &vec![b'a' + item as u8; length]);
        }
        let texts = Texts::new(file);
        texts.write(&bytes, 0).unwrap();
        let read = |end: usize| {
            let mut read = Vec::new();
            let visit = |found: FoundText<'_>| {
                assert!(found.text.iter().all(|byte| *byte == b'a' + found.item as u8));
                read.push(found.text.len());
                Ok(())
            };
            texts.for_each(0..end as u64, visit).unwrap();
            read
        };
        assert_eq!(read(bytes.len()), lengths);
        assert_eq!(read(bytes.len() - 1), lengths[..5]);
        assert_eq!(read(bytes.len() - 20), lengths[..5]);
        texts.write(b"else", 0).unwrap();
        assert!(read(bytes.len()).is_empty());
    }
}
