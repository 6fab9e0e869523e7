//! The frame around each record in a journal segment.
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | `cohf` |
//! | 4 | frame version, 1 |
//! | 5 | flags; bit 0: the payload is zstd |
//! | 6..8 | the group that the frame was written with, see [`GroupMark`]; zero before version 2 of the segment |
//! | 8..12 | payload length, `u32` little-endian |
//! | 12..16 | record length before compression, `u32` little-endian |
//! | 16..20 | CRC-32 (IEEE) of bytes 4..16 and the payload, little-endian |
//! | 20.. | payload |

use std::cell::RefCell;

use super::codec::RECORD_BYTES_MAX;

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 20;
/// The first bytes of every frame.
pub const MAGIC: [u8; 4] = *b"cohf";

const VERSION: u8 = 1;
const FLAG_ZSTD: u8 = 1;
/// Compressing anything shorter saves too little for its time.
const COMPRESS_BYTES_MIN: usize = 512;
const COMPRESSION_LEVEL: i32 = 1;

/// The group of frames that a frame was written with. Groups are synced one after the other, so that a hole between two
/// frames tells which of them had been acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupMark(u16);

const LAST: u16 = 1 << 15;

impl GroupMark {
    /// Marks a frame of the group `number`, from 1 to 32,767 and then from 1 again; 0 is unknown.
    pub fn new(number: u16, is_last: bool) -> Self {
        Self(number & !LAST | if is_last { LAST } else { 0 })
    }

    /// Returns the number of the group after this one.
    pub fn next_group(self) -> u16 {
        self.group() % (LAST - 1) + 1
    }

    /// Returns the end of the group before `group`.
    pub fn end_before(group: u16) -> Self {
        match group {
            0 => Self(0),
            1 => Self::new(LAST - 1, true),
            _ => Self::new(group - 1, true),
        }
    }

    /// True if bytes between a frame of this mark and one of `after` all belong to the group of `after`.
    pub fn may_tear_before(self, after: Self) -> bool {
        let is_within = self.group() == after.group() && !self.is_last();
        let is_between = self.is_last() && self.next_group() == after.group();
        after.group() != 0 && (is_within || is_between)
    }

    /// Returns the number of the group; 0 is unknown.
    pub fn group(self) -> u16 {
        self.0 & !LAST
    }

    fn is_last(self) -> bool {
        self.0 & LAST != 0
    }
}

/// Marks the frame that begins at `frame` as the last of its group, and returns its new checksum.
pub fn end_group(frame: &mut [u8]) -> u32 {
    frame[7] |= (LAST >> 8) as u8;
    let (header, payload) = frame.split_at_mut(HEADER_BYTES);
    let checksum = checksum(&header[4..16], payload);
    header[16..].copy_from_slice(&checksum.to_le_bytes());
    checksum
}

thread_local! {
    /// Creating one for each frame would cost more than decompressing most frames.
    static DECOMPRESSOR: RefCell<zstd::bulk::Decompressor<'static>> =
        RefCell::new(zstd::bulk::Decompressor::new().expect("a decompressor needs nothing but memory"));
}

/// Makes frames, reusing one compressor.
pub struct FrameWriter {
    compressor: zstd::bulk::Compressor<'static>,
}

impl FrameWriter {
    pub fn new() -> Self {
        let compressor = zstd::bulk::Compressor::new(COMPRESSION_LEVEL).expect("level 1 exists in every zstd");
        Self { compressor }
    }

    /// Appends `record` to `out` as a frame of `group` and returns its checksum.
    pub fn append(&mut self, record: &[u8], group: u16, out: &mut Vec<u8>) -> u32 {
        let compressed = (record.len() >= COMPRESS_BYTES_MIN)
            .then(|| self.compressor.compress(record).ok())
            .flatten()
            .filter(|compressed| compressed.len() < record.len());
        let (flags, payload) = compressed.as_deref().map_or((0, record), |compressed| (FLAG_ZSTD, compressed));
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, flags]);
        out.extend_from_slice(&GroupMark::new(group, false).0.to_le_bytes());
        out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        out.extend_from_slice(&(record.len() as u32).to_le_bytes());
        let checksum = checksum(&out[start + 4..], payload);
        out.extend_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(payload);
        checksum
    }
}

