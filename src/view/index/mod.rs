//! The index of a page: lists, filters and searches over all conversations of a store, without holding them in memory.
//!
//! ```text
//! STORE/view/NAME/      derived; may be deleted at any time
//!   lock                held by one process at a time
//!   state.json          how far the input and the journal are read; the names that records have numbers for
//!   items               conversation key → numbers of its items     (table.rs)
//!   answers             question's fingerprint → place in the journal
//!   entries             conversation key → places of its entries in the journal
//!   records             what filters need, 112 bytes an item        (record.rs)
//!   heads               what lists show, JSON
//!   texts               what is searched, folded                    (texts.rs)
//! ```
//!
//! An *item* is a row of the input, by its number; after the rows, each conversation of the store that no row makes. A
//! conversation that changes is read again, and what was written of it before stays as garbage until the index is rebuilt.
//! Index and journal of the store are never written. Where the store cannot be written to, or another process has this
//! index, it is made in the system's temporary directory.

mod building;
mod folded;
mod listing;
mod names;
mod record;
mod searching;
mod state;
mod summary;
mod table;
mod texts;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub use building::Indexing;
pub use folded::Voice;
pub use listing::{Counts, Listed, Listing};
pub use names::Names;
pub use record::{ItemStatus, Record};
pub use summary::Summary;

use crate::conversation::{ConversationKey, Fingerprint};
use crate::files::{self, Locking, OwnedDirectory};
use crate::job::{AnswerLookup, JobError};
use crate::store::{ConversationState, Follower, Place, StoreError, Stored};
use record::RECORD_BYTES;
use searching::Searches;
use state::IndexState;
use table::{Table, VALUE_BYTES};
use texts::Texts;

/// Begins the names of indexes in the system's temporary directory.
const PREFIX: &str = "cohobate-view-";
/// What an index is made of, beside its lock.
const FILES: [&str; 7] = ["state.json", "items", "answers", "entries", "records", "heads", "texts"];

/// The index of one store, under certain settings and inputs.
pub struct ViewIndex {
    /// The journal of the store; nothing where files are looked at.
    follower: Option<Follower>,
    items: RwLock<Table>,
    answers: RwLock<Table>,
    entries: RwLock<Table>,
    records: File,
    heads: File,
    texts: Texts,
    state: Mutex<IndexState>,
    searches: Mutex<Searches>,
    /// Counts changes, so that a page knows when to look again.
    generation: AtomicU64,
    /// Set where an answer is not at its place: the journal was repaired, and the index must be rebuilt.
    is_outdated: std::sync::atomic::AtomicBool,
    directory: PathBuf,
    _held: Held,
}

/// What keeps other processes out of an index.
enum Held {
    Locked { _lock: File },
    Temporary { _directory: OwnedDirectory },
}

impl ViewIndex {
    /// Opens the index of a store, or makes an empty one. `identity` is a hash of all that decides what the items are, and
    /// `rows` how many of them are rows.
    pub fn open(store: &Path, identity: &str, rows: u64) -> Result<Self, JobError> {
        let follower = Follower::open(store)?;
        let (directory, held) = match held_directory(&store.join("view"), identity) {
            Some(found) => found,
            None => temporary_directory()?,
        };
        Self::open_or_say(Some(follower), directory, held, identity, rows)
    }

    /// Makes an index of files, in the system's temporary directory.
    pub fn of_files(identity: &str, rows: u64) -> Result<Self, JobError> {
        let (directory, held) = temporary_directory()?;
        Self::open_or_say(None, directory, held, identity, rows)
    }

    fn open_or_say(
        follower: Option<Follower>,
        directory: PathBuf,
        held: Held,
        identity: &str,
        rows: u64,
    ) -> Result<Self, JobError> {
        let opened = Self::open_in(follower, &directory, held, identity, rows);
        opened.map_err(|error| {
            let hint = "free some space, or delete the directory: it is derived from the store and built again";
            JobError::storage(format!("cannot use the index {}: {error}", directory.display()), hint)
        })
    }

    fn open_in(
        follower: Option<Follower>,
        directory: &Path,
        held: Held,
        identity: &str,
        rows: u64,
    ) -> io::Result<Self> {
        let known = IndexState::read(&directory.join("state.json"), identity, rows);
        // A frame that is not where it was means that the journal was repaired or cut.
        let is_there = |place: Place| {
            follower.as_ref().is_some_and(|follower| follower.entry(place).is_ok_and(|entry| entry.is_some()))
        };
        let known = known.filter(|state| state.last().is_none_or(is_there) && !state.is_mostly_garbage());
        if known.is_none() {
            for name in FILES {
                let _ = fs::remove_file(directory.join(name));
            }
        }
        let open = |name: &str| {
            let path = directory.join(name);
            File::options().create(true).truncate(false).read(true).write(true).open(path)
        };
        let (records, heads) = (open("records")?, open("heads")?);
        let mut state = known.unwrap_or_else(|| IndexState::new(identity, rows));
        state.item_count = (records.metadata()?.len() / RECORD_BYTES as u64).max(rows);
        let texts = open("texts")?;
        // What a killed process wrote after it last wrote the state is read again.
        heads.set_len(state.head_bytes)?;
        texts.set_len(state.text_bytes)?;
        Ok(Self {
            follower,
            items: RwLock::new(Table::open(&directory.join("items"))?),
            answers: RwLock::new(Table::open(&directory.join("answers"))?),
            entries: RwLock::new(Table::open(&directory.join("entries"))?),
            records,
            heads,
            texts: Texts::new(texts),
            state: Mutex::new(state),
            searches: Mutex::default(),
            generation: AtomicU64::new(1),
            is_outdated: false.into(),
            directory: directory.to_owned(),
            _held: held,
        })
    }

