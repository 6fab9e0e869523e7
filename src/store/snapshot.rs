use std::path::{Path, PathBuf};

use super::Reader;
use super::entry::{ConversationState, LostCalls, Run, Spending, Stored};
use super::error::StoreError;
use super::index::MemoryIndex;
use super::index_state::IndexState;
use super::journal::Journal;
use super::open_index::refuse_losses;
use super::place::Position;
use crate::conversation::{ConversationKey, Fingerprint};

/// A store at one moment, read from the journal alone. It takes no lock and writes nothing, so it works during a run
/// and on a read-only disk.
pub struct Snapshot {
    journal: Journal,
    index: MemoryIndex,
}

impl Snapshot {
    /// Reads the journal of the store in `directory`.
    pub fn read(directory: &Path) -> Result<Self, StoreError> {
        let journal_directory: PathBuf = directory.join("journal");
        if !journal_directory.is_dir() {
            return Err(StoreError::Missing { path: directory.to_owned() });
        }
        let journal = Journal::open_read_only(&journal_directory);
        let durable = IndexState::read(directory).durable;
        refuse_losses(directory, &journal.found_segments(false)?, durable)?;
        let mut index = MemoryIndex::default();
        journal.for_each(Position::default(), durable, |place, entry| {
            index.add(place, &entry);
            Ok(())
        })?;
        Ok(Self { journal, index })
    }
}

impl Reader for Snapshot {
    fn answer(&self, fingerprint: &Fingerprint) -> Result<Option<Stored>, StoreError> {
        let Some(place) = self.index.places.get(fingerprint) else { return Ok(None) };
        Ok(self.journal.read(*place)?.as_ref().and_then(Stored::from_entry))
    }

    fn state(&self, key: &ConversationKey) -> Result<Option<ConversationState>, StoreError> {
        Ok(self.index.states.get(key).cloned())
    }

    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), StoreError> {
        self.index.states.iter().for_each(|(key, state)| visit(*key, state.clone()));
        Ok(())
    }

    fn runs(&self) -> Result<Vec<Run>, StoreError> {
        Ok(self.index.runs.values().cloned().collect())
    }

    fn lost(&self, fingerprint: &Fingerprint) -> Result<LostCalls, StoreError> {
        Ok(self.index.lost.get(fingerprint).cloned().unwrap_or_default())
    }

    fn spending(&self) -> Result<Spending, StoreError> {
        Ok(self.index.spending.clone())
    }
}
