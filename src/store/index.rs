//! The interface of a store's index, and an index in memory.

use std::collections::{BTreeMap, HashMap};

use super::entry::{ConversationState, Entry, LostCalls, Run, Spending};
use super::error::StoreError;
use super::fold::{IndexView, fold};
use super::place::{Place, Position};
use crate::conversation::{ConversationKey, Fingerprint};

/// Entries that were committed together, with their places.
pub type CommitGroup = Vec<(Place, Entry)>;

/// Maximum entries of one batch for the index.
pub const INDEX_BATCH_ENTRIES: usize = 4_096;

/// The reading half of an index.
pub trait IndexReader: Send + Sync {
    /// Returns the place of an answer.
    fn place(&self, fingerprint: &Fingerprint) -> Result<Option<Place>, StoreError>;
    /// Returns a conversation's state.
    fn state(&self, key: &ConversationKey) -> Result<Option<ConversationState>, StoreError>;
    /// Visits every conversation's state.
    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), StoreError>;
    /// Returns the runs, oldest first.
    fn runs(&self) -> Result<Vec<Run>, StoreError>;
    /// Returns a question's lost calls.
    fn lost(&self, fingerprint: &Fingerprint) -> Result<LostCalls, StoreError>;
    /// Returns the spending.
    fn spending(&self) -> Result<Spending, StoreError>;
}

/// Derived state: everything here can be rebuilt from the journal.
pub trait StoreIndex: IndexReader {
    /// Folds entries in, in journal order. The last one's place becomes the checkpoint.
    fn apply(&self, entries: &[(Place, Entry)]) -> Result<(), StoreError>;
    /// Returns the checkpoint: the last entry of the journal that is folded in.
    fn checkpoint(&self) -> Result<Option<Place>, StoreError>;
    /// Returns how far the index covers the journal.
    fn covered(&self) -> Result<Position, StoreError> {
        Ok(self.checkpoint()?.map_or(Position::default(), |last| last.end()))
    }
    /// Replaces a place that turned out to be damaged, or drops it; unless another one has replaced it already.
    fn replace(&self, fingerprint: &Fingerprint, old: Place, new: Option<Place>) -> Result<(), StoreError>;
}

/// An index in memory, for reading a store whose index cannot be copied.
#[derive(Clone, Default)]
pub struct MemoryIndex {
    pub places: HashMap<Fingerprint, Place>,
    pub states: HashMap<ConversationKey, ConversationState>,
    pub runs: BTreeMap<u32, Run>,
    pub lost: HashMap<Fingerprint, LostCalls>,
    pub spending: Spending,
}

impl MemoryIndex {
    /// Folds one entry in.
    pub fn add(&mut self, place: Place, entry: &Entry) {
        match fold(self, place, entry) {
            Ok(()) => {}
            Err(never) => match never {},
        }
    }
}

impl IndexView for MemoryIndex {
    type WriteError = std::convert::Infallible;

    fn put_place(&mut self, fingerprint: Fingerprint, place: Place) -> Result<(), Self::WriteError> {
        self.places.entry(fingerprint).or_insert(place);
        Ok(())
    }

    fn update_state(
        &mut self,
        key: ConversationKey,
        change: impl FnOnce(&mut ConversationState),
    ) -> Result<(), Self::WriteError> {
        change(self.states.entry(key).or_default());
        Ok(())
    }

    fn put_run(&mut self, run: &Run) -> Result<(), Self::WriteError> {
        self.runs.insert(run.number, run.clone());
        Ok(())
    }

    fn count_answer(&mut self, run: u32) -> Result<(), Self::WriteError> {
        self.runs.entry(run).and_modify(|run| run.answers += 1);
        Ok(())
    }

    fn put_lost(&mut self, fingerprint: Fingerprint, lost: &LostCalls) -> Result<(), Self::WriteError> {
        self.lost.insert(fingerprint, lost.clone());
        Ok(())
    }

    fn spending(&mut self) -> &mut Spending {
        &mut self.spending
    }
}

impl IndexReader for MemoryIndex {
    fn place(&self, fingerprint: &Fingerprint) -> Result<Option<Place>, StoreError> {
        Ok(self.places.get(fingerprint).copied())
    }

    fn state(&self, key: &ConversationKey) -> Result<Option<ConversationState>, StoreError> {
        Ok(self.states.get(key).cloned())
    }

    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), StoreError> {
        self.states.iter().for_each(|(key, state)| visit(*key, state.clone()));
        Ok(())
    }

    fn runs(&self) -> Result<Vec<Run>, StoreError> {
        Ok(self.runs.values().cloned().collect())
    }

    fn lost(&self, fingerprint: &Fingerprint) -> Result<LostCalls, StoreError> {
        Ok(self.lost.get(fingerprint).cloned().unwrap_or_default())
    }

    fn spending(&self) -> Result<Spending, StoreError> {
        Ok(self.spending.clone())
    }
}
