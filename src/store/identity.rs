//! The identities that follow from what a store holds: of an answer's frame, and of the start without a name.

use super::entry::Entry;
use super::record;
use super::start::{FrameId, StartId};
use crate::conversation::{ContentHasher, Digest};

/// Returns the identity of an answer of this start; `None` for other entries. One of another store has a start of its own.
pub fn frame_of(entry: &Entry, start: StartId) -> Option<FrameId> {
    match entry {
        Entry::Answered { .. } => Some(FrameId { record: record_hash(entry), start }),
        Entry::Kept(kept) => Some(FrameId { record: record_hash(&kept.paid()), start: kept.start }),
        _ => None,
    }
}

/// Returns the hash of an entry's record, in the oldest version that holds it.
fn record_hash(entry: &Entry) -> Digest {
    let mut bytes = Vec::new();
    // An entry that was read from a store fits into one.
    let _ = record::encode_entry(entry, &mut bytes);
    let mut hasher = ContentHasher::default();
    hasher.update(&bytes);
    hasher.finish()
}

/// Finds the id of the start without a name, which has written what is before the first start: a hash of the store's first runs
/// and of the first entry after them.
#[derive(Debug, Default)]
pub struct Beginning(Option<Digest>);

impl Beginning {
    /// Takes the next entry of the store. Returns true once the id is certain.
    pub fn take(&mut self, entry: &Entry) -> bool {
        if matches!(entry, Entry::Start(_)) {
            return true;
        }
        if entry.is_kept() {
            return false;
        }
        let hash = record_hash(entry);
        self.0 = Some(self.0.map_or(hash, |before| before.then(&hash)));
        !matches!(entry, Entry::Run(_))
    }

    /// Returns the id; `None` where nothing is before the first start.
    pub fn start(&self) -> Option<StartId> {
        self.0.map(|beginning| StartId(*beginning.0.first_chunk().expect("a hash has 32 bytes")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::entries;
    use super::*;

    const START: StartId = StartId([7; 16]);

    fn unnamed(entries: &[Entry]) -> Option<StartId> {
        let mut beginning = Beginning::default();
        let _ = entries.iter().any(|entry| beginning.take(entry));
        beginning.start()
    }

    #[test]
    fn the_start_without_a_name_is_known_by_how_the_store_begins() {
        let all = entries();
        let known = unnamed(&all).unwrap();
        assert_eq!(unnamed(&all[..2]), Some(known), "also when the store was younger");
        assert_eq!(unnamed(&[&all[..3], &[Entry::Start(START)]].concat()), Some(known));
        assert_ne!(unnamed(&all[1..]), Some(known));
        assert_ne!(unnamed(&[&all[..1], &all[2..]].concat()), Some(known));
        assert_eq!(unnamed(&[&[Entry::Start(START)], &all[..]].concat()), None);
        assert_eq!(unnamed(&[]), None);
        let kept = Entry::KeptRun { start: START, run: crate::store::Run::default() };
        assert_eq!(unnamed(&[&[kept], &all[..]].concat()), Some(known), "what comes from other stores does not count");
    }

    #[test]
    fn an_answer_keeps_its_identity_in_another_store() {
        let all = entries();
        assert_eq!(frame_of(&all[0], START), None);
        let paid = frame_of(&all[1], START).unwrap();
        assert_ne!(frame_of(&all[2], START), Some(paid));
        assert_ne!(frame_of(&all[1], StartId([8; 16])), Some(paid), "another one has paid");
        let Entry::Answered { run, conversation, slot, fingerprint, model, answer } = all[1].clone() else { panic!() };
        let standing = crate::store::KeptStanding::Used;
        let start = START;
        let kept = crate::store::KeptAnswer { start, standing, run, conversation, slot, fingerprint, model, answer };
        assert_eq!(frame_of(&Entry::Kept(Box::new(kept)), StartId([8; 16])), Some(paid));
    }
}
