//! The answer journal: append-only segments, one writer, one `fdatasync` per group of entries.

use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

use super::entry::Entry;
use super::error::StoreError;
use super::frame::{self, FrameWriter, HEADER_BYTES, Parsed};
use super::medium::{Appendable, Disk, Medium};
use super::place::{Damage, Place, Position, SEGMENT_HEADER, damaged_name};
use super::record::{self, Unreadable};
use super::scan::{Scan, ScanItem};

const FRAME_BYTES_MAX: usize = HEADER_BYTES + super::codec::RECORD_BYTES_MAX;
/// A segment that has reached this size is followed by a new one.
pub const SEGMENT_BYTES: u64 = 256 << 20;

/// The journal of one store.
pub struct Journal {
    directory: PathBuf,
    segment_bytes: u64,
    medium: Arc<dyn Medium>,
    writer: Mutex<JournalWriter>,
    /// Read handles by segment number; 0 is unused.
    segments: RwLock<Vec<Option<Arc<File>>>>,
}

struct JournalWriter {
    frames: FrameWriter,
    record: Vec<u8>,
    buffer: Vec<u8>,
    open: Option<Segment>,
    last_segment: u32,
    poisoned: bool,
}

struct Segment {
    file: Box<dyn Appendable>,
    path: PathBuf,
    length: u64,
}

impl Journal {
    /// Opens the journal in `directory` for reading and appending. Truncates a torn tail of the last segment.
    pub fn open(
        directory: &Path,
        segment_bytes: u64,
        medium: Arc<dyn Medium>,
    ) -> Result<(Self, Option<Damage>), StoreError> {
        fs::create_dir_all(directory).map_err(StoreError::io("create", directory))?;
        for ancestor in directory.ancestors().take(3).filter(|ancestor| ancestor.is_dir()) {
            medium.sync_directory(ancestor).map_err(StoreError::io("sync", ancestor))?;
        }
        let mut writer = JournalWriter::new();
        let mut cut = None;
        if let Some(&last) = segment_numbers(directory)?.last() {
            let path = segment_path(directory, last);
            let length = fs::metadata(&path).map_err(StoreError::io("read", &path))?.len();
            let file = medium.open(&path).map_err(StoreError::io("open", &path))?;
            writer.last_segment = last;
            let whole = whole_length(&path, last)?;
            if whole < length {
                cut = Some(Damage { path: path.clone(), bytes: whole..length });
            }
            let mut segment = Segment { file, path, length: whole };
            if whole < length {
                segment.file.cut(whole).map_err(StoreError::io("truncate the torn end of", &segment.path))?;
            }
            if whole < SEGMENT_HEADER.len() as u64 {
                segment.write_header()?;
            }
            segment.file.sync().map_err(StoreError::io("sync", &segment.path))?;
            writer.open = Some(segment);
        }
        let segments = RwLock::default();
        let directory = directory.to_owned();
        let journal = Self { directory, segment_bytes, medium, writer: Mutex::new(writer), segments };
        Ok((journal, cut))
    }

    /// Opens the journal for reading only: nothing is truncated, nothing can be appended.
    pub fn open_read_only(directory: &Path) -> Self {
        let mut writer = JournalWriter::new();
        writer.poisoned = true;
        Self {
            directory: directory.to_owned(),
            segment_bytes: SEGMENT_BYTES,
            medium: Arc::new(Disk),
            writer: Mutex::new(writer),
            segments: RwLock::default(),
        }
    }

