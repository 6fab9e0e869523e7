use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::entry::{Entry, Run, Spending, State, Stored};
use super::error::StoreError;
use super::index::Index;
use super::journal::{Damage, Journal, Place, Position, SEGMENT_BYTES};
use super::lock::Lock;
use super::sled_index::SledIndex;
use super::{Reader, Store};
use crate::conversation::{ConversationKey, Fingerprint};

/// Groups of entries that may wait for the index. Beyond it a commit waits: the index is far behind.
const INDEX_QUEUE_GROUPS: usize = 256;
/// Entries that the index takes in one batch.
const INDEX_BATCH_ENTRIES: usize = 4_096;

/// The store in a directory: journal for truth, sled for finding things.
///
/// A commit is acknowledged when the journal has it. One thread folds the same entries into sled a moment
/// later; until then `recent` knows where they stand.
pub struct DiskStore {
    shared: Arc<Shared>,
    indexing: Option<(SyncSender<Group>, JoinHandle<()>)>,
    directory: PathBuf,
    _lock: Lock,
}

/// Entries that were committed together, and where they stand.
type Group = Vec<(Place, Entry)>;

struct Shared {
    journal: Journal,
    index: SledIndex,
    recent: Mutex<HashMap<Fingerprint, Place>>,
    /// Set when sled refused: from then on `recent` keeps growing, and the next open builds the index anew.
    index_failed: AtomicBool,
}

/// What opening a store found, for the person to see.
#[derive(Debug, Default)]
pub struct Opened {
    /// Why the index was built anew, where it was.
    pub rebuilt: Option<String>,
    /// A torn end of the journal that was cut off.
    pub cut: Option<Damage>,
    /// Frames that cannot be read; each costs exactly its own answer.
    pub damages: Vec<Damage>,
}

impl DiskStore {
    /// Opens the store in `directory`, creating it where it is missing. Brings the index up to date with the
    /// journal, building it anew where it cannot be trusted; `progress` is told bytes done and bytes in all.
    pub fn open(directory: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(Self, Opened), StoreError> {
        Self::open_with(directory, SEGMENT_BYTES, progress)
    }

    /// As [`DiskStore::open`], with journal segments of another size.
    pub fn open_with(
        directory: &Path,
        segment_bytes: u64,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Self, Opened), StoreError> {
        fs::create_dir_all(directory).map_err(StoreError::io("create", directory))?;
        let lock = Lock::take(directory)?;
        let (journal, cut) = Journal::open(&directory.join("journal"), segment_bytes)?;
        let mut opened = Opened { cut, ..Opened::default() };
        let index = open_index(directory, &journal, &mut opened, progress)?;
        let shared =
            Arc::new(Shared { journal, index, recent: Mutex::default(), index_failed: AtomicBool::new(false) });
        let (sender, receiver) = sync_channel(INDEX_QUEUE_GROUPS);
        let thread = std::thread::Builder::new().name("index".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.index_what_comes(&receiver)
        });
        let thread = thread.map_err(StoreError::io("start a thread for", directory))?;
        let store = Self { shared, indexing: Some((sender, thread)), directory: directory.to_owned(), _lock: lock };
        Ok((store, opened))
    }

    /// Brings the index to the disk, so that the next open starts at once. Without it nothing is lost.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.stop_indexing();
        let failed = self.shared.index_failed.load(Ordering::Acquire);
        let shared = Arc::clone(&self.shared);
        let directory = self.directory.clone();
        drop(self);
        if let (false, Some(shared)) = (failed, Arc::into_inner(shared)) {
            shared.index.close()?;
            write_index_state(&directory, CLEAN)?;
        }
        Ok(())
    }

    fn stop_indexing(&mut self) {
        if let Some((sender, thread)) = self.indexing.take() {
            drop(sender);
            // A panic in there is caught and marked in `index_failed`.
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
        let group: Group = places.into_iter().zip(entries).collect();
        let mut recent = self.shared.recent();
        for (place, entry) in &group {
            if let Entry::Answered { fingerprint, .. } = entry {
                recent.entry(*fingerprint).or_insert(*place);
            }
        }
        drop(recent);
        if let Some((sender, _)) = &self.indexing
            && sender.send(group).is_err()
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
        match self.shared.journal.read(place)? {
            Some(entry @ Entry::Answered { fingerprint: found, .. }) if found == *fingerprint => {
                Ok(Stored::from_entry(&entry))
            }
            // The bytes there are not that answer any more: it is asked again, and takes its place.
            _ => {
                self.shared.recent().remove(fingerprint);
                self.shared.index.forget(fingerprint)?;
                Ok(None)
            }
        }
    }

    fn state(&self, key: &ConversationKey) -> Result<Option<State>, StoreError> {
        self.shared.index.state(key)
    }

    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, State)) -> Result<(), StoreError> {
        self.shared.index.for_each_state(visit)
    }

    fn runs(&self) -> Result<Vec<Run>, StoreError> {
        self.shared.index.runs()
    }

    fn spending(&self) -> Result<Spending, StoreError> {
        self.shared.index.spending()
    }
}

