use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::entry::{ConversationState, Entry, LostCalls, Run, Spending, Stored};
use super::error::StoreError;
use super::index::{CommitGroup, INDEX_BATCH_ENTRIES, IndexReader, StoreIndex};
use super::index_state::{IndexState, StateKind};
use super::journal::{Journal, SEGMENT_BYTES, Standing};
use super::lock::Lock;
use super::medium::{Disk, Medium};
use super::open_index::{Opened, open_index};
use super::origins::KeptRunId;
use super::place::{Place, Position};
use super::sled_index::SledIndex;
use super::{Reader, Store};
use crate::conversation::{ConversationKey, Fingerprint};
use crate::files;

/// Journal bytes that may wait for the index. Beyond that, commits wait for the index to catch up.
const INDEX_BACKLOG_BYTES: u64 = 32 << 20;
/// Groups of entries that may wait for the index, for the same reason.
const INDEX_QUEUE_GROUPS: usize = 4_096;
/// Journal bytes of one batch. Entries that wait for the index hold their answers in memory.
const INDEX_BATCH_BYTES: u64 = 8 << 20;
/// How long entries may wait for others to share a batch with. A conversation's state is then written once for several
/// of its turns.
const INDEX_BATCH_WAIT: Duration = Duration::from_secs(1);

/// The store in a directory: the journal is the source of truth, the index in sled finds entries.
///
/// A commit is acknowledged when the journal has synced it. One thread folds the same entries into sled a moment later;
/// until then `recent` holds their places.
pub struct DiskStore {
    shared: Arc<DiskCore>,
    indexing: Option<(SyncSender<IndexJob>, JoinHandle<()>)>,
    directory: PathBuf,
    _lock: Lock,
}

/// A job of the index thread.
enum IndexJob {
    Fold(CommitGroup),
    /// Acknowledged once everything before it is folded in.
    Settle(SyncSender<()>),
}

struct DiskCore {
    journal: Journal,
    index: SledIndex,
    recent: Mutex<HashMap<Fingerprint, Place>>,
    /// Journal bytes that wait for the index.
    backlog: Mutex<u64>,
    /// Notified when the backlog has shrunk.
    caught_up: Condvar,
    /// Set when the journal was read again for answers that are not at their places.
    has_rescanned: Mutex<bool>,
    /// The numbers of runs of other stores, once they were needed.
    run_numbers: Mutex<Option<Arc<BTreeMap<KeptRunId, u32>>>>,
    /// Set when sled failed: from then on `recent` keeps growing, and the next open rebuilds the index.
    index_failed: AtomicBool,
}

impl DiskStore {
    /// Opens the store in `directory` and creates it if it is missing. Brings the index up to date with the journal and
    /// rebuilds it if it cannot be trusted; `progress` gets the bytes done and the bytes in total.
    pub fn open(directory: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(Self, Opened), StoreError> {
        Self::open_with(directory, SEGMENT_BYTES, Arc::new(Disk), progress)
    }

    /// Like [`DiskStore::open`], with another segment size and medium.
    pub fn open_with(
        directory: &Path,
        segment_bytes: u64,
        medium: Arc<dyn Medium>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Self, Opened), StoreError> {
        files::create_directories(directory, true).map_err(StoreError::io("create", directory))?;
        let (lock, caution) = Lock::take(directory)?;
        let journal = Journal::open(&directory.join("journal"), segment_bytes, medium)?;
        let mut opened = Opened { caution, ..Opened::default() };
        let index = open_index(directory, &journal, &mut opened, progress)?;
        let shared = Arc::new(DiskCore {
            journal,
            index,
            recent: Mutex::default(),
            backlog: Mutex::default(),
            caught_up: Condvar::new(),
            has_rescanned: Mutex::default(),
            run_numbers: Mutex::default(),
            index_failed: AtomicBool::new(false),
        });
        let (sender, receiver) = sync_channel(INDEX_QUEUE_GROUPS);
        let thread = std::thread::Builder::new().name("index".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.run_index_thread(&receiver)
        });
        let thread = thread.map_err(StoreError::io("start a thread for", directory))?;
        let store = Self { shared, indexing: Some((sender, thread)), directory: directory.to_owned(), _lock: lock };
        Ok((store, opened))
    }

    /// Waits until every committed entry is in the index, so that states are current.
    pub fn settle(&self) {
        let (sender, settled) = sync_channel(1);
        if let Some((jobs, _)) = &self.indexing {
            // An error on either side means that the index thread has ended.
            if jobs.send(IndexJob::Settle(sender)).is_err() || settled.recv().is_err() {
                self.shared.index_failed.store(true, Ordering::Release);
            }
        }
    }

    /// Makes entries durable and folds them into the index before it returns. For a process that commits nothing in another way.
    pub(super) fn commit_settled(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        let places = self.shared.journal.append(&entries)?;
        let group: CommitGroup = places.into_iter().zip(entries).collect();
        self.shared.index.apply(&group).inspect_err(|_| self.shared.index_failed.store(true, Ordering::Release))
    }

