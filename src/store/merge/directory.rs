//! Stores in directories, as sources and as targets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{MergeSource, MergeTarget, PaidAnswer, UsedAnswer};
use crate::conversation::{ConversationKey, Fingerprint};
use crate::files::OwnedDirectory;
use crate::store::Reader;
use crate::store::accepted::Accepted;
use crate::store::disk::DiskStore;
use crate::store::entry::{ConversationState, Entry, LostCalls, Run, Spending};
use crate::store::error::StoreError;
use crate::store::identity::frame_of;
use crate::store::index::{IndexReader, StoreIndex};
use crate::store::index_copy::{COPY, copied_index};
use crate::store::index_state::IndexState;
use crate::store::journal::Journal;
use crate::store::loss::Loss;
use crate::store::open_index::{Opened, catch_up};
use crate::store::origins::{KeptRunId, Origins};
use crate::store::place::{Damage, Place, Position};
use crate::store::sled_index::SledIndex;
use crate::store::snapshot::OnLoss;
use crate::store::start::{FrameId, StartId};

/// A journal with its index, at one moment.
struct Looked<'a> {
    journal: &'a Journal,
    index: &'a SledIndex,
    origins: &'a Origins,
    /// The start that has written what is before the first start.
    unnamed: Option<StartId>,
}

impl Looked<'_> {
    /// Returns the identity of what is at a place, if it is an answer.
    fn frame(&self, place: Place, entry: &Entry) -> Option<FrameId> {
        let start = match entry {
            Entry::Kept(kept) => kept.start,
            _ => self.start(self.origins.start_at(Position { segment: place.segment, offset: place.offset }))?,
        };
        frame_of(entry, start)
    }

    fn used(&self, fingerprint: &Fingerprint) -> Result<Option<UsedAnswer>, StoreError> {
        let Some(place) = self.index.place(fingerprint)? else { return Ok(None) };
        let Some(entry) = self.journal.read(place)?.filter(|entry| entry.answers(fingerprint)) else { return Ok(None) };
        let answer = match &entry {
            Entry::Answered { answer, .. } => answer,
            Entry::Kept(kept) => &kept.answer,
            _ => return Ok(None),
        };
        Ok(self.frame(place, &entry).map(|frame| UsedAnswer::of(frame, answer)))
    }

    /// Returns a start; the one without a name has its id.
    fn start(&self, start: Option<StartId>) -> Option<StartId> {
        start.or(self.unnamed)
    }
}

/// A store in a directory, to be merged into another. It holds no lock and changes nothing of the store, which may be in use: what
/// it had at this moment is merged.
pub struct DirectorySource {
    journal: Journal,
    /// A copy of the store's own, or a new one.
    index: SledIndex,
    origins: Origins,
    unnamed: Option<StartId>,
    /// What the index covers.
    end: Position,
    durable: Position,
    losses: Vec<Loss>,
    _place: OwnedDirectory,
}

impl DirectorySource {
    /// Opens the store in `directory`. `progress` gets the bytes done and the bytes in total of the journal, where that is read.
    pub fn open(directory: &Path, on_loss: OnLoss, progress: &mut dyn FnMut(u64, u64)) -> Result<Self, StoreError> {
        let journal = directory.join("journal");
        if !journal.is_dir() {
            return Err(StoreError::Missing { path: directory.to_owned() });
        }
        // The state comes first: what it calls durable is in the segments that are looked at later.
        let state = IndexState::read(directory);
        let journal = Journal::open_read_only(&journal);
        let (index, place, durable) = match copied_index(directory, &state, &journal, progress) {
            Ok(copied) => (copied.index, copied.place, copied.durable),
            Err(_) => {
                let (index, place) = new_index(directory, &journal, state.durable, progress)?;
                (index, place, state.durable)
            }
        };
        let losses = Accepted::read(directory).losses_among(&journal.found_segments(false)?, durable);
        if on_loss == OnLoss::Refuse && !losses.is_empty() {
            return Err(StoreError::Lost { path: directory.to_owned(), losses });
        }
        let (origins, end) = (index.origins()?, index.covered()?);
        let unnamed = journal.unnamed_start()?;
        Ok(Self { journal, index, origins, unnamed, end, durable, losses, _place: place })
    }

    /// Returns the parts of the journal that are gone, and that nobody has accepted as lost.
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    /// Returns how many answers there are, those that are not used included.
    pub fn answer_count(&self) -> u64 {
        self.origins.runs().iter().map(|run| run.answers).sum()
    }

    fn looked(&self) -> Looked<'_> {
        Looked { journal: &self.journal, index: &self.index, origins: &self.origins, unnamed: self.unnamed }
    }
}

