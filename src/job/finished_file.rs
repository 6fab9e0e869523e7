//! Remembers which rows earlier runs have finished, so that a resumed run knows at once what is left.
//!
//! Nothing depends on it: a row that is marked is still opened, after the others, and the count of what is stored looks at
//! every row. A file that is missing, old or damaged costs time only.

use std::fs;
use std::path::{Path, PathBuf};

use crate::conversation::Digest;
use crate::files::replace_file;
use crate::worker::{FinishedMarks, FinishedSum};

/// Changed whenever the file's layout changes.
const MAGIC: &[u8; 8] = b"cohofin1";

/// The file for one recipe, in the directory of a first pass that is remembered.
pub struct FinishedFile {
    path: PathBuf,
    rows: u64,
}

impl FinishedFile {
    /// Names the file; `settings` is the digest of the recipe's.
    pub fn of(pass: &Path, settings: Digest, rows: u64) -> Self {
        Self { path: pass.join(format!("finished-{}", &settings.to_string()[..32])), rows }
    }

    /// Reads the marks; nothing where they are not whole.
    pub fn read(&self) -> Option<FinishedMarks> {
        let bytes = fs::read(&self.path).ok()?;
        let (body, checksum) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
        if crc32fast::hash(body).to_le_bytes() != checksum || !body.starts_with(MAGIC) {
            return None;
        }
        let numbers: Vec<u64> = body.get(8..)?.chunks_exact(8).map(number).collect();
        let [rows, answers, unused, conversations, words @ ..] = &numbers[..] else { return None };
        if *rows != self.rows || words.len() as u64 != rows.div_ceil(64) || !body.len().is_multiple_of(8) {
            return None;
        }
        let sum = FinishedSum { answers: *answers, unused: *unused, conversations: *conversations };
        Some(FinishedMarks::remembered(words.to_vec(), sum))
    }

    /// Writes the marks. One that cannot be written is not remembered.
    pub fn write(&self, finished: &FinishedMarks) {
        let FinishedSum { answers, unused, conversations } = finished.sum();
        let mut bytes = MAGIC.to_vec();
        let words = finished.words();
        for number in [self.rows, answers, unused, conversations].into_iter().chain(words) {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        let _ = replace_file(&self.path, &bytes);
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_as_they_were_written_and_any_flipped_bit_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let settings = Digest::of_text("test", "settings");
        let file = FinishedFile::of(directory.path(), settings, 130);
        assert!(file.read().is_none());
        let finished = FinishedMarks::new(130);
        finished.add(3, 5, 0);
        finished.add(129, 2, 3);
        file.write(&finished);
        let read = file.read().unwrap();
        assert!(read.has(3) && read.has(129) && !read.has(4));
        assert_eq!(read.sum(), FinishedSum { answers: 7, unused: 3, conversations: 2 });
        assert!(FinishedFile::of(directory.path(), settings, 131).read().is_none(), "another number of rows");
        let whole = fs::read(&file.path).unwrap();
        for bit in 0..8 * whole.len() {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&file.path, flipped).unwrap();
            assert!(file.read().is_none(), "bit {bit}");
        }
        fs::write(&file.path, &whole[..whole.len() - 9]).unwrap();
        assert!(file.read().is_none());
    }
}