    /// Returns the journal.
    pub(super) fn journal(&self) -> &Journal {
        &self.shared.journal
    }

    /// Returns the index.
    pub(super) fn index(&self) -> &SledIndex {
        &self.shared.index
    }

    /// Flushes the index, so that the next open is fast. Without it nothing is lost.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.stop_indexing();
        let failed = self.shared.index_failed.load(Ordering::Acquire);
        let shared = Arc::clone(&self.shared);
        let directory = self.directory.clone();
        drop(self);
        if let (false, Some(shared)) = (failed, Arc::into_inner(shared)) {
            let kind = StateKind::Closed { seal: shared.index.close()? };
            IndexState { kind, durable: shared.journal.end() }.write(&directory)?;
        }
        Ok(())
    }

    fn stop_indexing(&mut self) {
        if let Some((sender, thread)) = self.indexing.take() {
            drop(sender);
            // A panic in the thread sets `index_failed`.
            let _ = thread.join();
        }
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        self.stop_indexing();
    }
}

impl Store for DiskStore {
    fn commit(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        let places = self.shared.journal.append(&entries)?;
        let group: CommitGroup = places.into_iter().zip(entries).collect();
        let mut recent = self.shared.recent();
        for (place, entry) in &group {
            if let Entry::Answered { fingerprint, .. } = entry {
                recent.entry(*fingerprint).or_insert(*place);
            }
        }
        drop(recent);
        self.shared.reserve_backlog(bytes_of(&group));
        if let Some((jobs, _)) = &self.indexing
            && jobs.send(IndexJob::Fold(group)).is_err()
        {
            self.shared.index_failed.store(true, Ordering::Release);
        }
        Ok(())
    }
}

impl Reader for DiskStore {
    fn answer(&self, fingerprint: &Fingerprint) -> Result<Option<Stored>, StoreError> {
        let recent = self.shared.recent().get(fingerprint).copied();
        let Some(place) = recent.map_or_else(|| self.shared.index.place(fingerprint), |place| Ok(Some(place)))? else {
            return Ok(None);
        };
        match self.shared.answer_at(place, fingerprint)? {
            None => self.shared.find_again(fingerprint, place),
            found => Ok(found),
        }
    }

    fn state(&self, key: &ConversationKey) -> Result<Option<ConversationState>, StoreError> {
        self.shared.index.state(key)
    }

    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), StoreError> {
        self.shared.index.for_each_state(visit)
    }

    fn runs(&self) -> Result<Vec<Run>, StoreError> {
        self.shared.index.runs()
    }

    fn lost(&self, fingerprint: &Fingerprint) -> Result<LostCalls, StoreError> {
        self.shared.index.lost(fingerprint)
    }

    fn spending(&self) -> Result<Spending, StoreError> {
        spending(&self.shared.index, &self.shared.journal)
    }
}

impl DiskCore {
    fn answer_at(&self, place: Place, fingerprint: &Fingerprint) -> Result<Option<Stored>, StoreError> {
        match self.journal.read(place)?.filter(|entry| entry.answers(fingerprint)) {
            None => Ok(None),
            Some(entry @ Entry::Kept(_)) => Ok(Stored::renumbered(&entry, &*self.run_numbers()?)),
            Some(entry) => Ok(Stored::from_entry(&entry)),
        }
    }

    /// Returns the numbers of runs of other stores. They stay the same while this process has the store.
    fn run_numbers(&self) -> Result<Arc<BTreeMap<KeptRunId, u32>>, StoreError> {
        let mut known = lock_mutex(&self.run_numbers);
        if let Some(numbers) = &*known {
            return Ok(Arc::clone(numbers));
        }
        let numbers = Arc::new(self.index.origins()?.run_numbers());
        *known = Some(Arc::clone(&numbers));
        Ok(numbers)
    }

    /// Looks for an answer that is not at its place any more. If it is nowhere, its place is forgotten: the question is
    /// asked again, and its new answer gets a new place.
    fn find_again(&self, fingerprint: &Fingerprint, place: Place) -> Result<Option<Stored>, StoreError> {
        let mut recent = self.recent();
        if recent.get(fingerprint) == Some(&place) {
            recent.remove(fingerprint);
        }
        drop(recent);
        if self.journal.standing(place)? == Standing::Other {
            let mut has_rescanned = lock_mutex(&self.has_rescanned);
            if !*has_rescanned {
                self.rescan()?;
                *has_rescanned = true;
            }
            drop(has_rescanned);
            if let Some(moved) = self.index.place(fingerprint)?.filter(|moved| *moved != place)
                && let Some(found) = self.answer_at(moved, fingerprint)?
            {
                return Ok(Some(found));
            }
        }
        self.index.replace(fingerprint, place, None)?;
        Ok(None)
    }

    /// Corrects the place of every answer that stands elsewhere in the journal than the index says. Reads the whole journal,
    /// so it is done once at most.
    fn rescan(&self) -> Result<(), StoreError> {
        self.journal.for_each(Position::default(), Position::MAX, |place, entry| {
            if let Some(fingerprint) = entry.used_question()
                && let Some(known) = self.index.place(fingerprint)?
                && known != place
                && self.answer_at(known, fingerprint)?.is_none()
            {
                self.index.replace(fingerprint, known, Some(place))?;
            }
            Ok(())
        })?;
        Ok(())
    }

