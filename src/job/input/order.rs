//! The order in which conversations are opened.

use std::cmp::Reverse;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::job::sorter::{SortRecord, Sorter};

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

/// Writes the rows in order into a file, eight bytes each, little-endian.
pub fn write_order(ranks: Sorter<RowRank>, path: &Path) -> io::Result<()> {
    let mut writer = BufWriter::new(File::create(path)?);
    for rank in ranks.finish()? {
        writer.write_all(&rank?.row.to_le_bytes())?;
    }
    writer.flush()
}

impl SortRecord for RowRank {
    type Bytes = [u8; 20];

    fn to_bytes(&self) -> [u8; 20] {
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&self.turns.0.to_le_bytes());
        bytes[4..12].copy_from_slice(&self.prefix.to_le_bytes());
        bytes[12..].copy_from_slice(&self.row.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; 20]) -> Self {
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let turns = u32::from_le_bytes(bytes[..4].try_into().expect("four bytes"));
        RowRank { turns: Reverse(turns), prefix: long(4), row: long(12) }
    }
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
            let mut builder = Sorter::with_chunks(directory.path(), chunk_ranks);
            for rank in &ranks {
                builder.push(*rank).unwrap();
            }
            assert_eq!(
                builder
                    .finish()
                    .unwrap()
                    .map(|rank| rank.map(|rank| rank.row))
                    .collect::<io::Result<Vec<_>>>()
                    .unwrap(),
                expected,
                "{chunk_ranks} in memory"
            );
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
