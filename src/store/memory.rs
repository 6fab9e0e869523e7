use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::entry::{ConversationState, Entry, LostCalls, Run, Spending, Stored};
use super::error::StoreError;
use super::identity::Beginning;
use super::index::{IndexReader, MemoryIndex};
use super::origins::KeptRunId;
use super::place::Place;
use super::start::StartId;
use super::{Reader, Store};
use crate::conversation::{ConversationKey, Fingerprint};

/// A store in memory: a list of entries and the same fold over them. The tests use it as the oracle.
#[derive(Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    entries: Vec<Entry>,
    index: MemoryIndex,
}

impl MemoryStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns everything that was committed, in order.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().entries.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the id of the start without a name.
fn unnamed_start(entries: &[Entry]) -> Option<StartId> {
    let mut beginning = Beginning::default();
    let _ = entries.iter().any(|entry| beginning.take(entry));
    beginning.start()
}

impl Store for MemoryStore {
    fn commit(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        let Inner { entries: all, index } = &mut *self.lock();
        for entry in entries {
            let place = Place { segment: 1, offset: all.len() as u64, length: 1, checksum: 0 };
            index.add(place, &entry);
            all.push(entry);
        }
        Ok(())
    }
}

impl Reader for MemoryStore {
    fn answer(&self, fingerprint: &Fingerprint) -> Result<Option<Stored>, StoreError> {
        let inner = self.lock();
        let place = inner.index.place(fingerprint)?;
        let numbers = inner.index.origins.run_numbers();
        let entry = place.and_then(|place| inner.entries.get(place.offset as usize));
        Ok(entry.and_then(|entry| Stored::renumbered(entry, &numbers)))
    }

    fn state(&self, key: &ConversationKey) -> Result<Option<ConversationState>, StoreError> {
        self.lock().index.state(key)
    }

    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), StoreError> {
        self.lock().index.for_each_state(visit)
    }

    fn runs(&self) -> Result<Vec<Run>, StoreError> {
        self.lock().index.runs()
    }

    fn lost(&self, fingerprint: &Fingerprint) -> Result<LostCalls, StoreError> {
        self.lock().index.lost(fingerprint)
    }

    fn spending(&self) -> Result<Spending, StoreError> {
        let inner = self.lock();
        Ok(inner.index.origins.spending(unnamed_start(&inner.entries)))
    }
}

impl Stored {
    /// Returns the answer of an entry, if it has one. One of another store has the number of its run there.
    pub(super) fn from_entry(entry: &Entry) -> Option<Self> {
        match entry {
            Entry::Answered { run, answer, .. } => Some(Self { run: *run, answer: Arc::clone(answer) }),
            Entry::Kept(kept) => Some(Self { run: kept.run, answer: Arc::clone(&kept.answer) }),
            _ => None,
        }
    }

    /// Returns the same with the number that the run has here.
    pub(super) fn renumbered(entry: &Entry, numbers: &BTreeMap<KeptRunId, u32>) -> Option<Self> {
        let run = match entry {
            Entry::Kept(kept) => numbers.get(&(kept.start, kept.run)),
            _ => None,
        };
        Self::from_entry(entry).map(|stored| Self { run: run.copied().unwrap_or(stored.run), ..stored })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::samples::{assert_whole, entries};

    /// The index in memory is the definition.
    #[test]
    fn it_says_what_its_entries_fold_to() {
        let store = MemoryStore::new();
        let mut first = entries();
        let second = first.split_off(4);
        store.commit(first).unwrap();
        store.commit(second).unwrap();
        assert_eq!(store.entries(), entries());
        assert_whole(&store);
    }
}