    fn recent(&self) -> MutexGuard<'_, HashMap<Fingerprint, Place>> {
        lock_mutex(&self.recent)
    }

    /// Reserves `bytes` of the backlog, once the index has caught up enough.
    fn reserve_backlog(&self, bytes: u64) {
        let backlog = lock_mutex(&self.backlog);
        let room = self.caught_up.wait_while(backlog, |backlog| *backlog > INDEX_BACKLOG_BYTES);
        *room.unwrap_or_else(PoisonError::into_inner) += bytes;
    }

    fn run_index_thread(&self, jobs: &Receiver<IndexJob>) {
        while let Ok(job) = jobs.recv() {
            let until = Instant::now() + INDEX_BATCH_WAIT;
            let (mut batch, mut bytes, mut settled) = (CommitGroup::new(), 0, None);
            let mut next = Ok(job);
            while let Ok(job) = next {
                match job {
                    IndexJob::Fold(group) => {
                        bytes += bytes_of(&group);
                        batch.extend(group);
                    }
                    IndexJob::Settle(sender) => settled = Some(sender),
                }
                let is_full = batch.len() >= INDEX_BATCH_ENTRIES || bytes >= INDEX_BATCH_BYTES;
                next = if is_full || settled.is_some() {
                    Err(RecvTimeoutError::Timeout)
                } else {
                    jobs.recv_timeout(until.saturating_duration_since(Instant::now()))
                };
            }
            self.index_batch(&batch);
            *lock_mutex(&self.backlog) -= bytes;
            self.caught_up.notify_all();
            // The waiter may have given up.
            let _ = settled.map(|settled| settled.send(()));
        }
    }

    fn index_batch(&self, batch: &CommitGroup) {
        if self.index_failed.load(Ordering::Acquire) {
            return;
        }
        if self.index.apply(batch).is_err() {
            self.index_failed.store(true, Ordering::Release);
            return;
        }
        let mut recent = self.recent();
        for (place, entry) in batch {
            if let Some(fingerprint) = entry.question()
                && recent.get(fingerprint) == Some(place)
            {
                recent.remove(fingerprint);
            }
        }
    }
}

/// Returns what all starts have spent.
pub(super) fn spending(index: &dyn IndexReader, journal: &Journal) -> Result<Spending, StoreError> {
    let origins = index.origins()?;
    let may_be_known_twice = !origins.kept.is_empty() && origins.own.contains_key(&None);
    let unnamed = if may_be_known_twice { journal.unnamed_start()? } else { None };
    Ok(origins.spending(unnamed))
}

fn lock_mutex<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bytes_of(group: &CommitGroup) -> u64 {
    group.iter().map(|(place, _)| u64::from(place.length)).sum()
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;
    use crate::conversation::{Answer, Slot};

    #[test]
    fn what_waits_for_the_index_is_counted_until_it_is_folded_in() {
        let directory = tempfile::tempdir().unwrap();
        let (store, _) = DiskStore::open(directory.path(), &mut |_, _| {}).unwrap();
        let answered = |number: u8| Entry::Answered {
            run: 1,
            conversation: ConversationKey([number; 32]),
            slot: Slot::main(0),
            fingerprint: Fingerprint([number; 32]),
            model: "m".to_owned(),
            answer: Arc::new(Answer::complete("m", "text")),
        };
        store.commit(vec![answered(1), answered(2)]).unwrap();
        store.commit(vec![answered(3)]).unwrap();
        store.settle();
        assert_eq!(*lock_mutex(&store.shared.backlog), 0);
        store.shared.reserve_backlog(7);
        store.shared.reserve_backlog(5);
        assert_eq!(*lock_mutex(&store.shared.backlog), 12);
        let place = |length| Place { segment: 1, offset: 0, length, checksum: 0 };
        let group: CommitGroup = [40, 2].map(place).into_iter().zip(iter::repeat_with(|| answered(1))).collect();
        assert_eq!(bytes_of(&group), 42);
    }

    #[test]
    fn a_store_is_closed_once_the_index_has_everything() {
        let directory = tempfile::tempdir().unwrap();
        let (store, _) = DiskStore::open(directory.path(), &mut |_, _| {}).unwrap();
        let lost = LostCalls { calls: 2, reason: "http_504: gave up".to_owned() };
        store.commit(vec![Entry::Lost { fingerprint: Fingerprint([1; 32]), lost: lost.clone() }]).unwrap();
        let end = store.shared.journal.end();
        // Nothing waits for the index before this: closing does.
        store.close().unwrap();
        let state = IndexState::read(directory.path());
        assert!(matches!(state.kind, StateKind::Closed { .. }) && state.durable == end);
        let (store, _) = DiskStore::open(directory.path(), &mut |_, _| {}).unwrap();
        assert_eq!(store.lost(&Fingerprint([1; 32])).unwrap(), lost);
    }
}
