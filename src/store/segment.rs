//! Segment files: their names, and the header of each.
//!
//! Format version 2 is a header of 64 bytes, all numbers little-endian. Version 1, which is still read, had the 16 bytes
//! `cohobate journal` alone.
//!
//! | bytes | what |
//! |---|---|
//! | 0..16 | `cohobate journ 2` |
//! | 16..20 | the segment's number, `u32`: a file under another name is found out |
//! | 20..22 | the number of its first group, `u16`; see [`GroupMark`](super::frame::GroupMark) |
//! | 22..24 | zero |
//! | 24..32 | the length of the segment before, `u64`, when it was closed; 0 for the first |
//! | 32..36 | the CRC-32 of all bytes of the segment before, `u32` |
//! | 36..44 | where a repair rewrote this segment, the length that the next one has for it, `u64`; else 0 |
//! | 44..48 | the same of its CRC-32 |
//! | 48..56 | where a repair rewrote this segment, its own length then, `u64`; else 0 |
//! | 56..60 | zero |
//! | 60..64 | CRC-32 of bytes 0..60 |

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::error::StoreError;

const MAGIC_1: [u8; 16] = *b"cohobate journal";
const MAGIC_2: [u8; 16] = *b"cohobate journ 2";
/// Bytes of a header of version 2.
pub const HEADER_BYTES: usize = 64;
/// Bytes of a header of version 1.
const HEADER_BYTES_1: usize = MAGIC_1.len();

/// What a header says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentHeader {
    pub number: u32,
    /// The number of the first group in it.
    pub first_group: u16,
    /// The segment before, when it was closed.
    pub previous: Option<Extent>,
    /// Set by a repair.
    pub rewritten: Option<Rewritten>,
}

/// The size of a closed segment, and the CRC-32 of its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    pub length: u64,
    pub checksum: u32,
}

/// A repair took damage out of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// What the next segment's header says of it; zero if there was none.
    pub replaces: Extent,
    /// Its length when it had been rewritten.
    pub length: u64,
}

/// The header that stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundHeader {
    /// The file ends within it: a crash while the segment was created.
    Short,
    /// Version 1 says nothing.
    First,
    Second(SegmentHeader),
    /// Its bytes are not those of any header.
    Damaged,
}

impl SegmentHeader {
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let (previous, rewritten) = (self.previous.unwrap_or_default(), self.rewritten.unwrap_or_default());
        let mut bytes = [0; HEADER_BYTES];
        bytes[..16].copy_from_slice(&MAGIC_2);
        bytes[16..20].copy_from_slice(&self.number.to_le_bytes());
        bytes[20..22].copy_from_slice(&self.first_group.to_le_bytes());
        bytes[24..32].copy_from_slice(&previous.length.to_le_bytes());
        bytes[32..36].copy_from_slice(&previous.checksum.to_le_bytes());
        bytes[36..44].copy_from_slice(&rewritten.replaces.length.to_le_bytes());
        bytes[44..48].copy_from_slice(&rewritten.replaces.checksum.to_le_bytes());
        bytes[48..56].copy_from_slice(&rewritten.length.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..60]);
        bytes[60..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let extent = |at: usize| Extent { length: long(at), checksum: word(at + 8) };
        (crc32fast::hash(&bytes[..60]) == word(60)).then(|| Self {
            number: word(16),
            first_group: u16::from_le_bytes([bytes[20], bytes[21]]),
            previous: Some(extent(24)).filter(|extent| extent.length > 0),
            rewritten: Some(Rewritten { replaces: extent(36), length: long(48) }).filter(|found| found.length > 0),
        })
    }
}

impl FoundHeader {
    /// Reads the header of an open segment.
    pub fn read(file: &File) -> io::Result<Self> {
        let mut bytes = [0; HEADER_BYTES];
        let mut length = 0;
        while length < HEADER_BYTES {
            match file.read_at(&mut bytes[length..], length as u64)? {
                0 => break,
                count => length += count,
            }
        }
        let found = &bytes[..length];
        Ok(if found.starts_with(&MAGIC_1) {
            Self::First
        } else if length < MAGIC_2.len() || length < HEADER_BYTES && found.starts_with(&MAGIC_2) {
            Self::Short
        } else if found.starts_with(&MAGIC_2) {
            SegmentHeader::from_bytes(&bytes).map_or(Self::Damaged, Self::Second)
        } else {
            Self::Damaged
        })
    }

    /// Returns where the frames begin. Behind a damaged header they have to be looked for.
    pub fn frames_start(self) -> u64 {
        match self {
            Self::First => HEADER_BYTES_1 as u64,
            Self::Second(_) => HEADER_BYTES as u64,
            Self::Short | Self::Damaged => 0,
        }
    }

