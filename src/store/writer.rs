//! The writing half of the journal: groups of frames, appended to the last segment and synced.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::codec::RECORD_BYTES_MAX;
use super::entry::Entry;
use super::error::StoreError;
use super::frame::{self, FrameWriter, GroupMark};
use super::medium::{Appendable, Medium};
use super::place::{Place, Position};
use super::record;
use super::segment::{Extent, FoundHeader, SegmentHeader, segment_path};
use crate::files::checksum_of;

/// Appends to the journal in one directory.
pub struct JournalWriter {
    frames: FrameWriter,
    record: Vec<u8>,
    buffer: Vec<u8>,
    pub open: Option<OpenSegment>,
    pub last_segment: u32,
    /// The number of the next group.
    pub group: u16,
    /// Set while bytes on disk are unknown; nothing is accepted then.
    pub poisoned: bool,
}

/// The segment that is appended to.
pub struct OpenSegment {
    file: Box<dyn Appendable>,
    path: PathBuf,
    pub length: u64,
    /// The checksum of all its bytes, for the next segment's header.
    hasher: crc32fast::Hasher,
}

impl JournalWriter {
    /// Accepts nothing yet.
    pub fn new() -> Self {
        Self {
            frames: FrameWriter::new(),
            record: Vec::new(),
            buffer: Vec::new(),
            open: None,
            last_segment: 0,
            group: 1,
            poisoned: true,
        }
    }

    /// Fills the buffer with one frame per entry and returns their lengths and checksums. Writes nothing yet.
    pub fn encode_frames(&mut self, entries: &[Entry]) -> Result<Vec<(u32, u32)>, StoreError> {
        self.buffer.clear();
        let mut last_start = 0;
        let frames = entries.iter().map(|entry| {
            self.record.clear();
            if !record::encode_entry(entry, &mut self.record) {
                return Err(StoreError::TooLarge { length: entry.text_bytes(), limit: RECORD_BYTES_MAX });
            }
            last_start = self.buffer.len();
            let checksum = self.frames.append(&self.record, self.group, &mut self.buffer);
            Ok(((self.buffer.len() - last_start) as u32, checksum))
        });
        let mut frames: Vec<(u32, u32)> = frames.collect::<Result<_, _>>()?;
        if let Some((_, checksum)) = frames.last_mut() {
            *checksum = frame::end_group(&mut self.buffer[last_start..]);
        }
        Ok(frames)
    }

    /// Returns the frames in the buffer, of these lengths.
    pub fn frames_of(&self, frames: &[(u32, u32)]) -> Vec<Vec<u8>> {
        let mut start = 0;
        let frame = |(length, _): &(u32, u32)| {
            let begin = start;
            start += *length as usize;
            self.buffer[begin..start].to_vec()
        };
        frames.iter().map(frame).collect()
    }

    /// Writes the buffer as one group and syncs it. Returns the frames' places.
    pub fn write_frames(
        &mut self,
        directory: &Path,
        segment_bytes: u64,
        medium: &dyn Medium,
        frames: &[(u32, u32)],
    ) -> Result<Vec<Place>, StoreError> {
        // Until the sync succeeds, the file's contents are unknown; see `Journal::append`.
        self.poisoned = true;
        if self.open.as_ref().is_none_or(|segment| segment.length >= segment_bytes) {
            let previous = self.open.as_ref().map(OpenSegment::extent);
            let number = self.last_segment + 1;
            let header = SegmentHeader { number, first_group: self.group, previous, rewritten: None };
            self.open = Some(OpenSegment::create(directory, medium, &header)?);
            self.last_segment = number;
        }
        let segment = self.open.as_mut().expect("a segment has just been opened");
        let mut offset = segment.length;
        segment.append(&self.buffer)?;
        let number = self.last_segment;
        let places = frames.iter().map(|&(length, checksum)| {
            let place = Place { segment: number, offset, length, checksum };
            offset += u64::from(length);
            place
        });
        let places = places.collect();
        self.group = GroupMark::new(self.group, true).next_group();
        self.poisoned = false;
        Ok(places)
    }

    /// Returns the journal's end.
    pub fn end(&self) -> Position {
        let offset = self.open.as_ref().map_or(0, |segment| segment.length);
        Position { segment: self.last_segment, offset }
    }
}

