//! Who paid: a start of a worker, and the identity of an answer's frame.

use std::fmt;

use crate::conversation::Digest;

/// A start of a process that asks: what it spends is one counter that only grows. Stores that are merged are told apart by it.
///
/// Drawn at random by whoever starts. What a store of an earlier version holds counts as one start, whose id is a hash of how
/// the store begins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StartId(pub [u8; 16]);

impl fmt::Display for StartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for StartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StartId({self})")
    }
}

/// The identity of an answer that was paid for: the BLAKE3 hash of its record as its own store wrote it, and the start that paid
/// for it, which tells equal records apart. Of two answers to one question the smaller one is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameId {
    /// The hash of the record.
    pub record: Digest,
    /// Who paid.
    pub start: StartId,
}

impl FrameId {
    /// The smallest and the largest one.
    pub(super) const BOUNDS: (Self, Self) = (
        Self { record: Digest([0; 32]), start: StartId([0; 16]) },
        Self { record: Digest([u8::MAX; 32]), start: StartId([u8::MAX; 16]) },
    );
}