    pub fn second(self) -> Option<SegmentHeader> {
        match self {
            Self::Second(header) => Some(header),
            _ => None,
        }
    }
}

/// Returns the file of a segment.
pub fn segment_path(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("{number:08}.journal"))
}

/// Returns the numbers of the segments, ascending.
pub fn segment_numbers(directory: &Path) -> Result<Vec<u32>, StoreError> {
    let mut numbers: Vec<u32> = names_in(directory)?.iter().filter_map(|name| number_of(name, ".journal")).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Returns the number in a name such as `00000001.journal`.
pub fn number_of(name: &str, ending: &str) -> Option<u32> {
    name.strip_suffix(ending).and_then(|stem| stem.parse().ok())
}

/// Returns the names in the journal's directory that are text; none where there is no directory.
pub fn names_in(directory: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(StoreError::io("read", directory))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(StoreError::io("read", directory))?;
        names.extend(entry.file_name().to_str().map(str::to_owned));
    }
    Ok(names)
}

/// Reads a part of a file.
pub fn read_range(path: &Path, bytes: &Range<u64>) -> Result<Vec<u8>, StoreError> {
    let mut buffer = vec![0; (bytes.end - bytes.start) as usize];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut buffer, bytes.start));
    read.map(|()| buffer).map_err(StoreError::io("read", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_and_a_changed_one_is_found_out() {
        let header = SegmentHeader {
            number: 3,
            first_group: 17,
            previous: Some(Extent { length: 99, checksum: 7 }),
            rewritten: Some(Rewritten { replaces: Extent { length: 120, checksum: 8 }, length: 100 }),
        };
        let bytes = header.to_bytes();
        let read = |bytes: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            io::Write::write_all(&mut file, bytes).unwrap();
            FoundHeader::read(&file).unwrap()
        };
        assert_eq!(read(&bytes), FoundHeader::Second(header));
        (0..HEADER_BYTES).for_each(|length| assert_eq!(read(&bytes[..length]), FoundHeader::Short, "{length}"));
        for bit in 0..HEADER_BYTES * 8 {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&changed), FoundHeader::Damaged, "bit {bit}");
        }
        assert_eq!(read(&MAGIC_1), FoundHeader::First);
    }

    #[test]
    fn a_file_that_is_no_segment_is_damaged_from_16_bytes_on() {
        let read = |bytes: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            io::Write::write_all(&mut file, bytes).unwrap();
            FoundHeader::read(&file).unwrap()
        };
        assert_eq!((read(&[7; 15]), read(&[7; 16])), (FoundHeader::Short, FoundHeader::Damaged));
        assert_eq!((read(&[7; 63]), read(&[7; 64])), (FoundHeader::Damaged, FoundHeader::Damaged));
        assert_eq!(read(&MAGIC_2), FoundHeader::Short);
        assert_eq!(read(&[&MAGIC_1[..], &[7; 60]].concat()), FoundHeader::First);
        let header = SegmentHeader { number: 1, ..SegmentHeader::default() };
        let found = [FoundHeader::Short, FoundHeader::Damaged, FoundHeader::First, read(&header.to_bytes())];
        assert_eq!(found.map(FoundHeader::frames_start), [0, 0, 16, 64]);
        assert_eq!(found.map(FoundHeader::second), [None, None, None, Some(header)]);
    }

    #[test]
    fn segments_are_found_by_their_names() {
        let directory = tempfile::tempdir().unwrap();
        for name in
            ["00000002.journal", "00000010.journal", "00000001.journal", "00000003.journal.partial", "x.journal"]
        {
            fs::write(directory.path().join(name), "0123456789").unwrap();
        }
        assert_eq!(segment_numbers(directory.path()).unwrap(), [1, 2, 10]);
        assert_eq!(names_in(directory.path()).unwrap().len(), 5);
        assert_eq!(names_in(&directory.path().join("missing")).unwrap(), Vec::<String>::new());
        assert!(names_in(&segment_path(directory.path(), 1)).is_err(), "a file is no directory");
        assert_eq!(segment_path(Path::new("d"), 12), Path::new("d/00000012.journal"));
        assert_eq!((number_of("00000012.journal", ".journal"), number_of("12", ".journal")), (Some(12), None));
        assert_eq!(read_range(&segment_path(directory.path(), 1), &(2..5)).unwrap(), b"234");
        assert!(read_range(&segment_path(directory.path(), 1), &(5..11)).is_err());
    }
}