/// The result of parsing a frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A complete frame of `length` bytes with this record in it.
    Frame { length: usize, checksum: u32, mark: GroupMark, record: Vec<u8> },
    /// The beginning of a frame of `needed` bytes.
    Short { needed: usize },
    /// Not a frame.
    Damaged,
}

/// Parses the frame at the beginning of `bytes`. Allocates no more than the record limit.
pub fn parse(bytes: &[u8]) -> Parsed {
    let magic_length = bytes.len().min(MAGIC.len());
    if bytes[..magic_length] != MAGIC[..magic_length] {
        return Parsed::Damaged;
    }
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
        return Parsed::Short { needed: HEADER_BYTES };
    };
    let number = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (version, flags) = (header[4], header[5]);
    let (payload_length, record_length) = (number(8) as usize, number(12) as usize);
    if version != VERSION || flags > FLAG_ZSTD || payload_length > RECORD_BYTES_MAX || record_length > RECORD_BYTES_MAX
    {
        return Parsed::Damaged;
    }
    let length = HEADER_BYTES + payload_length;
    let Some(payload) = bytes.get(HEADER_BYTES..length) else {
        return Parsed::Short { needed: length };
    };
    let checksum = checksum(&header[4..16], payload);
    if checksum != number(16) {
        return Parsed::Damaged;
    }
    let record = if flags & FLAG_ZSTD == 0 {
        Some(payload.to_vec())
    } else {
        DECOMPRESSOR.with_borrow_mut(|decompressor| decompressor.decompress(payload, record_length).ok())
    };
    match record {
        Some(record) if record.len() == record_length => {
            let mark = GroupMark(u16::from_le_bytes([header[6], header[7]]));
            Parsed::Frame { length, checksum, mark, record }
        }
        _ => Parsed::Damaged,
    }
}

fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(records: &[Vec<u8>]) -> Vec<u8> {
        let (mut writer, mut bytes) = (FrameWriter::new(), Vec::new());
        for record in records {
            writer.append(record, 1, &mut bytes);
        }
        bytes
    }

    proptest! {
        #[test]
        fn what_was_framed_comes_back(records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2_000), 0..6)) {
            let bytes = framed(&records);
            let mut rest = &bytes[..];
            for expected in &records {
                let Parsed::Frame { length, record, .. } = parse(rest) else { panic!("no frame") };
                prop_assert_eq!(&record, expected);
                rest = &rest[length..];
            }
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn no_bytes_make_a_reader_panic_or_believe(mut bytes in prop::collection::vec(any::<u8>(), 0..300), honest in any::<bool>()) {
            if honest {
                // A plausible header leads further into the parser.
                bytes.splice(0..0, *b"cohf\x01\x01\0\0");
            }
            let believed = matches!(parse(&bytes), Parsed::Frame { .. });
            prop_assert!(!believed);
        }

        #[test]
        fn a_changed_byte_is_never_taken_for_what_was_written(record in prop::collection::vec(any::<u8>(), 1..900), at in any::<prop::sample::Index>(), change in 1..=255u8) {
            let mut bytes = framed(std::slice::from_ref(&record));
            let at = at.index(bytes.len());
            bytes[at] ^= change;
            if let Parsed::Frame { record: found, .. } = parse(&bytes) {
                prop_assert_eq!(found, record, "only bytes that mean nothing may differ");
            }
        }
    }

    #[test]
    fn groups_are_counted_in_a_ring_without_zero() {
        let groups: Vec<u16> =
            [0, 1, 2, LAST - 2, LAST - 1].map(|group| GroupMark::new(group, true).next_group()).into();
        assert_eq!(groups, [1, 2, 3, LAST - 1, 1]);
        for (group, before) in [(0, GroupMark(0)), (1, GroupMark::new(LAST - 1, true)), (2, GroupMark::new(1, true))] {
            assert_eq!(GroupMark::end_before(group), before, "{group}");
        }
        let mark = GroupMark::new;
        assert_eq!((mark(7, true).group(), mark(7, false).group(), mark(LAST | 7, false)), (7, 7, mark(7, false)));
        assert!(mark(7, true).is_last() && !mark(7, false).is_last());
        // Within a group, or between the end of one and the next one.
        assert!(mark(7, false).may_tear_before(mark(7, true)) && mark(7, true).may_tear_before(mark(8, false)));
        assert!(mark(LAST - 1, true).may_tear_before(mark(1, false)));
        assert!(!mark(7, false).may_tear_before(mark(8, false)) && !mark(7, true).may_tear_before(mark(7, true)));
        assert!(!mark(7, true).may_tear_before(mark(9, false)) && !mark(0, false).may_tear_before(mark(0, false)));
    }

    #[test]
    fn the_last_frame_of_a_group_says_so_and_is_still_read() {
        let mut bytes = Vec::new();
        let first = FrameWriter::new().append(b"record", 300, &mut bytes);
        let last = end_group(&mut bytes);
        assert_ne!(first, last);
        let (mark, record) = (GroupMark::new(300, true), b"record".to_vec());
        assert_eq!(parse(&bytes), Parsed::Frame { length: bytes.len(), checksum: last, mark, record });
    }

    /// A frame with any header, and the right checksum.
    fn made(version: u8, flags: u8, record_length: usize, payload: &[u8]) -> Vec<u8> {
        let mut bytes = [&MAGIC[..], &[version, flags, 1, 0]].concat();
        bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(record_length as u32).to_le_bytes());
        bytes.extend_from_slice(&checksum(&bytes[4..16], payload).to_le_bytes());
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn a_frame_is_read_only_where_all_of_its_header_is_true() {
        let is_read = |version, flags, length, payload: &[u8]| {
            matches!(parse(&made(version, flags, length, payload)), Parsed::Frame { .. })
        };
        assert!(is_read(VERSION, 0, 6, b"record"));
        assert!(
            !is_read(VERSION + 1, 0, 6, b"record")
                && !is_read(0, 0, 6, b"record")
                && !is_read(VERSION, 2, 6, b"record")
        );
        assert!(!is_read(VERSION, 0, 5, b"record") && !is_read(VERSION, 0, 7, b"record"));
        let compressed = zstd::bulk::compress(b"record", 1).unwrap();
        assert!(is_read(VERSION, FLAG_ZSTD, 6, &compressed));
        assert!(!is_read(VERSION, FLAG_ZSTD, 7, &compressed) && !is_read(VERSION, FLAG_ZSTD, 5, &compressed));
        assert!(!is_read(VERSION, FLAG_ZSTD, 6, b"record"));
        let header = |payload: usize, record: usize| {
            let mut bytes = made(VERSION, 0, record, b"");
            bytes[8..12].copy_from_slice(&(payload as u32).to_le_bytes());
            parse(&bytes)
        };
        assert_eq!(
            header(RECORD_BYTES_MAX, RECORD_BYTES_MAX),
            Parsed::Short { needed: HEADER_BYTES + RECORD_BYTES_MAX }
        );
        assert_eq!(header(RECORD_BYTES_MAX + 1, 6), Parsed::Damaged);
        assert_eq!(header(6, RECORD_BYTES_MAX + 1), Parsed::Damaged);
        assert_eq!(parse(&made(VERSION, 0, 6, b"record")[..HEADER_BYTES - 1]), Parsed::Short { needed: HEADER_BYTES });
        assert_eq!((parse(b"coh"), parse(b"cox")), (Parsed::Short { needed: HEADER_BYTES }, Parsed::Damaged));
    }

    #[test]
    fn a_record_is_compressed_from_512_bytes_on_and_only_where_that_helps() {
        let flags = |record: &[u8]| framed(&[record.to_vec()])[5];
        assert_eq!((flags(&[7; 511]), flags(&[7; 512])), (0, FLAG_ZSTD));
        let noise: Vec<u8> = crate::conversation::Digest::of_text("noise", "x").0.into_iter().collect();
        let mut random = Vec::new();
        for number in 0..32u8 {
            random.extend(noise.iter().scan(number, |state, byte| {
                *state = state.wrapping_mul(167).wrapping_add(*byte).rotate_left(3) ^ number;
                Some(*state)
            }));
        }
        let bytes = framed(std::slice::from_ref(&random));
        assert!(bytes.len() <= HEADER_BYTES + random.len());
    }
}
