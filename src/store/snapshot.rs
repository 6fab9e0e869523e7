use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::Reader;
use super::accepted::Accepted;
use super::disk::spending;
use super::entry::{ConversationState, Entry, LostCalls, Run, Spending, Stored};
use super::error::StoreError;
use super::index::{IndexReader, MemoryIndex};
use super::index_copy::{CopiedIndex, copied_index};
use super::index_state::IndexState;
use super::journal::{Journal, Standing};
use super::loss::Loss;
use super::origins::KeptRunId;
use super::place::{Damage, Place, Position};
use crate::conversation::{ConversationKey, Fingerprint};
use crate::files::OwnedDirectory;

/// A store at one moment. It holds no lock while it is read and writes neither to the journal nor to the index, so it works
/// during a run, keeps none from starting, and can be read from a read-only disk.
///
/// It reads a private copy of the index, and what the journal has after it. Where the index cannot be copied, because a run
/// writes to it or it is not trusted, the whole journal is folded in memory.
pub struct Snapshot {
    directory: PathBuf,
    journal: Journal,
    index: Box<dyn IndexReader>,
    /// The journal as it is now, once an answer was not at its place.
    again: Mutex<Option<Box<Snapshot>>>,
    findings: SnapshotFindings,
    /// The numbers of runs of other stores, once they were needed.
    run_numbers: OnceLock<BTreeMap<KeptRunId, u32>>,
    /// Holds the copy; deleted after the index is closed.
    _place: Option<OwnedDirectory>,
}

/// What was found when a snapshot was made. Nothing of it is repaired, cut or accepted.
#[derive(Clone, Debug, Default)]
pub struct SnapshotFindings {
    /// Why the whole journal was read, if it was.
    pub without_index: Option<String>,
    /// Frames that cannot be read; each loses only its own answer.
    pub damages: Vec<Damage>,
    /// Parts of the journal that are gone, and that nobody has accepted as lost.
    pub losses: Vec<Loss>,
}

/// What becomes of a snapshot of a store that has lost a part of its journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLoss {
    /// It is refused.
    #[default]
    Refuse,
    /// What is left is read, and the losses are reported.
    Report,
}

impl Snapshot {
    /// Reads the store in `directory`. `progress` gets the bytes done and the bytes in total of the journal, where that is read.
    pub fn open(directory: &Path, on_loss: OnLoss, progress: &mut dyn FnMut(u64, u64)) -> Result<Self, StoreError> {
        let (journal, state) = begin(directory)?;
        let losses = losses(directory, &journal, state.durable, on_loss)?;
        let without_index = match copied_index(directory, &state, &journal, progress) {
            Ok(CopiedIndex { index, place, durable, damages }) => {
                let losses = self::losses(directory, &journal, durable, on_loss)?;
                let findings = SnapshotFindings { without_index: None, damages, losses };
                return Ok(Self::of(directory, journal, Box::new(index), findings, Some(place)));
            }
            Err(error) => error.to_string(),
        };
        let (index, damages) = fold(&journal, state.durable, progress)?;
        let findings = SnapshotFindings { without_index: Some(without_index), damages, losses };
        Ok(Self::of(directory, journal, Box::new(index), findings, None))
    }

    /// Reads the store in `directory` from its journal alone.
    pub fn read(directory: &Path) -> Result<Self, StoreError> {
        Self::without_index(directory, OnLoss::Refuse)
    }

    fn without_index(directory: &Path, on_loss: OnLoss) -> Result<Self, StoreError> {
        let (journal, state) = begin(directory)?;
        let losses = losses(directory, &journal, state.durable, on_loss)?;
        let (index, damages) = fold(&journal, state.durable, &mut |_, _| {})?;
        let findings = SnapshotFindings { without_index: None, damages, losses };
        Ok(Self::of(directory, journal, Box::new(index), findings, None))
    }

    /// Returns what was found.
    pub fn findings(&self) -> &SnapshotFindings {
        &self.findings
    }

    fn of(
        directory: &Path,
        journal: Journal,
        index: Box<dyn IndexReader>,
        findings: SnapshotFindings,
        place: Option<OwnedDirectory>,
    ) -> Self {
        let (directory, again, run_numbers) = (directory.to_owned(), Mutex::default(), OnceLock::new());
        Self { directory, journal, index, again, findings, run_numbers, _place: place }
    }

    /// Returns the numbers of runs of other stores.
    fn run_numbers(&self) -> Result<&BTreeMap<KeptRunId, u32>, StoreError> {
        if let Some(numbers) = self.run_numbers.get() {
            return Ok(numbers);
        }
        let numbers = self.index.origins()?.run_numbers();
        Ok(self.run_numbers.get_or_init(|| numbers))
    }

