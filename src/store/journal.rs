//! The answer journal: append-only segments, one writer, one `fdatasync` per group of entries.

use std::cmp::Ordering;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::aside::finish_interrupted;
use super::continuity::FoundSegment;
use super::entry::Entry;
use super::error::StoreError;
use super::frame::{self, GroupMark, HEADER_BYTES, Parsed};
use super::medium::{Disk, Medium};
use super::place::{Damage, Place, Position};
use super::record::{self, Unreadable};
use super::scan::{Scan, ScanItem};
use super::segment::{SegmentHeader, read_range, segment_numbers, segment_path};
use super::torn::{Stretch, TornEnd};
use super::writer::{JournalWriter, OpenSegment, extent_of, header_of};
use crate::files;

const FRAME_BYTES_MAX: usize = HEADER_BYTES + super::codec::RECORD_BYTES_MAX;
/// A segment that has reached this size is followed by a new one.
pub const SEGMENT_BYTES: u64 = 256 << 20;
/// Levels of directories whose names must be made durable: the journal, the store, and the directory that holds it.
const SYNCED_LEVELS: usize = 2;

/// The journal of one store.
pub struct Journal {
    directory: PathBuf,
    segment_bytes: u64,
    medium: Arc<dyn Medium>,
    writer: Mutex<JournalWriter>,
    /// Read handles by segment number; 0 is unused.
    segments: RwLock<Vec<Option<Arc<File>>>>,
}

/// What is found where an entry should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The frame, with damage in it.
    Damaged,
    /// Something else, or nothing.
    Other,
}

impl Journal {
    /// Opens the journal in `directory` for reading, and creates it where it is missing. Entries can be appended after
    /// [`Journal::recover`].
    pub fn open(directory: &Path, segment_bytes: u64, medium: Arc<dyn Medium>) -> Result<Self, StoreError> {
        medium.create_directory(directory).map_err(StoreError::io("create", directory))?;
        finish_interrupted(directory, &*medium)?;
        files::sync_ancestors(directory, SYNCED_LEVELS, |path| medium.sync_directory(path))
            .map_err(|(path, source)| StoreError::Io { action: "sync", path, source })?;
        let (directory, segments) = (directory.to_owned(), RwLock::default());
        Ok(Self { directory, segment_bytes, medium, writer: Mutex::new(JournalWriter::new()), segments })
    }

