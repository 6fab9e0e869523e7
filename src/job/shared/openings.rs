use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::conversation::Digest;
use crate::job::JobError;
use crate::job::sorter::{SortRecord, Sorter};
use crate::recipe::{Recipe, opening_hash};
use crate::store::shared::{NewSlot, OpeningHash, SlotRange};
use crate::worker::{Admit, RowOrder, SeedError, Seeds};

/// Most slots of a run. Their number bounds what the database keeps for a run, whatever the size of the input.
const SLOTS_MAX: u64 = 16_384;
const RECORD_BYTES: u64 = 20;

/// The rows of a run by the openings of their conversations, on disk, 20 bytes a row: any worker finds the rows of a slot.
pub struct Openings {
    file: File,
    count: u64,
    /// A digest of the rows with their conversations, in whatever order they came: equal for workers that read the same input.
    pub rows: Digest,
}

/// A row and where its conversation is placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlacedRow {
    /// The opening of its conversation.
    pub opening: OpeningHash,
    /// The row.
    pub row: u64,
    /// The length of the conversation, in turns.
    pub turns: u32,
}

impl Openings {
    /// Reads every row of a run once and sorts the rows by their openings, with the help of files in `directory`.
    pub fn of(rows: RowOrder, seeds: &dyn Seeds, recipe: &dyn Recipe, directory: &Path) -> Result<Self, JobError> {
        let unwritable = |error: io::Error| {
            let hint = "free some space, or choose another place with --store";
            JobError::storage(format!("cannot sort the rows of the run: {error}"), hint)
        };
        let mut sorter = Sorter::new(directory);
        let mut sum = [0u64; 4];
        for admit in rows {
            let Admit::Row(row) = admit.map_err(unwritable)? else { continue };
            let placed = match seeds.look(row) {
                Ok(seed) => {
                    // The sum does not depend on the order, which depends on what is stored.
                    let own = Digest::of_text("cohobate row 1", &row.to_string()).then(&seed.digest());
                    for (lane, bytes) in sum.iter_mut().zip(own.0.chunks_exact(8)) {
                        *lane = lane.wrapping_add(u64::from_le_bytes(bytes.try_into().expect("eight bytes")));
                    }
                    PlacedRow { opening: opening_hash(recipe, &seed), row, turns: recipe.turn_count(&seed) }
                }
                // It is left out when it is opened, and counted then.
                Err(SeedError::Changed(_)) => PlacedRow { opening: row, row, turns: 0 },
                Err(error) => return Err(JobError::unexpected(format!("row {row} cannot be read again: {error}"))),
            };
            sorter.push(placed).map_err(unwritable)?;
        }
        let mut writer = BufWriter::new(unlinked(&directory.join("openings")).map_err(unwritable)?);
        let mut count = 0;
        for placed in sorter.finish().map_err(unwritable)? {
            writer.write_all(&placed.map_err(unwritable)?.to_bytes()).map_err(unwritable)?;
            count += 1;
        }
        let file = writer.into_inner().map_err(|error| unwritable(error.into_error()))?;
        let lanes = sum.map(|lane| lane.to_string()).join(" ");
        Ok(Self { file, count, rows: Digest::of_text("cohobate rows 1", &lanes) })
    }

    /// Cuts the openings into slots of about as many rows each. Equal openings are never cut apart.
    pub fn slots(&self) -> io::Result<Vec<NewSlot>> {
        let slots = self.count.clamp(1, SLOTS_MAX);
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        let mut rows = BufReader::new(file);
        let mut cut: Vec<NewSlot> = Vec::new();
        let mut last = None;
        for number in 0..self.count {
            let mut bytes = [0; RECORD_BYTES as usize];
            rows.read_exact(&mut bytes)?;
            let PlacedRow { opening, turns, .. } = PlacedRow::from_bytes(&bytes);
            let is_due = (cut.len() as u64) * self.count <= number * slots;
            if cut.is_empty() || (is_due && last != Some(opening)) {
                if let Some(before) = cut.last_mut() {
                    before.range.high = opening - 1;
                }
                let low = if cut.is_empty() { 0 } else { opening };
                cut.push(NewSlot { range: SlotRange { low, high: OpeningHash::MAX }, weight: 0 });
            }
            if let Some(slot) = cut.last_mut() {
                slot.weight = slot.weight.max(turns);
            }
            last = Some(opening);
        }
        Ok(cut)
    }