impl Shared {
    fn recent(&self) -> MutexGuard<'_, HashMap<Fingerprint, Place>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn index_what_comes(&self, groups: &Receiver<Group>) {
        while let Ok(mut batch) = groups.recv() {
            while batch.len() < INDEX_BATCH_ENTRIES {
                let Ok(more) = groups.try_recv() else { break };
                batch.extend(more);
            }
            let Some((last, _)) = batch.last() else { continue };
            if self.index_failed.load(Ordering::Acquire) {
                continue;
            }
            if self.index.apply(&batch, last.end()).is_err() {
                self.index_failed.store(true, Ordering::Release);
                continue;
            }
            let mut recent = self.recent();
            for (place, entry) in &batch {
                if let Entry::Answered { fingerprint, .. } = entry
                    && recent.get(fingerprint) == Some(place)
                {
                    recent.remove(fingerprint);
                }
            }
        }
    }
}

const CLEAN: &str = "clean";

/// Opens the index and replays what the journal has beyond it; an index that cannot be trusted is set aside first.
fn open_index(
    directory: &Path,
    journal: &Journal,
    opened: &mut Opened,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<SledIndex, StoreError> {
    let path = directory.join("index");
    let fresh = !path.exists() && journal.bytes_from(Position::default())? == 0;
    let distrust = if fresh { None } else { distrust(directory, &path) };
    write_index_state(directory, &boot_id())?;
    let attempt = match distrust {
        Some(reason) => Err(reason),
        None => open_and_catch_up(&path, journal, opened, progress).map_err(|error| error.to_string()),
    };
    match attempt {
        Ok(index) => Ok(index),
        Err(reason) => {
            set_aside(directory, &path)?;
            opened.rebuilt = Some(reason);
            open_and_catch_up(&path, journal, opened, progress)
        }
    }
}

fn open_and_catch_up(
    path: &Path,
    journal: &Journal,
    opened: &mut Opened,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<SledIndex, StoreError> {
    let index = silently(|| SledIndex::open(path))?;
    let covered = index.covered()?;
    if !journal.contains(covered) {
        let reason = "it covers more than the journal holds".to_owned();
        return Err(StoreError::Index { path: path.to_owned(), reason });
    }
    let bytes_total = journal.bytes_from(covered)?;
    let mut bytes_done = 0;
    let mut batch = Vec::new();
    let flush = |batch: &mut Vec<(Place, Entry)>| match batch.last() {
        None => Ok(()),
        Some((last, _)) => index.apply(batch, last.end()).inspect(|()| batch.clear()),
    };
    opened.damages = journal.for_each(covered, |place, entry| {
        batch.push((place, entry));
        bytes_done += u64::from(place.length);
        if batch.len() < INDEX_BATCH_ENTRIES {
            return Ok(());
        }
        progress(bytes_done, bytes_total);
        flush(&mut batch)
    })?;
    flush(&mut batch)?;
    Ok(index)
}

/// Returns why the index cannot be trusted. After a clean close it can; after a crash only within the same
/// boot, because then everything that sled wrote is still in the page cache.
fn distrust(directory: &Path, index: &Path) -> Option<String> {
    if !index.is_dir() {
        return Some("it is missing".to_owned());
    }
    match fs::read_to_string(index_state_path(directory)) {
        Ok(state) if state.trim() == CLEAN || state.trim() == boot_id() => None,
        Ok(_) => Some("it was not closed before the machine went down".to_owned()),
        Err(_) => Some("nothing says that it was closed".to_owned()),
    }
}

fn set_aside(directory: &Path, index: &Path) -> Result<(), StoreError> {
    if !index.exists() {
        return Ok(());
    }
    let aside = directory.join("index.aside");
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(StoreError::io("delete", &aside))?;
    }
    fs::rename(index, &aside).map_err(StoreError::io("set aside", index))
}

fn index_state_path(directory: &Path) -> PathBuf {
    directory.join("index.state")
}

fn write_index_state(directory: &Path, state: &str) -> Result<(), StoreError> {
    let path = index_state_path(directory);
    let written = fs::write(&path, format!("{state}\n")).and_then(|()| fs::File::open(&path)?.sync_all());
    written.map_err(StoreError::io("write", &path))
}

/// Returns what names this boot of the machine; where the system does not say, nothing that a later boot would match.
fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| format!("unknown boot, process {}", std::process::id()), |id| id.trim().to_owned())
}

/// Runs `action` without the panic messages that sled prints about damaged files.
fn silently<T>(action: impl FnOnce() -> T) -> T {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let value = action();
    std::panic::set_hook(hook);
    value
}
