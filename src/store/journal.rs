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
use super::identity::Beginning;
use super::medium::{Disk, Medium};
use super::place::{Damage, Place, Position};
use super::record::{self, Unreadable};
use super::scan::{Scan, ScanItem};
use super::segment::{SegmentHeader, read_range, segment_numbers, segment_path};
use super::start::StartId;
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

    /// As [`Journal::append`]; returns the frames that were written, and where each one ends.
    pub fn append_framed(&self, entries: &[Entry]) -> Result<Vec<(Vec<u8>, Position)>, StoreError> {
        let mut writer = self.writer();
        if writer.poisoned {
            return Err(StoreError::Poisoned);
        }
        let frames = writer.encode_frames(entries)?;
        let places = writer.write_frames(&self.directory, self.segment_bytes, &*self.medium, &frames)?;
        Ok(writer.frames_of(&frames).into_iter().zip(places.iter().map(Place::end)).collect())
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

    /// Returns the id of the start without a name; `None` where nothing is before the first start.
    pub fn unnamed_start(&self) -> Result<Option<StartId>, StoreError> {
        let mut beginning = Beginning::default();
        for segment in segment_numbers(&self.directory)? {
            let path = segment_path(&self.directory, segment);
            let mut scan = Scan::open(&path, segment, 0)?;
            while let Some(found) = scan.next()? {
                if let ScanItem::Record { record, .. } = found
                    && let Some(entry) = read_record(&record, &path)?
                    && beginning.take(&entry)
                {
                    return Ok(beginning.start());
                }
            }
        }
        Ok(beginning.start())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::entry::LostCalls;

    fn lost(number: u8) -> Entry {
        let lost = LostCalls { calls: number.into(), reason: "http_504: gave up".to_owned() };
        Entry::Lost { fingerprint: crate::conversation::Fingerprint([number; 32]), lost }
    }

    fn opened(directory: &Path, segment_bytes: u64) -> Journal {
        let journal = Journal::open(directory, segment_bytes, Arc::new(Disk)).unwrap();
        assert_eq!(journal.recover(Position::default()).unwrap(), None);
        journal
    }

    fn entries(journal: &Journal, from: Position) -> Vec<(Place, Entry)> {
        let mut found = Vec::new();
        let damages = journal.for_each(from, Position::default(), |place, entry| {
            found.push((place, entry));
            Ok(())
        });
        assert_eq!(damages.unwrap(), []);
        found
    }

    #[test]
    fn entries_are_found_at_their_places_and_from_any_position() {
        let directory = tempfile::tempdir().unwrap();
        let journal = opened(directory.path(), 400);
        let mut written = Vec::new();
        for number in 1..=10 {
            let group = [lost(number), lost(100 + number)];
            written.extend(journal.append(&group).unwrap().into_iter().zip(group));
        }
        let segments = journal.found_segments(true).unwrap();
        assert!(segments.len() > 2 && segments.iter().all(|segment| segment.checksum.is_some()), "{}", segments.len());
        assert!(journal.found_segments(false).unwrap().iter().all(|segment| segment.checksum.is_none()));
        let lengths: Vec<u64> = segments.iter().map(|segment| segment.length).collect();
        assert_eq!(journal.bytes_from(Position::default()).unwrap(), lengths.iter().sum::<u64>());
        assert_eq!(entries(&journal, Position::default()), written);
        for (index, (place, entry)) in written.iter().enumerate() {
            assert_eq!(journal.read(*place).unwrap().as_ref(), Some(entry));
            assert_eq!(entries(&journal, place.end()), written[index + 1..], "{index}");
            let later: u64 =
                segments.iter().filter(|found| found.number > place.segment).map(|found| found.length).sum();
            let here = segments.iter().find(|found| found.number == place.segment).unwrap().length;
            assert_eq!(journal.bytes_from(place.end()).unwrap(), here - place.end().offset + later);
        }
        let end = written.last().unwrap().0.end();
        assert_eq!((journal.end(), journal.bytes_from(end).unwrap()), (end, 0));
        assert_eq!(opened(directory.path(), 400).end(), end, "a recovered journal continues where it ended");
        assert!(matches!(Journal::open_read_only(directory.path()).append(&[lost(1)]), Err(StoreError::Poisoned)));
    }

    #[test]
    fn a_place_that_is_not_the_frame_that_was_written_has_no_entry() {
        let directory = tempfile::tempdir().unwrap();
        let journal = opened(directory.path(), SEGMENT_BYTES);
        let places = journal.append(&[lost(1), lost(2)]).unwrap();
        let place = places[0];
        let is_read = |place| journal.read(place).unwrap().is_some();
        assert!(is_read(place));
        assert!(!is_read(Place { checksum: place.checksum ^ 1, ..place }));
        assert!(
            !is_read(Place { length: place.length + 1, ..place })
                && !is_read(Place { length: place.length - 1, ..place })
        );
        assert!(!is_read(Place { offset: place.offset + 1, ..place }) && !is_read(Place { segment: 9, ..place }));
        assert!(!is_read(Place { offset: 1 << 40, ..place }) && !is_read(Place { length: u32::MAX, ..place }));
        assert_eq!(journal.standing(place).unwrap(), Standing::Damaged);
        assert_eq!(journal.standing(Place { length: place.length + 1, ..place }).unwrap(), Standing::Other);
        assert_eq!(journal.standing(Place { segment: 9, ..place }).unwrap(), Standing::Other);
    }

    #[test]
    fn a_torn_end_is_cut_off_and_named() {
        let directory = tempfile::tempdir().unwrap();
        let written = opened(directory.path(), SEGMENT_BYTES).append(&[lost(1)]).unwrap();
        let journal = opened(directory.path(), SEGMENT_BYTES);
        let torn = journal.append(&[lost(2), lost(3)]).unwrap();
        drop(journal);
        let path = segment_path(directory.path(), 1);
        let length = length_of(&path).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(length - 5).unwrap();
        // The first frame of the torn group is whole, and is kept.
        let journal = Journal::open(directory.path(), SEGMENT_BYTES, Arc::new(Disk)).unwrap();
        let damage = journal.recover(written[0].end()).unwrap();
        assert_eq!(damage, Some(Damage { path: path.clone(), bytes: torn[1].offset..length - 5 }));
        let found: Vec<Entry> = entries(&journal, Position::default()).into_iter().map(|(_, entry)| entry).collect();
        assert_eq!(found, [lost(1), lost(2)]);
        assert_eq!(journal.append(&[lost(4)]).unwrap()[0].offset, torn[1].offset);
        assert_eq!(opened(directory.path(), SEGMENT_BYTES).end().offset, length_of(&path).unwrap());
    }

    #[test]
    fn a_segment_that_was_torn_as_it_began_still_says_what_stands_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let journal = opened(directory.path(), 100);
        (1..=2).for_each(|number| assert_eq!(journal.append(&[lost(number)]).unwrap()[0].segment, u32::from(number)));
        drop(journal);
        File::options().write(true).open(segment_path(directory.path(), 2)).unwrap().set_len(10).unwrap();
        let journal = Journal::open(directory.path(), 100, Arc::new(Disk)).unwrap();
        journal.recover(Position::default()).unwrap();
        let found = journal.found_segments(true).unwrap();
        let previous = found[1].header.unwrap().previous.unwrap();
        assert_eq!((found.len(), previous.length, Some(previous.checksum)), (2, found[0].length, found[0].checksum));
    }
}