    /// Returns the rows of a slot, in the order of their openings.
    pub fn rows_in(&self, range: SlotRange) -> io::Result<Vec<PlacedRow>> {
        let mut first = self.first_at(range.low)?;
        let mut found = Vec::new();
        while first < self.count {
            let placed = self.at(first)?;
            if placed.opening > range.high {
                break;
            }
            found.push(placed);
            first += 1;
        }
        Ok(found)
    }

    /// Returns the number of the first record whose opening is not below `low`.
    fn first_at(&self, low: OpeningHash) -> io::Result<u64> {
        let (mut below, mut above) = (0, self.count);
        while below < above {
            let middle = below + (above - below) / 2;
            if self.at(middle)?.opening < low { below = middle + 1 } else { above = middle }
        }
        Ok(below)
    }

    fn at(&self, number: u64) -> io::Result<PlacedRow> {
        let mut bytes = [0; RECORD_BYTES as usize];
        self.file.read_exact_at(&mut bytes, number * RECORD_BYTES)?;
        Ok(PlacedRow::from_bytes(&bytes))
    }
}

/// Creates a file without a name: it goes when it is closed, however the process ends.
fn unlinked(path: &Path) -> io::Result<File> {
    let file = File::options().create(true).truncate(true).read(true).write(true).open(path)?;
    std::fs::remove_file(path)?;
    Ok(file)
}

impl SortRecord for PlacedRow {
    type Bytes = [u8; RECORD_BYTES as usize];

    fn to_bytes(&self) -> Self::Bytes {
        let mut bytes = [0; RECORD_BYTES as usize];
        bytes[..8].copy_from_slice(&self.opening.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.row.to_le_bytes());
        bytes[16..].copy_from_slice(&self.turns.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &Self::Bytes) -> Self {
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let turns = u32::from_le_bytes(bytes[16..].try_into().expect("four bytes"));
        Self { opening: long(0), row: long(8), turns }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn openings(placed: &[PlacedRow]) -> Openings {
        let directory = tempfile::tempdir().unwrap();
        let mut sorted = placed.to_vec();
        sorted.sort_unstable();
        let mut file = unlinked(&directory.path().join("openings")).unwrap();
        for row in &sorted {
            file.write_all(&row.to_bytes()).unwrap();
        }
        Openings { file, count: sorted.len() as u64, rows: Digest([0; 32]) }
    }

    proptest! {
        #[test]
        fn slots_cover_every_opening_once_and_every_row_is_found(hashes in prop::collection::vec(0..40u64, 1..200)) {
            let spread = |hash: u64| if hash == 39 { u64::MAX } else { hash.wrapping_mul(0x0666_6666_6666_6666) };
            let placed = hashes.iter().enumerate();
            let placed: Vec<PlacedRow> = placed.map(|(row, hash)| PlacedRow { opening: spread(*hash), row: row as u64, turns: *hash as u32 }).collect();
            let openings = openings(&placed);
            let slots = openings.slots().unwrap();
            prop_assert_eq!((slots[0].range.low, slots.last().unwrap().range.high), (0, u64::MAX));
            let mut seen = Vec::new();
            for (at, slot) in slots.iter().enumerate() {
                prop_assert!(at == 0 || slots[at - 1].range.high + 1 == slot.range.low);
                let rows = openings.rows_in(slot.range).unwrap();
                prop_assert!(!rows.is_empty());
                prop_assert_eq!(slot.weight, rows.iter().map(|row| row.turns).max().unwrap());
                seen.extend(rows);
            }
            let mut sorted = placed;
            sorted.sort_unstable();
            prop_assert_eq!(seen, sorted);
        }
    }
}