    /// Returns a number that grows whenever something changes.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// True where the index must be rebuilt.
    pub fn is_outdated(&self) -> bool {
        self.is_outdated.load(Ordering::Acquire)
    }

    /// Returns how far the index covers the input and the journal.
    pub fn coverage(&self) -> Result<Coverage, JobError> {
        let state = self.state();
        let (items_read, items, last) = (state.next, state.item_count, state.last());
        drop(state);
        let bytes = self.follower.as_ref().map(|follower| follower.bytes(last)).transpose()?;
        let (journal_bytes, journal_left) = bytes.unwrap_or_default();
        Ok(Coverage { items_read: items_read.min(items), items, journal_bytes, journal_left })
    }

    /// Returns the record of an item.
    pub fn record(&self, item: u64) -> io::Result<Option<Record>> {
        let mut bytes = [0; RECORD_BYTES];
        if item >= self.state().item_count {
            return Ok(None);
        }
        match self.records.read_exact_at(&mut bytes, item * RECORD_BYTES as u64) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Some(Record::unread([0; 32]))),
            other => other.map(|()| Some(Record::read(&bytes))),
        }
    }

    /// Returns the items of a conversation.
    pub fn items_of(&self, key: &ConversationKey) -> io::Result<Vec<u64>> {
        let found = read(&self.items).find(key.prefix())?;
        let mut items = BTreeSet::new();
        for value in found {
            let item = u64::from_le_bytes(value[..8].try_into().unwrap_or_default());
            if self.record(item)?.is_some_and(|record| record.key == key.0) {
                items.insert(item);
            }
        }
        Ok(items.into_iter().collect())
    }

    fn state(&self) -> MutexGuard<'_, IndexState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn places(table: &RwLock<Table>, key: u64) -> Result<Vec<Place>, StoreError> {
        let found = read(table).find(key).map_err(StoreError::io("read", Path::new("the index of the page")))?;
        let mut places: Vec<Place> = found.iter().map(place_of).collect();
        places.sort_by_key(|place| (place.segment, place.offset));
        Ok(places)
    }
}

/// How far an index covers the input and the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Coverage {
    /// Items that lists and searches know.
    pub items_read: u64,
    /// All items.
    pub items: u64,
    /// Bytes of the journal.
    pub journal_bytes: u64,
    /// Those that are not read yet.
    pub journal_left: u64,
}

impl AnswerLookup for ViewIndex {
    fn answer(&self, fingerprint: &Fingerprint) -> Result<Option<Stored>, StoreError> {
        let Some(follower) = &self.follower else { return Ok(None) };
        let places = Self::places(&self.answers, fingerprint.prefix())?;
        follower.answer(&places, fingerprint, &mut || self.is_outdated.store(true, Ordering::Release))
    }

    fn state(&self, key: &ConversationKey) -> Result<Option<ConversationState>, StoreError> {
        let Some(follower) = &self.follower else { return Ok(None) };
        follower.state(key, &Self::places(&self.entries, key.prefix())?)
    }
}

fn held_directory(parent: &Path, identity: &str) -> Option<(PathBuf, Held)> {
    files::create_directories(parent, true).ok()?;
    let directory = parent.join(identity);
    files::create_directories(&directory, true).ok()?;
    let held = lock(&directory)?;
    forget_others(parent, &directory);
    Some((directory, held))
}

fn lock(directory: &Path) -> Option<Held> {
    let lock = files::open_or_create_in(&directory.join("lock")).ok()?;
    match files::try_lock(lock).ok()? {
        Locking::Held(lock) | Locking::Unsupported(lock) => Some(Held::Locked { _lock: lock }),
        Locking::Busy => None,
    }
}

/// Deletes indexes under other settings that nobody uses.
fn forget_others(parent: &Path, kept: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten().filter(|entry| entry.path() != kept) {
        if let Some(_held) = lock(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn temporary_directory() -> Result<(PathBuf, Held), JobError> {
    let parent = std::env::temp_dir();
    OwnedDirectory::sweep(&parent, PREFIX);
    let directory = OwnedDirectory::create_temporary(&parent, PREFIX).map_err(|error| {
        JobError::storage(format!("cannot create an index in {}: {error}", parent.display()), "free some space there")
    })?;
    Ok((directory.path().to_owned(), Held::Temporary { _directory: directory }))
}

fn read(table: &RwLock<Table>) -> RwLockReadGuard<'_, Table> {
    table.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(table: &RwLock<Table>) -> RwLockWriteGuard<'_, Table> {
    table.write().unwrap_or_else(PoisonError::into_inner)
}

fn place_of(value: &[u8; VALUE_BYTES]) -> Place {
    let short = |at: usize| u32::from_le_bytes([value[at], value[at + 1], value[at + 2], value[at + 3]]);
    let offset = u64::from(short(4)) | u64::from(short(8)) << 32;
    Place { segment: short(0), offset, length: short(12), checksum: short(16) }
}

fn value_of(place: Place) -> [u8; VALUE_BYTES] {
    let mut value = [0; VALUE_BYTES];
    value[..4].copy_from_slice(&place.segment.to_le_bytes());
    value[4..12].copy_from_slice(&place.offset.to_le_bytes());
    value[12..16].copy_from_slice(&place.length.to_le_bytes());
    value[16..].copy_from_slice(&place.checksum.to_le_bytes());
    value
}