    /// Opens the journal for reading only: nothing is truncated, nothing can be appended.
    pub fn open_read_only(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            segment_bytes: SEGMENT_BYTES,
            medium: Arc::new(Disk),
            writer: Mutex::new(JournalWriter::new()),
            segments: RwLock::default(),
        }
    }

    /// Makes the journal ready to be appended to. Everything up to `durable` is known to have been acknowledged; what the
    /// last group left behind it unfinished is cut off and returned.
    pub fn recover(&self, durable: Position) -> Result<Option<Damage>, StoreError> {
        let mut writer = self.writer();
        let Some(&last) = segment_numbers(&self.directory)?.last() else {
            writer.poisoned = false;
            return Ok(None);
        };
        let path = segment_path(&self.directory, last);
        let length = length_of(&path)?;
        let mut torn = self.torn_end(last, durable)?;
        let mut survivors = Vec::new();
        let mut scan = Scan::open(&path, last, 0)?;
        while let Some(found) = scan.next()? {
            let stretch = stretch_of(&found);
            torn.add(&stretch);
            match (torn.start(), stretch) {
                (Some(_), Stretch::Frame { bytes, .. }) => survivors.push(bytes),
                (None, _) => survivors.clear(),
                _ => {}
            }
        }
        let whole = torn.start().unwrap_or(length);
        let group = torn.last_mark().next_group();
        let mut kept = Vec::new();
        for bytes in survivors {
            kept.extend(read_range(&path, &bytes)?);
        }
        let previous = match last.checked_sub(1).map(|number| segment_path(&self.directory, number)) {
            Some(before) if whole == 0 && before.exists() => {
                Some(extent_of(&before).map_err(StoreError::io("read", &before))?)
            }
            _ => None,
        };
        let header = SegmentHeader { number: last, first_group: group, previous, rewritten: None };
        writer.open = Some(OpenSegment::continue_at(path.clone(), &*self.medium, whole, &kept, &header)?);
        writer.last_segment = last;
        writer.group = group;
        writer.poisoned = false;
        let end = length - kept.len() as u64;
        Ok((whole < end).then_some(Damage { path, bytes: whole..end }))
    }

    /// Appends entries and syncs them. Returns their places, in order.
    ///
    /// After an error nothing more is accepted: the bytes on disk are unknown until the journal is reopened.
    pub fn append(&self, entries: &[Entry]) -> Result<Vec<Place>, StoreError> {
        let mut writer = self.writer();
        if writer.poisoned {
            return Err(StoreError::Poisoned);
        }
        let frames = writer.encode_frames(entries)?;
        writer.write_frames(&self.directory, self.segment_bytes, &*self.medium, &frames)
    }

    /// Returns where the next entry goes.
    pub fn end(&self) -> Position {
        self.writer().end()
    }

    /// Returns the entry at `place`; `None` if the bytes there are not the frame that was written.
    pub fn read(&self, place: Place) -> Result<Option<Entry>, StoreError> {
        let path = segment_path(&self.directory, place.segment);
        let Some(bytes) = self.bytes_at(place, place.length as usize)? else { return Ok(None) };
        match frame::parse(&bytes) {
            Parsed::Frame { length, checksum, record, .. } if length == bytes.len() && checksum == place.checksum => {
                read_record(&record, &path)
            }
            _ => Ok(None),
        }
    }

    /// Returns what stands at `place`, whose entry cannot be read.
    pub fn standing(&self, place: Place) -> Result<Standing, StoreError> {
        let header = self.bytes_at(place, HEADER_BYTES)?.unwrap_or_default();
        let is_frame = frame::parse(&header) == Parsed::Short { needed: place.length as usize };
        Ok(if is_frame { Standing::Damaged } else { Standing::Other })
    }

    fn bytes_at(&self, place: Place, length: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let path = segment_path(&self.directory, place.segment);
        if length > FRAME_BYTES_MAX {
            return Ok(None);
        }
        let segment = match self.segment(place.segment) {
            Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let mut bytes = vec![0; length];
        match segment.read_exact_at(&mut bytes, place.offset) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            other => other.map(|()| Some(bytes)).map_err(StoreError::io("read", &path)),
        }
    }

    /// Calls `visit` with every intact entry from `from` on. Returns the damage found; the torn end of the last group does
    /// not count. Everything up to `durable` is known to have been acknowledged.
    pub fn for_each(
        &self,
        from: Position,
        durable: Position,
        mut visit: impl FnMut(Place, Entry) -> Result<(), StoreError>,
    ) -> Result<Vec<Damage>, StoreError> {
        let mut damages = Vec::new();
        let numbers = segment_numbers(&self.directory)?;
        for &segment in numbers.iter().filter(|number| **number >= from.segment) {
            let path = segment_path(&self.directory, segment);
            let offset = if segment == from.segment { from.offset } else { 0 };
            let mut torn = self.torn_end(segment, durable)?;
            let damaged_before = damages.len();
            let mut scan = Scan::open(&path, segment, offset)?;
            while let Some(found) = scan.next()? {
                torn.add(&stretch_of(&found));
                match found {
                    ScanItem::Record { place, record, .. } => match read_record(&record, &path)? {
                        Some(entry) => visit(place, entry)?,
                        None => damages.push(Damage { path: path.clone(), bytes: place.offset..place.end().offset }),
                    },
                    ScanItem::Damage { bytes } | ScanItem::Tail { bytes } => {
                        damages.push(Damage { path: path.clone(), bytes });
                    }
                }
            }
            if let Some(start) = torn.start().filter(|_| Some(&segment) == numbers.last()) {
                let found = damages.split_off(damaged_before);
                damages.extend(found.into_iter().filter(|damage| damage.bytes.start < start));
            }
        }
        Ok(damages)
    }

    /// Returns the segments as they are, with the checksums of their bytes if wanted.
    pub fn found_segments(&self, with_checksums: bool) -> Result<Vec<FoundSegment>, StoreError> {
        let numbers = segment_numbers(&self.directory)?;
        let found = numbers.iter().map(|&number| {
            let path = segment_path(&self.directory, number);
            let checksum = || files::checksum_of(&path).map_err(StoreError::io("read", &path));
            let checksum = with_checksums.then(checksum).transpose()?.map(crc32fast::Hasher::finalize);
            Ok(FoundSegment { number, length: length_of(&path)?, header: header_of(&path)?.second(), checksum })
        });
        found.collect()
    }

    /// Returns the number of bytes after `from`, for a progress display.
    pub fn bytes_from(&self, from: Position) -> Result<u64, StoreError> {
        let mut total = 0;
        for segment in segment_numbers(&self.directory)?.into_iter().filter(|number| *number >= from.segment) {
            let length = length_of(&segment_path(&self.directory, segment))?;
            total += if segment == from.segment { length.saturating_sub(from.offset) } else { length };
        }
        Ok(total)
    }

    fn torn_end(&self, segment: u32, durable: Position) -> Result<TornEnd, StoreError> {
        let header = header_of(&segment_path(&self.directory, segment))?;
        let before = header.second().map_or(GroupMark::default(), |header| GroupMark::end_before(header.first_group));
        let durable = match durable.segment.cmp(&segment) {
            Ordering::Less => 0,
            Ordering::Equal => durable.offset,
            Ordering::Greater => u64::MAX,
        };
        Ok(TornEnd::new(durable, before))
    }

    fn writer(&self) -> MutexGuard<'_, JournalWriter> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn segment(&self, number: u32) -> Result<Arc<File>, StoreError> {
        let index = number as usize;
        let known = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(Some(file)) = known.get(index) {
            return Ok(Arc::clone(file));
        }
        drop(known);
        let path = segment_path(&self.directory, number);
        let file = Arc::new(File::open(&path).map_err(StoreError::io("open", &path))?);
        let mut known = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() <= index {
            known.resize(index + 1, None);
        }
        known[index] = Some(Arc::clone(&file));
        Ok(file)
    }
}

pub(super) fn stretch_of(found: &ScanItem) -> Stretch {
    match found {
        ScanItem::Record { place, mark, .. } => Stretch::Frame { bytes: place.offset..place.end().offset, mark: *mark },
        ScanItem::Damage { bytes } | ScanItem::Tail { bytes } => Stretch::Hole { bytes: bytes.clone() },
    }
}

/// Reads an entry's record; `None` where its bytes are no entry.
pub(super) fn read_record(record: &[u8], path: &Path) -> Result<Option<Entry>, StoreError> {
    match record::decode_entry(record) {
        Ok(entry) => Ok(Some(entry)),
        Err(Unreadable::Malformed) => Ok(None),
        Err(Unreadable::Newer(version)) => Err(StoreError::Newer { path: path.to_owned(), version }),
    }
}

fn length_of(path: &Path) -> Result<u64, StoreError> {
    Ok(fs::metadata(path).map_err(StoreError::io("read", path))?.len())
}