    /// Appends entries and syncs them. Returns their places, in order.
    ///
    /// After an error nothing more is accepted: the bytes on disk are unknown until the journal is reopened.
    pub fn append(&self, entries: &[Entry]) -> Result<Vec<Place>, StoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if writer.poisoned {
            return Err(StoreError::Poisoned);
        }
        let frames = writer.encode_frames(entries)?;
        writer.write_frames(self, &frames)
    }

    /// Returns the entry at `place`; `None` if the bytes there are not the frame that was written.
    pub fn read(&self, place: Place) -> Result<Option<Entry>, StoreError> {
        let path = segment_path(&self.directory, place.segment);
        if place.length as usize > FRAME_BYTES_MAX {
            return Ok(None);
        }
        let segment = match self.segment(place.segment) {
            Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let mut bytes = vec![0; place.length as usize];
        match segment.read_exact_at(&mut bytes, place.offset) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other.map_err(StoreError::io("read", &path))?,
        }
        match frame::parse(&bytes) {
            Parsed::Frame { length, checksum, record } if length == bytes.len() && checksum == place.checksum => {
                read_record(&record, &path)
            }
            _ => Ok(None),
        }
    }

    /// Calls `visit` with every intact entry from `from` on. Returns the damage found; a torn tail of the last segment
    /// does not count.
    pub fn for_each(
        &self,
        from: Position,
        mut visit: impl FnMut(Place, Entry) -> Result<(), StoreError>,
    ) -> Result<Vec<Damage>, StoreError> {
        let mut damages = Vec::new();
        let numbers = segment_numbers(&self.directory)?;
        for &segment in numbers.iter().filter(|number| **number >= from.segment) {
            let path = segment_path(&self.directory, segment);
            let offset = if segment == from.segment { from.offset } else { 0 };
            let mut scan = Scan::open(&path, segment, offset)?;
            while let Some(found) = scan.next()? {
                match found {
                    ScanItem::Record { place, record } => match read_record(&record, &path)? {
                        Some(entry) => visit(place, entry)?,
                        None => damages.push(Damage { path: path.clone(), bytes: place.offset..place.end().offset }),
                    },
                    ScanItem::Tail { .. } if Some(&segment) == numbers.last() => {}
                    ScanItem::Damage { bytes } | ScanItem::Tail { bytes } => {
                        damages.push(Damage { path: path.clone(), bytes });
                    }
                }
            }
        }
        Ok(damages)
    }

    /// Rewrites every damaged segment without the damage and without a torn tail. The old file is kept beside it.
    pub fn rewrite_damaged(&self) -> Result<Vec<Damage>, StoreError> {
        let mut damages = Vec::new();
        for segment in segment_numbers(&self.directory)? {
            let path = segment_path(&self.directory, segment);
            let bytes_of = |place: Place| place.offset..place.end().offset;
            let (mut whole, mut bad) = (Vec::new(), Vec::new());
            let mut scan = Scan::open(&path, segment, 0)?;
            while let Some(found) = scan.next()? {
                match found {
                    ScanItem::Record { place, record } => match read_record(&record, &path)? {
                        Some(_) => whole.push(bytes_of(place)),
                        None => bad.push(bytes_of(place)),
                    },
                    ScanItem::Damage { bytes } | ScanItem::Tail { bytes } => bad.push(bytes),
                }
            }
            if !bad.is_empty() {
                rewrite_segment(&path, &whole)?;
                damages.extend(bad.into_iter().map(|bytes| Damage { path: path.clone(), bytes }));
            }
        }
        self.medium.sync_directory(&self.directory).map_err(StoreError::io("sync", &self.directory))?;
        Ok(damages)
    }

    /// Returns the number of bytes after `from`, for a progress display.
    pub fn bytes_from(&self, from: Position) -> Result<u64, StoreError> {
        let mut total = 0;
        for segment in segment_numbers(&self.directory)?.into_iter().filter(|number| *number >= from.segment) {
            let path = segment_path(&self.directory, segment);
            let length = fs::metadata(&path).map_err(StoreError::io("read", &path))?.len();
            total += if segment == from.segment { length.saturating_sub(from.offset) } else { length };
        }
        Ok(total)
    }

    fn segment(&self, number: u32) -> Result<Arc<File>, StoreError> {
        let index = number as usize;
        let known = self.segments.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(Some(file)) = known.get(index) {
            return Ok(Arc::clone(file));
        }
        drop(known);
        let path = segment_path(&self.directory, number);
        let file = Arc::new(File::open(&path).map_err(StoreError::io("open", &path))?);
        let mut known = self.segments.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if known.len() <= index {
            known.resize(index + 1, None);
        }
        known[index] = Some(Arc::clone(&file));
        Ok(file)
    }
}

impl JournalWriter {
    fn new() -> Self {
        Self {
            frames: FrameWriter::new(),
            record: Vec::new(),
            buffer: Vec::new(),
            open: None,
            last_segment: 0,
            poisoned: false,
        }
    }