impl OpenSegment {
    /// Creates a segment and makes its name durable before anything is appended.
    fn create(directory: &Path, medium: &dyn Medium, header: &SegmentHeader) -> Result<Self, StoreError> {
        let path = segment_path(directory, header.number);
        let file = medium.create(&path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => StoreError::Intruded { path: path.clone() },
            _ => StoreError::Io { action: "create", path: path.clone(), source },
        })?;
        let mut segment = Self { file, path, length: 0, hasher: crc32fast::Hasher::new() };
        segment.append(&header.to_bytes())?;
        medium.sync_directory(directory).map_err(StoreError::io("sync", directory))?;
        Ok(segment)
    }

    /// Opens the last segment, which is whole up to `length`; what follows is cut off, except `survivors`. One without a
    /// header gets this one.
    pub fn continue_at(
        path: PathBuf,
        medium: &dyn Medium,
        length: u64,
        survivors: &[u8],
        header: &SegmentHeader,
    ) -> Result<Self, StoreError> {
        let mut file = medium.open(&path).map_err(StoreError::io("open", &path))?;
        if file.length().map_err(StoreError::io("read", &path))? > length {
            let cut = file.cut(length).and_then(|()| file.sync());
            cut.map_err(StoreError::io("truncate the torn end of", &path))?;
        }
        let hasher = checksum_of(&path).map_err(StoreError::io("read", &path))?;
        let mut segment = Self { file, path, length, hasher };
        if length == 0 {
            segment.append(&header.to_bytes())?;
        }
        if !survivors.is_empty() {
            segment.append(survivors)?;
        }
        segment.file.sync().map_err(StoreError::io("sync", &segment.path))?;
        Ok(segment)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.expect_length()?;
        // After an error, complete frames may be on disk although nobody was told: the next open keeps them and
        // truncates a torn tail.
        let written = self.file.append(bytes).and_then(|()| self.file.sync());
        written.map_err(StoreError::io("write", &self.path))?;
        self.length += bytes.len() as u64;
        self.hasher.update(bytes);
        // Checked on both sides: of two writers that append at the same moment, neither continues.
        self.expect_length()
    }

    /// Fails if another process wrote to the segment or deleted it: locks do not hold everywhere.
    fn expect_length(&self) -> Result<(), StoreError> {
        let length = self.file.length().map_err(StoreError::io("append to", &self.path))?;
        if length == self.length { Ok(()) } else { Err(StoreError::Intruded { path: self.path.clone() }) }
    }

    fn extent(&self) -> Extent {
        Extent { length: self.length, checksum: self.hasher.clone().finalize() }
    }
}

/// Returns the size of a closed segment, and its checksum.
pub fn extent_of(path: &Path) -> io::Result<Extent> {
    Ok(Extent { length: std::fs::metadata(path)?.len(), checksum: checksum_of(path)?.finalize() })
}

/// Reads a segment's header.
pub fn header_of(path: &Path) -> Result<FoundHeader, StoreError> {
    let file = File::open(path).map_err(StoreError::io("open", path))?;
    FoundHeader::read(&file).map_err(StoreError::io("read", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::medium::Disk;

    #[test]
    fn a_segment_knows_its_length_and_its_checksum_and_notices_another_writer() {
        let directory = tempfile::tempdir().unwrap();
        let header = SegmentHeader { number: 1, first_group: 1, ..SegmentHeader::default() };
        let mut segment = OpenSegment::create(directory.path(), &Disk, &header).unwrap();
        let path = segment_path(directory.path(), 1);
        segment.append(b"words").unwrap();
        let bytes = [&header.to_bytes()[..], b"words"].concat();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        let extent = Extent { length: bytes.len() as u64, checksum: crc32fast::hash(&bytes) };
        assert_eq!((segment.extent(), extent_of(&path).unwrap()), (extent, extent));
        assert_eq!(header_of(&path).unwrap(), FoundHeader::Second(header));
        let again = OpenSegment::create(directory.path(), &Disk, &header).map(drop);
        assert!(matches!(again, Err(StoreError::Intruded { .. })));
        // Another one appends.
        std::fs::write(&path, [&bytes[..], b"!"].concat()).unwrap();
        assert!(matches!(segment.append(b"more"), Err(StoreError::Intruded { .. })));
        assert_eq!(std::fs::read(&path).unwrap().len(), bytes.len() + 1, "nothing was added to it");
        std::fs::remove_file(&path).unwrap();
        assert!(segment.append(b"more").is_err());
    }

    #[test]
    fn a_torn_end_is_cut_and_what_survives_follows() {
        let directory = tempfile::tempdir().unwrap();
        let path = segment_path(directory.path(), 1);
        let header = SegmentHeader { number: 1, first_group: 1, ..SegmentHeader::default() };
        let continued = |length: u64, survivors: &[u8]| {
            let segment = OpenSegment::continue_at(path.clone(), &Disk, length, survivors, &header).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(segment.extent(), Extent { length: bytes.len() as u64, checksum: crc32fast::hash(&bytes) });
            bytes
        };
        std::fs::write(&path, "0123456789").unwrap();
        assert_eq!(continued(10, b""), b"0123456789");
        assert_eq!(continued(4, b""), b"0123");
        assert_eq!(continued(3, b"xy"), b"012xy");
        assert_eq!(continued(0, b"z"), [&header.to_bytes()[..], b"z"].concat(), "one without a header gets it");
    }
}
