//! The order in which conversations are opened, sorted on disk where it does not fit in memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Ranks kept in memory before they are sorted and written out: 24 MB.
const CHUNK_RANKS: usize = 1 << 20;
const RANK_BYTES: usize = 20;

/// What decides when a row is opened. Smaller goes first.
///
/// The longest first, because the longest chain bounds the time of the whole; among equals rows with the same
/// beginning stand together, so that the server's prefix cache serves them; then input order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowRank {
    /// Turns, longest first.
    pub turns: Reverse<u32>,
    /// Equal for rows whose prompts begin alike.
    pub prefix: u64,
    /// The row, from 0.
    pub row: u64,
}

/// Takes ranks in any order and gives them back sorted, in memory that does not grow with their number.
pub struct OrderBuilder {
    directory: PathBuf,
    chunk_ranks: usize,
    chunk: Vec<RowRank>,
    runs: Vec<File>,
}

impl OrderBuilder {
    /// Sorts with the help of temporary files in `directory`.
    pub fn new(directory: &Path) -> Self {
        Self::with_chunks(directory, CHUNK_RANKS)
    }

    /// As [`OrderBuilder::new`], with another number of ranks in memory.
    pub fn with_chunks(directory: &Path, chunk_ranks: usize) -> Self {
        Self { directory: directory.to_owned(), chunk_ranks: chunk_ranks.max(1), chunk: Vec::new(), runs: Vec::new() }
    }

    /// Takes a rank.
    pub fn push(&mut self, rank: RowRank) -> io::Result<()> {
        self.chunk.push(rank);
        if self.chunk.len() >= self.chunk_ranks { self.spill() } else { Ok(()) }
    }

    fn finish(mut self) -> io::Result<Merge> {
        self.chunk.sort_unstable();
        let mut sources: Vec<Source> = Vec::new();
        for mut file in std::mem::take(&mut self.runs) {
            file.rewind()?;
            sources.push(Source::File(BufReader::new(file), self.chunk_ranks));
        }
        sources.push(Source::Memory(std::mem::take(&mut self.chunk).into_iter()));
        let mut heads = BinaryHeap::new();
        for (index, source) in sources.iter_mut().enumerate() {
            heads.extend(source.next()?.map(|rank| Reverse((rank, index))));
        }
        Ok(Merge { sources, heads })
    }

    /// Writes the rows in order into a file, eight bytes each, little-endian.
    pub fn write_to(self, path: &Path) -> io::Result<()> {
        let mut writer = BufWriter::new(File::create(path)?);
        for row in self.finish()? {
            writer.write_all(&row?.to_le_bytes())?;
        }
        writer.flush()
    }

    fn spill(&mut self) -> io::Result<()> {
        self.chunk.sort_unstable();
        let path = self.directory.join(format!("order-{}", self.runs.len()));
        let file = File::options().create(true).truncate(true).read(true).write(true).open(&path)?;
        // Unlinked at once: it goes when it is closed, however the process ends.
        std::fs::remove_file(&path)?;
        let mut writer = BufWriter::new(file);
        for rank in self.chunk.drain(..) {
            writer.write_all(&to_bytes(&rank))?;
        }
        self.runs.push(writer.into_inner().map_err(io::IntoInnerError::into_error)?);
        Ok(())
    }
}

/// Merges sorted runs.
struct Merge {
    sources: Vec<Source>,
    heads: BinaryHeap<Reverse<(RowRank, usize)>>,
}

impl Iterator for Merge {
    type Item = io::Result<u64>;

    fn next(&mut self) -> Option<io::Result<u64>> {
        let Reverse((rank, index)) = self.heads.pop()?;
        match self.sources[index].next() {
            Ok(next) => self.heads.extend(next.map(|next| Reverse((next, index)))),
            Err(error) => return Some(Err(error)),
        }
        Some(Ok(rank.row))
    }
}

enum Source {
    Memory(std::vec::IntoIter<RowRank>),
    /// A sorted run on disk and how many ranks are left in it.
    File(BufReader<File>, usize),
}

impl Source {
    fn next(&mut self) -> io::Result<Option<RowRank>> {
        match self {
            Source::Memory(ranks) => Ok(ranks.next()),
            Source::File(_, 0) => Ok(None),
            Source::File(file, left) => {
                *left -= 1;
                let mut bytes = [0; RANK_BYTES];
                file.read_exact(&mut bytes)?;
                Ok(Some(from_bytes(&bytes)))
            }
        }
    }
}

fn to_bytes(rank: &RowRank) -> [u8; RANK_BYTES] {
    let mut bytes = [0; RANK_BYTES];
    bytes[..4].copy_from_slice(&rank.turns.0.to_le_bytes());
    bytes[4..12].copy_from_slice(&rank.prefix.to_le_bytes());
    bytes[12..].copy_from_slice(&rank.row.to_le_bytes());
    bytes
}

fn from_bytes(bytes: &[u8; RANK_BYTES]) -> RowRank {
    let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let turns = u32::from_le_bytes(bytes[..4].try_into().expect("four bytes"));
    RowRank { turns: Reverse(turns), prefix: long(4), row: long(12) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_first_with_equal_beginnings_together_however_much_fits_in_memory() {
        let directory = tempfile::tempdir().unwrap();
        let ranks: Vec<RowRank> = (0u64..200)
            .map(|row| RowRank { turns: Reverse((row * 7 % 5) as u32), prefix: row * 11 % 4, row })
            .collect();
        let mut sorted = ranks.clone();
        sorted.sort_unstable();
        let expected: Vec<u64> = sorted.iter().map(|rank| rank.row).collect();
        for chunk_ranks in [1, 7, 64, 1000] {
            let mut builder = OrderBuilder::with_chunks(directory.path(), chunk_ranks);
            for rank in &ranks {
                builder.push(*rank).unwrap();
            }
            assert_eq!(
                builder.finish().unwrap().collect::<io::Result<Vec<_>>>().unwrap(),
                expected,
                "{chunk_ranks} in memory"
            );
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