    /// Fills the buffer with one frame per entry and returns their lengths and checksums. Writes nothing yet.
    fn encode_frames(&mut self, entries: &[Entry]) -> Result<Vec<(u32, u32)>, StoreError> {
        self.buffer.clear();
        entries
            .iter()
            .map(|entry| {
                self.record.clear();
                if !record::encode_entry(entry, &mut self.record) {
                    let length = entry_length(entry);
                    return Err(StoreError::TooLarge { length, limit: super::codec::RECORD_BYTES_MAX });
                }
                let start = self.buffer.len();
                let checksum = self.frames.append(&self.record, &mut self.buffer);
                Ok(((self.buffer.len() - start) as u32, checksum))
            })
            .collect()
    }

    fn write_frames(&mut self, journal: &Journal, frames: &[(u32, u32)]) -> Result<Vec<Place>, StoreError> {
        // Until the sync succeeds, the file's contents are unknown; see `Journal::append`.
        self.poisoned = true;
        if self.open.as_ref().is_none_or(|segment| segment.length >= journal.segment_bytes) {
            self.open = Some(Segment::create(journal, self.last_segment + 1)?);
            self.last_segment += 1;
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
        self.poisoned = false;
        Ok(places)
    }
}

impl Segment {
    /// Creates a segment and makes its name durable before anything is appended.
    fn create(journal: &Journal, number: u32) -> Result<Self, StoreError> {
        let path = segment_path(&journal.directory, number);
        let file = journal.medium.create(&path).map_err(StoreError::io("create", &path))?;
        let mut segment = Self { file, path, length: 0 };
        segment.write_header()?;
        let synced = journal.medium.sync_directory(&journal.directory);
        synced.map_err(StoreError::io("sync", &journal.directory))?;
        Ok(segment)
    }

    /// Writes the header into an empty file.
    fn write_header(&mut self) -> Result<(), StoreError> {
        self.file.cut(0).map_err(StoreError::io("write", &self.path))?;
        self.length = 0;
        self.append(&SEGMENT_HEADER)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        // After an error, complete frames may be on disk although nobody was told: the next open keeps them and
        // truncates a torn tail.
        let written = self.file.append(bytes).and_then(|()| self.file.sync());
        written.map_err(StoreError::io("write", &self.path))?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}

/// Returns the length of a segment up to the end of its last intact frame.
fn whole_length(path: &Path, segment: u32) -> Result<u64, StoreError> {
    let length = fs::metadata(path).map_err(StoreError::io("read", path))?.len();
    if length < SEGMENT_HEADER.len() as u64 {
        return Ok(0);
    }
    let mut scan = Scan::open(path, segment, 0)?;
    while let Some(found) = scan.next()? {
        if let ScanItem::Tail { bytes } = found {
            return Ok(bytes.start);
        }
    }
    Ok(length)
}

/// Replaces a segment by one that holds only `parts` of it.
fn rewrite_segment(path: &Path, parts: &[Range<u64>]) -> Result<(), StoreError> {
    let partial = path.with_extension("journal.partial");
    let old = File::open(path).map_err(StoreError::io("open", path))?;
    let written = File::create(&partial).and_then(|mut new| {
        new.append(&SEGMENT_HEADER)?;
        for part in parts {
            let mut bytes = vec![0; (part.end - part.start) as usize];
            old.read_exact_at(&mut bytes, part.start)?;
            new.append(&bytes)?;
        }
        new.sync_all()
    });
    written.map_err(StoreError::io("write", &partial))?;
    fs::rename(path, damaged_name(path)).map_err(StoreError::io("move aside", path))?;
    fs::rename(&partial, path).map_err(StoreError::io("replace", path))
}

fn read_record(record: &[u8], path: &Path) -> Result<Option<Entry>, StoreError> {
    match record::decode_entry(record) {
        Ok(entry) => Ok(Some(entry)),
        Err(Unreadable::Malformed) => Ok(None),
        Err(Unreadable::Newer(version)) => Err(StoreError::Newer { path: path.to_owned(), version }),
    }
}

fn entry_length(entry: &Entry) -> usize {
    match entry {
        Entry::Answered { answer, .. } => answer.text().len() + answer.reasoning.as_ref().map_or(0, String::len),
        _ => HEADER_BYTES,
    }
}

fn segment_path(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("{number:08}.journal"))
}

/// Returns the numbers of the segments, ascending.
fn segment_numbers(directory: &Path) -> Result<Vec<u32>, StoreError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(StoreError::io("read", directory))?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(StoreError::io("read", directory))?.file_name();
        let number =
            name.to_str().and_then(|name| name.strip_suffix(".journal")).and_then(|stem| stem.parse::<u32>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}
