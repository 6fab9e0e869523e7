use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes of a value.
pub const VALUE_BYTES: usize = 20;
/// Bytes of a slot: the key, the value, and four zero bytes.
const SLOT_BYTES: usize = 32;
/// Bytes of the header: magic, capacity, count.
const HEADER_BYTES: u64 = 32;
const MAGIC: u64 = u64::from_le_bytes(*b"cohotab1");
/// Slots of an empty table.
const CAPACITY_MIN: u64 = 1 << 12;
/// Slots that are read at a time.
const PROBE_SLOTS: u64 = 16;

/// A hash table in a file: keys of eight bytes, each with any number of values. It holds nothing in memory, so it is as
/// large as the store without costing any.
///
/// Keys are parts of hashes, which are random already: the first slot is the key modulo the capacity, the next ones follow.
pub struct Table {
    path: PathBuf,
    file: File,
    /// Slots; a power of two.
    capacity: u64,
    count: u64,
}

impl Table {
    /// Opens a table, or creates it where it is missing or is another file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).truncate(false).read(true).write(true).open(path)?;
        let mut header = [0; HEADER_BYTES as usize];
        let number = |header: &[u8], at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap_or_default());
        if file.read_exact_at(&mut header, 0).is_ok() && number(&header, 0) == MAGIC {
            let (capacity, count) = (number(&header, 8), number(&header, 16));
            if capacity.is_power_of_two() && file.metadata()?.len() == length(capacity) && count < capacity {
                return Ok(Self { path: path.to_owned(), file, capacity, count });
            }
        }
        Self::create(path, CAPACITY_MIN)
    }

    fn create(path: &Path, capacity: u64) -> io::Result<Self> {
        let file = File::options().create(true).truncate(true).read(true).write(true).open(path)?;
        file.set_len(length(capacity))?;
        let table = Self { path: path.to_owned(), file, capacity, count: 0 };
        table.write_header()?;
        Ok(table)
    }

    fn write_header(&self) -> io::Result<()> {
        let mut header = [0; HEADER_BYTES as usize];
        for (at, number) in [MAGIC, self.capacity, self.count].into_iter().enumerate() {
            header[8 * at..8 * at + 8].copy_from_slice(&number.to_le_bytes());
        }
        self.file.write_all_at(&header, 0)
    }

    /// Returns the values of a key.
    pub fn find(&self, key: u64) -> io::Result<Vec<[u8; VALUE_BYTES]>> {
        let mut values = Vec::new();
        self.probe(key, |_, slot| match slot {
            Some((found, value)) => {
                if found == key.max(1) {
                    values.push(value);
                }
                false
            }
            None => true,
        })?;
        Ok(values)
    }

    /// Adds a value to those of a key, unless it is there.
    pub fn insert(&mut self, key: u64, value: [u8; VALUE_BYTES]) -> io::Result<()> {
        if self.count * 10 >= self.capacity * 6 {
            self.grow()?;
        }
        let mut place = None;
        self.probe(key, |at, slot| match slot {
            Some((found, there)) => found == key.max(1) && there == value,
            None => {
                place = Some(at);
                true
            }
        })?;
        let Some(place) = place else { return Ok(()) };
        self.file.write_all_at(&slot_of(key, value), HEADER_BYTES + place * SLOT_BYTES as u64)?;
        self.count += 1;
        self.write_header_now_and_then()
    }

    /// The count in the header may be a little behind: it only decides when the table grows.
    fn write_header_now_and_then(&self) -> io::Result<()> {
        if self.count.is_multiple_of(64) { self.write_header() } else { Ok(()) }
    }

    /// Passes the slots from a key's first one on to `visit`, until it returns true: `None` is an empty slot.
    fn probe(&self, key: u64, mut visit: impl FnMut(u64, Option<(u64, [u8; VALUE_BYTES])>) -> bool) -> io::Result<()> {
        let mut at = key.max(1) & (self.capacity - 1);
        let mut visited = 0;
        while visited < self.capacity {
            let count = PROBE_SLOTS.min(self.capacity - at);
            let mut bytes = [0; SLOT_BYTES * PROBE_SLOTS as usize];
            let bytes = &mut bytes[..SLOT_BYTES * count as usize];
            self.file.read_exact_at(bytes, HEADER_BYTES + at * SLOT_BYTES as u64)?;
            for slot in bytes.chunks_exact(SLOT_BYTES) {
                if visit(at, read_slot(slot)) {
                    return Ok(());
                }
                at = (at + 1) & (self.capacity - 1);
                visited += 1;
            }
        }
        Ok(())
    }

    /// Moves everything into a table with twice the slots.
    fn grow(&mut self) -> io::Result<()> {
        let path = self.path.with_extension("new");
        let mut larger = Self::create(&path, self.capacity * 2)?;
        let mut bytes = vec![0; SLOT_BYTES << 12];
        let end = length(self.capacity);
        let mut at = HEADER_BYTES;
        while at < end {
            let chunk = &mut bytes[..((end - at) as usize).min(SLOT_BYTES << 12)];
            self.file.read_exact_at(chunk, at)?;
            for (key, value) in chunk.chunks_exact(SLOT_BYTES).filter_map(read_slot) {
                larger.insert(key, value)?;
            }
            at += chunk.len() as u64;
        }
        larger.write_header()?;
        fs::rename(&path, &self.path)?;
        larger.path.clone_from(&self.path);
        *self = larger;
        Ok(())
    }
}

