use std::fs::{File, Metadata};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::input::Input;
use super::row::RawRow;
use crate::conversation::Digest;

const RECORD_BYTES: usize = 72;

/// The position of every row of every input. The index is on disk, 72 bytes a row, and not in memory.
///
/// A record: input number `u32`, state `u8`, 3 zero bytes, line `u64`, offset `u64`, length `u64`, turns `u32`,
/// 4 zero bytes, and the seed's digest, by which a changed input is detected.
pub struct RowIndex {
    path: PathBuf,
    records: File,
    sources: Vec<IndexedInput>,
    row_count: u64,
}

/// The result of the first pass for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowState {
    /// A conversation.
    Ready {
        /// The number of turns.
        turns: u32,
        /// The seed's digest.
        digest: Digest,
    },
    /// Valid, but with nothing to distil.
    Skipped,
    /// A duplicate of an earlier row, where duplicates are dropped.
    Duplicate,
    /// Not understood.
    Invalid,
}

/// A row of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowEntry {
    /// The input's number.
    pub source: u32,
    /// The line on which it begins, from 1.
    pub line: u64,
    /// The result of the first pass.
    pub state: RowState,
    offset: u64,
    length: u64,
}

/// A row cannot be read again.
#[derive(Debug, thiserror::Error)]
pub enum RowIndexError {
    /// The input changed after the first pass.
    #[error("{0} has changed since this run began to read it")]
    Changed(String),
    /// An I/O error.
    #[error("cannot read {name}: {source}")]
    Io {
        /// The input, or the index itself.
        name: String,
        /// The system's error.
        source: io::Error,
    },
}

struct IndexedInput {
    name: String,
    file: File,
    stamp: Stamp,
}

impl IndexedInput {
    fn open(input: &Input) -> io::Result<Self> {
        let file = File::open(input.path())?;
        let stamp = Stamp::of(&file.metadata()?);
        Ok(Self { name: input.name.clone(), file, stamp })
    }
}

/// A file's metadata, by which a modification is detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    bytes: u64,
    modified: (i64, i64),
    /// These two detect a copy that keeps the old modification time.
    changed: (i64, i64),
    inode: u64,
}

impl Stamp {
    /// Returns the stamp of a file.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }
}

/// Writes an index.
pub struct RowIndexBuilder {
    path: PathBuf,
    writer: BufWriter<File>,
    sources: Vec<IndexedInput>,
    row_count: u64,
}

impl RowIndexBuilder {
    /// Creates an index file in `directory`.
    pub fn new(directory: &Path) -> io::Result<Self> {
        let path = directory.join("rows");
        let file = File::options().create(true).truncate(true).read(true).write(true).open(&path)?;
        Ok(Self { path, writer: BufWriter::new(file), sources: Vec::new(), row_count: 0 })
    }

    /// Adds an input. The rows that are pushed next belong to it.
    pub fn add_source(&mut self, input: &Input) -> io::Result<()> {
        self.sources.push(IndexedInput::open(input)?);
        Ok(())
    }

    /// Adds a row of the last input.
    pub fn push(&mut self, row: &RawRow<'_>, state: RowState) -> io::Result<()> {
        let source = (self.sources.len() - 1) as u32;
        let entry = RowEntry { source, line: row.line, state, offset: row.offset, length: row.bytes.len() as u64 };
        self.writer.write_all(&entry.to_bytes())?;
        self.row_count += 1;
        Ok(())
    }

    /// Flushes the index and opens it for reading.
    pub fn finish(self) -> io::Result<RowIndex> {
        let records = self.writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(RowIndex { path: self.path, records, sources: self.sources, row_count: self.row_count })
    }
}

impl RowIndex {
    /// Opens an existing index over the same inputs.
    pub fn open(path: &Path, inputs: &[Input]) -> io::Result<Self> {
        let records = File::open(path)?;
        let row_count = records.metadata()?.len() / RECORD_BYTES as u64;
        let sources = inputs.iter().map(IndexedInput::open).collect::<io::Result<_>>()?;
        Ok(Self { path: path.to_owned(), records, sources, row_count })
    }