    /// Returns the answer at its place, and that place where something else stands there.
    fn look_up(&self, fingerprint: &Fingerprint) -> Result<Result<Option<Stored>, Place>, StoreError> {
        let Some(place) = self.index.place(fingerprint)? else { return Ok(Ok(None)) };
        let entry = self.journal.read(place)?;
        let found = entry.as_ref().filter(|entry| entry.answers(fingerprint));
        let found = match found {
            Some(entry @ Entry::Kept(_)) => Stored::renumbered(entry, self.run_numbers()?),
            other => other.and_then(Stored::from_entry),
        };
        Ok(if found.is_some() { Ok(found) } else { Err(place) })
    }
}

fn begin(directory: &Path) -> Result<(Journal, IndexState), StoreError> {
    let journal = directory.join("journal");
    if !journal.is_dir() {
        return Err(StoreError::Missing { path: directory.to_owned() });
    }
    // The state comes first: what it calls durable is in the segments that are looked at later.
    let state = IndexState::read(directory);
    Ok((Journal::open_read_only(&journal), state))
}

fn losses(directory: &Path, journal: &Journal, durable: Position, on_loss: OnLoss) -> Result<Vec<Loss>, StoreError> {
    let losses = Accepted::read(directory).losses_among(&journal.found_segments(false)?, durable);
    if losses.is_empty() || on_loss == OnLoss::Report {
        return Ok(losses);
    }
    Err(StoreError::Lost { path: directory.to_owned(), losses })
}

fn fold(
    journal: &Journal,
    durable: Position,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(MemoryIndex, Vec<Damage>), StoreError> {
    let mut index = MemoryIndex::default();
    let (mut bytes_done, bytes_total) = (0, journal.bytes_from(Position::default())?);
    let damages = journal.for_each(Position::default(), durable, |place, entry| {
        index.add(place, &entry);
        bytes_done += u64::from(place.length);
        progress(bytes_done, bytes_total);
        Ok(())
    })?;
    Ok((index, damages))
}

impl Reader for Snapshot {
    fn answer(&self, fingerprint: &Fingerprint) -> Result<Option<Stored>, StoreError> {
        let place = match self.look_up(fingerprint)? {
            Ok(found) => return Ok(found),
            Err(place) => place,
        };
        if self.journal.standing(place)? == Standing::Damaged {
            return Ok(None);
        }
        // A segment was put back from elsewhere, or a repair is at work.
        let mut again = self.again.lock().unwrap_or_else(PoisonError::into_inner);
        if again.is_none() {
            *again = Some(Box::new(Self::without_index(&self.directory, OnLoss::Report)?));
        }
        again.as_ref().map_or(Ok(None), |again| Ok(again.look_up(fingerprint)?.unwrap_or(None)))
    }

    fn state(&self, key: &ConversationKey) -> Result<Option<ConversationState>, StoreError> {
        self.index.state(key)
    }

    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), StoreError> {
        self.index.for_each_state(visit)
    }

    fn runs(&self) -> Result<Vec<Run>, StoreError> {
        self.index.runs()
    }

    fn lost(&self, fingerprint: &Fingerprint) -> Result<LostCalls, StoreError> {
        self.index.lost(fingerprint)
    }

    fn spending(&self) -> Result<Spending, StoreError> {
        spending(&*self.index, &self.journal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::disk::DiskStore;
    use super::super::samples::{assert_whole, entries, question};
    use crate::store::Store;

    #[test]
    fn it_says_the_same_as_the_store_with_and_without_the_index() {
        let directory = tempfile::tempdir().unwrap();
        let open = |on_loss| Snapshot::open(directory.path(), on_loss, &mut |_, _| {});
        assert!(matches!(open(OnLoss::Refuse), Err(StoreError::Missing { .. })));
        let (store, _) = DiskStore::open(directory.path(), &mut |_, _| {}).unwrap();
        store.commit(entries()).unwrap();
        store.settle();
        assert_whole(&store);
        let beside = open(OnLoss::Refuse).unwrap();
        assert!(beside.findings().without_index.is_some(), "a run writes to it");
        assert_whole(&beside);
        store.close().unwrap();
        let closed = open(OnLoss::Refuse).unwrap();
        assert_eq!(closed.findings().without_index, None);
        assert_whole(&closed);
        assert_whole(&Snapshot::read(directory.path()).unwrap());
        // What is behind the journal's end is a loss.
        std::fs::remove_file(directory.path().join("journal/00000001.journal")).unwrap();
        assert!(matches!(open(OnLoss::Refuse), Err(StoreError::Lost { .. })));
        let reported = open(OnLoss::Report).unwrap();
        assert_eq!(reported.findings().losses.len(), 1);
        assert_eq!(reported.answer(&question(1)).unwrap(), None);
    }
}
