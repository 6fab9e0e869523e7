//! Reads a journal segment from start to end and skips damage.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::frame::{self, GroupMark, MAGIC, Parsed};
use super::place::Place;
use super::segment::FoundHeader;

const READ_BYTES: usize = 1 << 20;

/// An item of a scan.
#[derive(Debug)]
pub enum ScanItem {
    /// An intact frame.
    Record { place: Place, mark: GroupMark, record: Vec<u8> },
    /// Bytes that are not a frame, followed by an intact frame.
    Damage { bytes: Range<u64> },
    /// Bytes at the segment's end that are not a complete frame: a crash leaves them behind.
    Tail { bytes: Range<u64> },
}

/// Scans one segment. Holds at most one frame and a megabyte of read-ahead.
pub struct Scan {
    path: PathBuf,
    file: File,
    segment: u32,
    buffer: Vec<u8>,
    /// The start of the unread bytes in `buffer`.
    start: usize,
    /// The start of the unread bytes in the file.
    offset: u64,
    ended: bool,
}

impl Scan {
    /// Begins at `offset`, which must be the start of a frame; 0 means the first frame. A damaged header is damage before it.
    pub fn open(path: &Path, segment: u32, offset: u64) -> Result<Self, StoreError> {
        use std::io::Seek;
        let mut file = File::open(path).map_err(StoreError::io("open", path))?;
        let header = FoundHeader::read(&file).map_err(StoreError::io("read", path))?;
        let offset = offset.max(header.frames_start());
        file.seek(std::io::SeekFrom::Start(offset)).map_err(StoreError::io("read", path))?;
        Ok(Self { path: path.to_owned(), file, segment, buffer: Vec::new(), start: 0, offset, ended: false })
    }

    /// Returns the next item, `None` at the end.
    pub fn next(&mut self) -> Result<Option<ScanItem>, StoreError> {
        let begin = self.offset;
        loop {
            match frame::parse(&self.buffer[self.start..]) {
                Parsed::Frame { .. } if begin < self.offset => {
                    return Ok(Some(ScanItem::Damage { bytes: begin..self.offset }));
                }
                Parsed::Frame { length, checksum, mark, record } => {
                    let place = Place { segment: self.segment, offset: self.offset, length: length as u32, checksum };
                    self.skip(length);
                    return Ok(Some(ScanItem::Record { place, mark, record }));
                }
                Parsed::Short { needed } if !self.ended => self.fill(needed)?,
                // A damaged length may exceed the file: look for a frame inside it.
                Parsed::Short { .. } | Parsed::Damaged if self.start < self.buffer.len() => self.skip_to_magic(),
                _ if begin < self.offset => return Ok(Some(ScanItem::Tail { bytes: begin..self.offset })),
                _ => return Ok(None),
            }
        }
    }

    /// Skips to the next possible start of a frame, at least one byte further.
    fn skip_to_magic(&mut self) {
        let unread = &self.buffer[self.start + 1..];
        let distance = memchr::memmem::find(unread, &MAGIC)
            // The buffer's end may split the magic; its last three bytes are checked again.
            .unwrap_or_else(|| if self.ended { unread.len() } else { unread.len().saturating_sub(MAGIC.len() - 1) });
        self.skip(1 + distance);
    }

    fn skip(&mut self, length: usize) {
        self.start += length;
        self.offset += length as u64;
    }

    /// Reads until `needed` unread bytes are available, or the file ends.
    fn fill(&mut self, needed: usize) -> Result<(), StoreError> {
        self.buffer.drain(..self.start);
        self.start = 0;
        while self.buffer.len() < needed {
            let wanted = READ_BYTES.max(needed) as u64;
            let count = (&self.file).take(wanted).read_to_end(&mut self.buffer);
            if count.map_err(StoreError::io("read", &self.path))? == 0 {
                self.ended = true;
                break;
            }
        }
        Ok(())
    }
}