fn length(capacity: u64) -> u64 {
    HEADER_BYTES + capacity.saturating_mul(SLOT_BYTES as u64)
}

fn slot_of(key: u64, value: [u8; VALUE_BYTES]) -> [u8; SLOT_BYTES] {
    let mut slot = [0; SLOT_BYTES];
    // An empty slot has the key 0.
    slot[..8].copy_from_slice(&key.max(1).to_le_bytes());
    slot[8..8 + VALUE_BYTES].copy_from_slice(&value);
    slot
}

fn read_slot(slot: &[u8]) -> Option<(u64, [u8; VALUE_BYTES])> {
    let key = u64::from_le_bytes(slot[..8].try_into().ok()?);
    let value = slot[8..8 + VALUE_BYTES].try_into().ok()?;
    (key != 0).then_some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(number: u64) -> [u8; VALUE_BYTES] {
        let mut value = [0; VALUE_BYTES];
        value[..8].copy_from_slice(&number.to_le_bytes());
        value
    }

    #[test]
    fn values_are_found_again_after_growth_and_reopening() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("table");
        let key = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut table = Table::open(&path).unwrap();
        for number in 0..20_000 {
            table.insert(key(number % 15_000), value(number)).unwrap();
            table.insert(key(number % 15_000), value(number)).unwrap();
        }
        table.write_header().unwrap();
        assert!(table.capacity > CAPACITY_MIN && table.count == 20_000);
        let table = Table::open(&path).unwrap();
        assert_eq!(table.find(key(3)).unwrap().len(), 2, "two values, each once");
        assert_eq!(table.find(key(14_000)).unwrap(), [value(14_000)]);
        assert!(table.find(key(999_999)).unwrap().is_empty());
        assert_eq!(table.find(0).unwrap().len(), 2, "the key 0 is a key like others");
    }

    #[test]
    fn keys_that_meet_at_the_end_of_the_table_go_round() {
        let directory = tempfile::tempdir().unwrap();
        let mut table = Table::open(&directory.path().join("table")).unwrap();
        let last = CAPACITY_MIN - 1;
        for number in 0..40 {
            table.insert(last + CAPACITY_MIN * number, value(number)).unwrap();
        }
        assert_eq!(table.find(last + CAPACITY_MIN * 39).unwrap(), [value(39)]);
    }

    #[test]
    fn a_file_that_is_no_table_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("table");
        std::fs::write(&path, "something else").unwrap();
        assert!(Table::open(&path).unwrap().find(1).unwrap().is_empty());
    }
}
