//! Sorts on disk what does not fit in memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Records kept in memory before they are sorted and written out: some 24 MB.
const CHUNK_RECORDS: usize = 1 << 20;

/// A record of a fixed length.
pub trait SortRecord: Ord + Copy {
    /// Its bytes.
    type Bytes: AsRef<[u8]> + AsMut<[u8]> + Default;

    /// Returns its bytes.
    fn to_bytes(&self) -> Self::Bytes;

    /// Reads it.
    fn from_bytes(bytes: &Self::Bytes) -> Self;
}

/// Takes records in any order and gives them back sorted, in memory that does not grow with their number.
pub struct Sorter<R: SortRecord> {
    directory: PathBuf,
    chunk_records: usize,
    chunk: Vec<R>,
    runs: Vec<File>,
}

impl<R: SortRecord> Sorter<R> {
    /// Sorts with the help of temporary files in `directory`.
    pub fn new(directory: &Path) -> Self {
        Self::with_chunks(directory, CHUNK_RECORDS)
    }

    /// As [`Sorter::new`], with another number of records in memory.
    pub fn with_chunks(directory: &Path, chunk_records: usize) -> Self {
        let (directory, chunk_records) = (directory.to_owned(), chunk_records.max(1));
        Self { directory, chunk_records, chunk: Vec::new(), runs: Vec::new() }
    }

    /// Takes a record.
    pub fn push(&mut self, record: R) -> io::Result<()> {
        self.chunk.push(record);
        if self.chunk.len() >= self.chunk_records { self.spill() } else { Ok(()) }
    }

    /// Gives the records back, the smallest first.
    pub fn finish(mut self) -> io::Result<Merge<R>> {
        self.chunk.sort_unstable();
        let mut sources: Vec<Source<R>> = Vec::new();
        for mut file in std::mem::take(&mut self.runs) {
            file.rewind()?;
            sources.push(Source::File(BufReader::new(file), self.chunk_records));
        }
        sources.push(Source::Memory(std::mem::take(&mut self.chunk).into_iter()));
        let mut heads = BinaryHeap::new();
        for (index, source) in sources.iter_mut().enumerate() {
            heads.extend(source.next()?.map(|record| Reverse((record, index))));
        }
        Ok(Merge { sources, heads })
    }

    fn spill(&mut self) -> io::Result<()> {
        self.chunk.sort_unstable();
        let path = self.directory.join(format!("sort-{}", self.runs.len()));
        let file = File::options().create(true).truncate(true).read(true).write(true).open(&path)?;
        // Unlinked at once: it goes when it is closed, however the process ends.
        std::fs::remove_file(&path)?;
        let mut writer = BufWriter::new(file);
        for record in self.chunk.drain(..) {
            writer.write_all(record.to_bytes().as_ref())?;
        }
        self.runs.push(writer.into_inner().map_err(io::IntoInnerError::into_error)?);
        Ok(())
    }
}

/// Merges sorted runs.
pub struct Merge<R: SortRecord> {
    sources: Vec<Source<R>>,
    heads: BinaryHeap<Reverse<(R, usize)>>,
}

impl<R: SortRecord> Iterator for Merge<R> {
    type Item = io::Result<R>;

    fn next(&mut self) -> Option<io::Result<R>> {
        let Reverse((record, index)) = self.heads.pop()?;
        match self.sources[index].next() {
            Ok(next) => self.heads.extend(next.map(|next| Reverse((next, index)))),
            Err(error) => return Some(Err(error)),
        }
        Some(Ok(record))
    }
}

enum Source<R> {
    Memory(std::vec::IntoIter<R>),
    /// A sorted run on disk and how many records are left in it.
    File(BufReader<File>, usize),
}

impl<R: SortRecord> Source<R> {
    fn next(&mut self) -> io::Result<Option<R>> {
        match self {
            Source::Memory(records) => Ok(records.next()),
            Source::File(_, 0) => Ok(None),
            Source::File(file, left) => {
                *left -= 1;
                let mut bytes = R::Bytes::default();
                file.read_exact(bytes.as_mut())?;
                Ok(Some(R::from_bytes(&bytes)))
            }
        }
    }
}
