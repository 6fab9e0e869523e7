//! Places of frames in the journal's files.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// The first bytes of every segment file.
pub const SEGMENT_HEADER: [u8; 16] = *b"cohobate journal";

/// The place of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The segment's number, from 1.
    pub segment: u32,
    /// Bytes before the frame.
    pub offset: u64,
    /// Bytes of the frame.
    pub length: u32,
    /// The frame's checksum, which detects another frame at the same place.
    pub checksum: u32,
}

/// A position between two frames; everything before it is covered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The segment's number; 0 is before the first.
    pub segment: u32,
    /// Bytes into the segment.
    pub offset: u64,
}

impl Place {
    /// Returns the position after this frame.
    pub fn end(&self) -> Position {
        Position { segment: self.segment, offset: self.offset + u64::from(self.length) }
    }
}

/// Damage that a scan skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment file.
    pub path: PathBuf,
    /// The bytes that are not a frame.
    pub bytes: Range<u64>,
}

/// Returns the name under which a damaged segment is kept.
pub fn damaged_name(segment: &Path) -> PathBuf {
    segment.with_extension("journal.damaged")
}