/// Makes an index of a store whose own cannot be copied: because a run writes to it, or it is not trusted.
fn new_index(
    directory: &Path,
    journal: &Journal,
    durable: Position,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(SledIndex, OwnedDirectory), StoreError> {
    let spool = directory.join("spool");
    let place = OwnedDirectory::create_or_temporary(&spool, "cohobate-");
    let place = place.map_err(StoreError::io("create a directory in", &spool))?;
    let path = place.path().join(COPY);
    if path.exists() {
        // A copy that was begun.
        std::fs::remove_dir_all(&path).map_err(StoreError::io("delete", &path))?;
    }
    let index = SledIndex::open(&path)?;
    catch_up(&path, &index, Position::default()..durable, journal, &mut Opened::default(), progress)?;
    Ok((index, place))
}

impl MergeSource for DirectorySource {
    fn spending(&self) -> Result<BTreeMap<StartId, Spending>, StoreError> {
        Ok(self.origins.spending_by_start(self.unnamed))
    }

    fn runs(&self) -> Result<Vec<(StartId, Run)>, StoreError> {
        let own = self.origins.own_runs.values();
        let own = own.filter_map(|(start, run)| Some((self.looked().start(*start)?, run.clone())));
        let kept = self.origins.kept_runs.iter().map(|((start, _), run)| (*start, run.clone()));
        Ok(own.chain(kept).collect())
    }

    fn for_each_answer(
        &self,
        visit: &mut dyn FnMut(PaidAnswer) -> Result<(), StoreError>,
    ) -> Result<Vec<Damage>, StoreError> {
        let looked = self.looked();
        self.journal.for_each(Position::default(), self.durable, |place, entry| {
            if place.end() > self.end {
                return Ok(());
            }
            let Some(frame) = looked.frame(place, &entry) else { return Ok(()) };
            let Some(fingerprint) = entry.question() else { return Ok(()) };
            let is_used = self.index.place(fingerprint)? == Some(place);
            let entry = match entry {
                Entry::Kept(kept) => kept.paid(),
                other => other,
            };
            visit(PaidAnswer { frame, entry, is_used })
        })
    }

    fn used(&self, fingerprint: &Fingerprint) -> Result<Option<UsedAnswer>, StoreError> {
        self.looked().used(fingerprint)
    }

    fn is_unsettled(&self, fingerprint: &Fingerprint) -> Result<bool, StoreError> {
        self.index.is_unsettled(fingerprint)
    }

    fn for_each_lost(&self, visit: &mut dyn FnMut(Fingerprint, LostCalls)) -> Result<(), StoreError> {
        self.index.for_each_lost(visit)
    }

    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), StoreError> {
        self.index.for_each_state(visit)
    }
}

/// A store in a directory that others are merged into: nobody else may write to it meanwhile.
pub struct DirectoryTarget {
    store: DiskStore,
    /// As they were when it was opened: a merge begins no start of its own.
    origins: Origins,
    unnamed: Option<StartId>,
}

impl DirectoryTarget {
    /// Takes a store that was opened for writing.
    pub fn new(store: DiskStore) -> Result<Self, StoreError> {
        let (origins, unnamed) = (store.index().origins()?, store.journal().unnamed_start()?);
        Ok(Self { store, origins, unnamed })
    }

    /// Returns the store.
    pub fn into_store(self) -> DiskStore {
        self.store
    }

    /// Returns the store for reading.
    pub fn reader(&self) -> &dyn Reader {
        &self.store
    }

    fn index(&self) -> &SledIndex {
        self.store.index()
    }
}

impl MergeTarget for DirectoryTarget {
    fn spending(&self) -> Result<BTreeMap<StartId, Spending>, StoreError> {
        Ok(self.index().origins()?.spending_by_start(self.unnamed))
    }

    fn run_ids(&self) -> Result<BTreeSet<KeptRunId>, StoreError> {
        let origins = self.index().origins()?;
        let own = origins.own_runs.iter();
        let own = own.filter_map(|(number, (start, _))| Some((start.or(self.unnamed)?, *number)));
        Ok(own.chain(origins.kept_runs.keys().copied()).collect())
    }

    fn used(&self, fingerprint: &Fingerprint) -> Result<Option<UsedAnswer>, StoreError> {
        // Most questions are new here.
        if self.index().place(fingerprint)?.is_none() {
            return Ok(None);
        }
        let (journal, index) = (self.store.journal(), self.index());
        Looked { journal, index, origins: &self.origins, unnamed: self.unnamed }.used(fingerprint)
    }

    fn unused(&self, fingerprint: &Fingerprint) -> Result<BTreeSet<FrameId>, StoreError> {
        self.index().unused(fingerprint)
    }

    fn has_unused(&self) -> Result<bool, StoreError> {
        self.index().has_unused()
    }

    fn is_unsettled(&self, fingerprint: &Fingerprint) -> Result<bool, StoreError> {
        self.index().is_unsettled(fingerprint)
    }

    fn has_unsettled(&self) -> Result<bool, StoreError> {
        self.index().has_unsettled()
    }

    fn lost(&self, fingerprint: &Fingerprint) -> Result<LostCalls, StoreError> {
        self.index().lost(fingerprint)
    }

    fn state(&self, key: &ConversationKey) -> Result<Option<ConversationState>, StoreError> {
        self.index().state(key)
    }

    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), StoreError> {
        self.index().for_each_state(visit)
    }

    fn commit(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        self.store.commit_settled(entries)
    }
}
