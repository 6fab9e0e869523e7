//! Places of frames in the journal's files.

use std::ops::Range;
use std::path::PathBuf;

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

impl Position {
    /// Behind everything.
    pub const MAX: Self = Self { segment: u32::MAX, offset: u64::MAX };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_ordered_by_segments_and_a_place_ends_behind_its_frame() {
        let at = |segment, offset| Position { segment, offset };
        let end = Place { segment: 3, offset: 100, length: 20, checksum: 9 }.end();
        assert_eq!(end, at(3, 120));
        assert!(Position::default() < at(1, 0) && at(2, 999) < end && end < at(4, 0) && at(9, 9) < Position::MAX);
    }
}