    /// Returns the conversations with the fewest bytes, at most `count`, shortest first. Reads the whole index.
    pub fn shortest(&self, count: usize) -> Vec<u64> {
        let mut shortest = std::collections::BinaryHeap::new();
        for row in 0..self.row_count {
            let Ok(RowEntry { state: RowState::Ready { .. }, length, .. }) = self.entry(row) else { continue };
            shortest.push((length, row));
            if shortest.len() > count {
                shortest.pop();
            }
        }
        shortest.into_sorted_vec().into_iter().map(|(_, row)| row).collect()
    }

    /// Returns the number of rows, valid and invalid.
    pub fn row_count(&self) -> u64 {
        self.row_count
    }

    /// Returns the name of an input.
    pub fn source_name(&self, source: u32) -> &str {
        &self.sources[source as usize].name
    }

    /// Returns the entry of a row.
    pub fn entry(&self, row: u64) -> Result<RowEntry, RowIndexError> {
        let mut bytes = [0; RECORD_BYTES];
        let read = self.records.read_exact_at(&mut bytes, row * RECORD_BYTES as u64);
        let fault = |source| RowIndexError::Io { name: self.path.display().to_string(), source };
        read.map_err(fault)?;
        RowEntry::from_bytes(&bytes).ok_or_else(|| fault(io::ErrorKind::InvalidData.into()))
    }

    /// Returns a row's bytes, read from its input.
    pub fn bytes(&self, entry: &RowEntry) -> Result<Vec<u8>, RowIndexError> {
        let source = &self.sources[entry.source as usize];
        let mut bytes = vec![0; entry.length as usize];
        let fault = |error| RowIndexError::Io { name: source.name.clone(), source: error };
        match source.file.read_exact_at(&mut bytes, entry.offset) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(RowIndexError::Changed(source.name.clone()))
            }
            other => other.map_err(fault).map(|()| bytes),
        }
    }

    /// Fails where an input was modified after the first pass.
    pub fn check_unchanged(&self) -> Result<(), RowIndexError> {
        for source in &self.sources {
            let metadata = source.file.metadata();
            let metadata = metadata.map_err(|error| RowIndexError::Io { name: source.name.clone(), source: error })?;
            if Stamp::of(&metadata) != source.stamp {
                return Err(RowIndexError::Changed(source.name.clone()));
            }
        }
        Ok(())
    }
}

impl RowEntry {
    fn to_bytes(self) -> [u8; RECORD_BYTES] {
        let (tag, turns, digest) = match self.state {
            RowState::Ready { turns, digest } => (0, turns, digest),
            RowState::Skipped => (1, 0, Digest::ZERO),
            RowState::Invalid => (2, 0, Digest::ZERO),
            RowState::Duplicate => (3, 0, Digest::ZERO),
        };
        let mut bytes = [0; RECORD_BYTES];
        bytes[..4].copy_from_slice(&self.source.to_le_bytes());
        bytes[4] = tag;
        bytes[8..16].copy_from_slice(&self.line.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.offset.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.length.to_le_bytes());
        bytes[32..36].copy_from_slice(&turns.to_le_bytes());
        bytes[40..].copy_from_slice(&digest.0);
        bytes
    }

    fn from_bytes(bytes: &[u8; RECORD_BYTES]) -> Option<Self> {
        let short = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let state = match bytes[4] {
            0 => RowState::Ready { turns: short(32), digest: Digest(bytes[40..].try_into().ok()?) },
            1 => RowState::Skipped,
            2 => RowState::Invalid,
            3 => RowState::Duplicate,
            _ => return None,
        };
        Some(Self { source: short(0), line: long(8), state, offset: long(16), length: long(24) })
    }
}
