//! Who paid: a start of a worker, and the identity of an answer's frame.

use std::fmt;

use super::entry::Entry;
use super::record;
use crate::conversation::{ContentHasher, Digest};

/// A start of a process that asks: what it spends is one counter that only grows. Stores that are merged are told apart by it.
///
/// Drawn at random by whoever starts. What a store of an earlier version holds counts as one start, whose id is a hash of how
/// the store begins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StartId(pub [u8; 16]);

/// Finds the id of the start without a name, which has written what is before the first start: a hash of the store's first runs
/// and of the first entry after them.
#[derive(Debug, Default)]
pub struct Beginning(Option<Digest>);

impl Beginning {
    /// Takes the next entry of the store. Returns the id once it is certain; the inner `None` where nothing is before the first
    /// start.
    pub fn take(&mut self, entry: &Entry) -> Option<Option<StartId>> {
        if matches!(entry, Entry::Start(_)) {
            return Some(self.start());
        }
        if entry.is_kept() {
            return None;
        }
        let hash = record_hash(entry);
        self.0 = Some(self.0.map_or(hash, |before| before.then(&hash)));
        (!matches!(entry, Entry::Run(_))).then(|| self.start())
    }

    /// Returns the id as it is at the end of the store.
    pub fn start(&self) -> Option<StartId> {
        self.0.map(|beginning| StartId(*beginning.0.first_chunk().expect("a hash has 32 bytes")))
    }
}

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

    /// Returns the identity of an answer of this start; `None` for other entries.
    pub fn of(entry: &Entry, start: StartId) -> Option<Self> {
        match entry {
            Entry::Answered { .. } => Some(Self { record: record_hash(entry), start }),
            Entry::Kept(kept) => Some(Self { record: record_hash(&kept.paid()), start: kept.start }),
            _ => None,
        }
    }
}

/// Returns the hash of an entry's record, in the oldest version that holds it.
pub(super) fn record_hash(entry: &Entry) -> Digest {
    let mut bytes = Vec::new();
    // An entry that was read from a store fits into one.
    let _ = record::encode_entry(entry, &mut bytes);
    let mut hasher = ContentHasher::default();
    hasher.update(&bytes);
    hasher.finish()
}
