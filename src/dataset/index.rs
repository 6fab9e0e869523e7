use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::input::Input;
use super::row::RawRow;
use super::source_file::{FileChange, SourceFile, is_lost};
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
    /// The input whose rows were read last.
    last_source: AtomicU32,
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
    /// In another shard of the input.
    Elsewhere,
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
    /// The row is not in the input any more.
    #[error("{0}")]
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

impl RowIndexError {
    /// True if a file system has lost the file: it may be back later.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_lost(source))
    }
}

struct IndexedInput {
    name: String,
    file: SourceFile,
    is_spooled: bool,
}

impl IndexedInput {
    fn of(input: &Input) -> Self {
        let is_spooled = input.plain_path().is_none();
        Self { name: input.name.clone(), file: input.file().clone(), is_spooled }
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
    pub fn add_source(&mut self, input: &Input) {
        self.sources.push(IndexedInput::of(input));
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
        let last_source = AtomicU32::new(0);
        Ok(RowIndex { path: self.path, records, sources: self.sources, row_count: self.row_count, last_source })
    }
}

impl RowIndex {
    /// Opens an existing index over the same inputs.
    pub fn open(path: &Path, inputs: &[Input]) -> io::Result<Self> {
        let records = File::open(path)?;
        let row_count = records.metadata()?.len() / RECORD_BYTES as u64;
        let sources = inputs.iter().map(IndexedInput::of).collect();
        Ok(Self { path: path.to_owned(), records, sources, row_count, last_source: AtomicU32::new(0) })
    }

    /// Returns the names of the inputs.
    pub fn source_names(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(|source| source.name.as_str())
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
        let last = self.last_source.swap(entry.source, Ordering::Relaxed);
        if last != entry.source {
            self.sources[last as usize].file.release();
        }
        let mut bytes = vec![0; entry.length as usize];
        let read = source.file.file().and_then(|file| file.read_exact_at(&mut bytes, entry.offset));
        read.map(|()| bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                RowIndexError::Changed("the row is gone: its file was cut short".to_owned())
            }
            io::ErrorKind::NotFound => RowIndexError::Changed(format!("the row is gone with its file: {error}")),
            _ => RowIndexError::Io { name: source.name.clone(), source: error },
        })
    }

    /// Returns the inputs whose files are no longer what they were before the first pass, with what became of each.
    pub fn changes(&self) -> impl Iterator<Item = (&str, FileChange)> {
        let own = self.sources.iter().filter(|source| !source.is_spooled);
        own.filter_map(|source| Some((source.name.as_str(), source.file.change()?)))
    }
}

impl RowEntry {
    fn to_bytes(self) -> [u8; RECORD_BYTES] {
        let (tag, turns, digest) = match self.state {
            RowState::Ready { turns, digest } => (0, turns, digest),
            RowState::Skipped => (1, 0, Digest::ZERO),
            RowState::Invalid => (2, 0, Digest::ZERO),
            RowState::Duplicate => (3, 0, Digest::ZERO),
            RowState::Elsewhere => (4, 0, Digest::ZERO),
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
            4 => RowState::Elsewhere,
            _ => return None,
        };
        Some(Self { source: short(0), line: long(8), state, offset: long(16), length: long(24) })
    }
}
