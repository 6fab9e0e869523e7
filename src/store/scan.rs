//! Reads a journal segment from front to back, over whatever damage it has.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::frame::{self, MAGIC, Parsed};
use super::place::{Place, SEGMENT_HEADER};

const READ_BYTES: usize = 1 << 20;

/// What a scan meets.
#[derive(Debug)]
pub enum ScanItem {
    /// A whole frame.
    Record { place: Place, record: Vec<u8> },
    /// Bytes that are no frame, with a whole frame after them.
    Damage { bytes: Range<u64> },
    /// Bytes at the segment's end that are no whole frame: what a crash leaves behind.
    Tail { bytes: Range<u64> },
}

/// Walks over one segment. Holds one frame and a megabyte of read-ahead at most.
pub struct Scan {
    path: PathBuf,
    file: File,
    segment: u32,
    buffer: Vec<u8>,
    /// Where in `buffer` the unread bytes begin.
    start: usize,
    /// Where in the file the unread bytes begin.
    offset: u64,
    ended: bool,
}

impl Scan {
    /// Begins at `offset`, which must be a frame's beginning; 0 stands for the first frame.
    pub fn open(path: &Path, segment: u32, offset: u64) -> Result<Self, StoreError> {
        use std::io::Seek;
        let mut file = File::open(path).map_err(StoreError::io("open", path))?;
        let offset = offset.max(SEGMENT_HEADER.len() as u64);
        file.seek(std::io::SeekFrom::Start(offset)).map_err(StoreError::io("read", path))?;
        Ok(Self { path: path.to_owned(), file, segment, buffer: Vec::new(), start: 0, offset, ended: false })
    }

    /// Returns the next finding, `None` at the end.
    pub fn next(&mut self) -> Result<Option<ScanItem>, StoreError> {
        let begin = self.offset;
        loop {
            match frame::parse(&self.buffer[self.start..]) {
                Parsed::Frame { .. } if begin < self.offset => {
                    return Ok(Some(ScanItem::Damage { bytes: begin..self.offset }));
                }
                Parsed::Frame { length, checksum, record } => {
                    let place = Place { segment: self.segment, offset: self.offset, length: length as u32, checksum };
                    self.skip(length);
                    return Ok(Some(ScanItem::Record { place, record }));
                }
                Parsed::Short { needed } if !self.ended => self.fill(needed)?,
                // A damaged length may ask for more than there is: look for a frame inside it.
                Parsed::Short { .. } | Parsed::Damaged if self.start < self.buffer.len() => self.skip_to_magic(),
                _ if begin < self.offset => return Ok(Some(ScanItem::Tail { bytes: begin..self.offset })),
                _ => return Ok(None),
            }
        }
    }

    /// Goes to the next place where a frame may begin, at least one byte on.
    fn skip_to_magic(&mut self) {
        let unread = &self.buffer[self.start + 1..];
        let distance = memchr::memmem::find(unread, &MAGIC)
            // The magic may be cut by the buffer's end; its last three bytes are looked at again.
            .unwrap_or_else(|| if self.ended { unread.len() } else { unread.len().saturating_sub(MAGIC.len() - 1) });
        self.skip(1 + distance);
    }

    fn skip(&mut self, length: usize) {
        self.start += length;
        self.offset += length as u64;
    }

    /// Reads until `needed` unread bytes are there, or the file ends.
    fn fill(&mut self, needed: usize) -> Result<(), StoreError> {
        self.buffer.drain(..self.start);
        self.start = 0;
        while self.buffer.len() < needed {
            let wanted = READ_BYTES.max(needed - self.buffer.len()) as u64;
            let count = (&self.file).take(wanted).read_to_end(&mut self.buffer);
            if count.map_err(StoreError::io("read", &self.path))? == 0 {
                self.ended = true;
                break;
            }
        }
        Ok(())
    }
}
