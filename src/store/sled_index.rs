//! The index in sled. The only file that names sled.
//!
//! | key | value |
//! |---|---|
//! | `a` + fingerprint | place of the answer that is used |
//! | `c` + conversation key | state |
//! | `l` + fingerprint | lost calls |
//! | `r` + run number | run of this store |
//! | `o` + run number | its start; none for a run before the first start |
//! | `s` + position in the journal | the start that begins there |
//! | `p` + start | what it has spent, where it is this store's own |
//! | `k` + start | what it has spent, where it is another store's |
//! | `g` + start + run number | run of another store |
//! | `u` + fingerprint + frame id | empty: an answer that is kept and not used |
//! | `x` + fingerprint | empty: conversations may have been built on an answer that was replaced |
//! | `mspending` | what was spent before the first start |
//! | `mcovered` | the journal position that is covered |
//!
//! Tags are never reused, and numbers in keys are big-endian. Values stay far below sled's segment size. Each group of entries
//! is one atomic batch.

use std::collections::{BTreeMap, BTreeSet, HashMap, btree_map};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::entry::{ConversationState, Entry, LostCalls, Run, Spending};
use super::error::StoreError;
use super::fold::{IndexView, fold};
use super::index::{IndexReader, StoreIndex};
use super::origins::{KeptRunId, Origins, join};
use super::place::{Place, Position};
use super::record;
use super::start::{FrameId, StartId};
use crate::conversation::{ConversationKey, Digest, Fingerprint};
use crate::files;

/// sled 0.34 uses about four times the configured amount, measured over a million answers.
const CACHE_BYTES: u64 = 24 << 20;
/// How often sled flushes its buffers. Bounds the journal that is replayed after a crash.
const FLUSH_INTERVAL_MS: u64 = 2_000;
/// The store's own lock is held here. sled's may be held for a moment longer by a thread of an index that this process has
/// just closed.
const LOCK_WAIT: Duration = Duration::from_millis(20);
const LOCK_WAITS_MAX: u32 = 250;
const COVERED: &[u8] = b"mcovered";
const SPENDING: &[u8] = b"mspending";

/// The index of a store on disk.
pub struct SledIndex {
    path: PathBuf,
    database: sled::Db,
}

impl SledIndex {
    /// Opens or creates the index. sled may panic on damaged files; a panic becomes an error too.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let config = sled::Config::default()
            .path(path)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(Some(FLUSH_INTERVAL_MS))
            .mode(sled::Mode::HighThroughput);
        let mut waited = 0;
        loop {
            match guarded(path, || config.open()) {
                Err(error) if waited < LOCK_WAITS_MAX && error.to_string().contains("could not acquire lock") => {
                    waited += 1;
                    std::thread::sleep(LOCK_WAIT);
                }
                database => return Ok(Self { path: path.to_owned(), database: database? }),
            }
        }
    }

    /// Flushes everything and makes it durable: sled's own flush does not reach the disk on Linux. Returns the checksum
    /// of the files.
    pub fn close(self) -> Result<u32, StoreError> {
        let Self { path, database } = self;
        guarded(&path, || database.flush())?;
        guarded(&path, || {
            drop(database);
            Ok(())
        })?;
        for file in index_files(&path)? {
            File::open(&file).and_then(|file| file.sync_all()).map_err(StoreError::io("sync", &file))?;
        }
        seal(&path)
    }

    fn value_of(&self, key: &[u8]) -> Result<Option<sled::IVec>, StoreError> {
        guarded(&self.path, || self.database.get(key))
    }

    /// Returns what `read` makes of each entry whose key begins with `prefix`; it gets the rest of the key.
    fn all<'a, T>(
        &'a self,
        prefix: &[u8],
        read: impl Fn(&[u8], &[u8]) -> Option<T> + 'a,
    ) -> impl DoubleEndedIterator<Item = Result<T, StoreError>> + 'a {
        let begin = prefix.len();
        self.database.scan_prefix(prefix).map(move |item| {
            let (key, bytes) = guarded(&self.path, || item)?;
            key.get(begin..).and_then(|rest| read(rest, &bytes)).ok_or_else(|| self.unreadable("an entry"))
        })
    }

    fn starts(&self) -> impl DoubleEndedIterator<Item = Result<(Position, StartId), StoreError>> {
        self.all(b"s", |position, start| Some((read_position(position)?, read_start(start)?)))
    }

    fn spending_of(&self, key: &[u8]) -> Result<Spending, StoreError> {
        match self.value_of(key)? {
            None => Ok(Spending::default()),
            Some(bytes) => record::decode_spending(&bytes).map_err(|_| self.unreadable("the spending")),
        }
    }

    fn unreadable(&self, what: &str) -> StoreError {
        StoreError::Index { path: self.path.clone(), reason: format!("{what} cannot be read") }
    }
}

impl StoreIndex for SledIndex {
    fn apply(&self, entries: &[(Place, Entry)]) -> Result<(), StoreError> {
        let Some((last, _)) = entries.last() else { return Ok(()) };
        let mut batch = Batch {
            index: self,
            places: HashMap::new(),
            states: HashMap::new(),
            runs: BTreeMap::new(),
            lost: HashMap::new(),
            current: self.starts().next_back().transpose()?.map(|(_, start)| start),
            begun: BTreeMap::new(),
            own_starts: BTreeMap::new(),
            own: BTreeMap::new(),
            kept: BTreeMap::new(),
            kept_runs: BTreeMap::new(),
            unused: BTreeSet::new(),
            unsettled: BTreeSet::new(),
            is_settled: false,
        };
        for (place, entry) in entries {
            fold(&mut batch, *place, entry)?;
        }
        let mut writes = sled::Batch::default();
        for (fingerprint, place) in &batch.places {
            writes.insert(tagged_key(b'a', &fingerprint.0), &place_bytes(*place));
        }
        for (conversation, state) in &batch.states {
            writes.insert(tagged_key(b'c', &conversation.0), record::encode_state(state));
        }
        for run in batch.runs.values() {
            writes.insert(tagged_key(b'r', &run.number.to_be_bytes()), record::encode_run(run));
        }
        for (fingerprint, lost) in &batch.lost {
            writes.insert(tagged_key(b'l', &fingerprint.0), record::encode_lost(lost));
        }
        batch.write_origins(&mut writes)?;
        writes.insert(COVERED, &place_bytes(*last));
        guarded(&self.path, || self.database.apply_batch(writes))
    }

    fn checkpoint(&self) -> Result<Option<Place>, StoreError> {
        let bytes = self.value_of(COVERED)?;
        bytes.map(|bytes| read_place(&bytes).ok_or_else(|| self.unreadable("the checkpoint"))).transpose()
    }

    fn replace(&self, fingerprint: &Fingerprint, old: Place, new: Option<Place>) -> Result<(), StoreError> {
        let (key, old, new) = (tagged_key(b'a', &fingerprint.0), place_bytes(old), new.map(place_bytes));
        // If the swap fails, another place has been stored: that one is kept.
        let new = new.as_ref().map(|bytes| &bytes[..]);
        guarded(&self.path, || self.database.compare_and_swap(key, Some(&old[..]), new)).map(drop)
    }
}

impl IndexReader for SledIndex {
    fn place(&self, fingerprint: &Fingerprint) -> Result<Option<Place>, StoreError> {
        let bytes = self.value_of(&tagged_key(b'a', &fingerprint.0))?;
        bytes.map(|bytes| read_place(&bytes).ok_or_else(|| self.unreadable("a place"))).transpose()
    }

    fn state(&self, conversation: &ConversationKey) -> Result<Option<ConversationState>, StoreError> {
        let bytes = self.value_of(&tagged_key(b'c', &conversation.0))?;
        bytes.map(|bytes| record::decode_state(&bytes).map_err(|_| self.unreadable("a state"))).transpose()
    }

    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), StoreError> {
        for item in self.database.scan_prefix(b"c") {
            let (name, bytes) = guarded(&self.path, || item)?;
            let hash = name.get(1..).and_then(|hash| hash.try_into().ok());
            let state = record::decode_state(&bytes).ok();
            let (hash, state) = hash.zip(state).ok_or_else(|| self.unreadable("a state"))?;
            visit(ConversationKey(hash), state);
        }
        Ok(())
    }

    fn lost(&self, fingerprint: &Fingerprint) -> Result<LostCalls, StoreError> {
        let bytes = self.value_of(&tagged_key(b'l', &fingerprint.0))?;
        bytes.map_or(Ok(LostCalls::default()), |bytes| {
            record::decode_lost(&bytes).map_err(|_| self.unreadable("a question's lost calls"))
        })
    }

    fn for_each_lost(&self, visit: &mut dyn FnMut(Fingerprint, LostCalls)) -> Result<(), StoreError> {
        for item in self.database.scan_prefix(b"l") {
            let (name, bytes) = guarded(&self.path, || item)?;
            let hash = name.get(1..).and_then(|hash| hash.try_into().ok());
            let lost = record::decode_lost(&bytes).ok();
            let (hash, lost) = hash.zip(lost).ok_or_else(|| self.unreadable("a question's lost calls"))?;
            visit(Fingerprint(hash), lost);
        }
        Ok(())
    }

    fn origins(&self) -> Result<Origins, StoreError> {
        let mut origins = Origins { begun: self.starts().collect::<Result<_, _>>()?, ..Origins::default() };
        for run in self.all(b"r", |_, bytes| record::decode_run(bytes).ok()) {
            let run = run?;
            let start = self.value_of(&tagged_key(b'o', &run.number.to_be_bytes()))?;
            let start = start.map(|bytes| read_start(&bytes).ok_or_else(|| self.unreadable("a run's start")));
            origins.own_runs.insert(run.number, (start.transpose()?, run));
        }
        for run in self.all(b"g", |key, bytes| Some((read_start(key.get(..16)?)?, record::decode_run(bytes).ok()?))) {
            let (start, run) = run?;
            origins.kept_runs.insert((start, run.number), run);
        }
        for own in self.all(b"p", |key, bytes| Some((read_start(key)?, record::decode_spending(bytes).ok()?))) {
            let (start, spending) = own?;
            origins.own.insert(Some(start), spending);
        }
        let unnamed = self.spending_of(SPENDING)?;
        if !unnamed.is_empty() {
            origins.own.insert(None, unnamed);
        }
        let kept = self.all(b"k", |key, bytes| Some((read_start(key)?, record::decode_spending(bytes).ok()?)));
        origins.kept = kept.collect::<Result<_, _>>()?;
        Ok(origins)
    }

    fn unused(&self, fingerprint: &Fingerprint) -> Result<BTreeSet<FrameId>, StoreError> {
        self.all(&tagged_key(b'u', &fingerprint.0), |frame, _| read_frame(frame)).collect()
    }

    fn has_unused(&self) -> Result<bool, StoreError> {
        Ok(self.all(b"u", |_, _| Some(())).next().transpose()?.is_some())
    }

    fn is_unsettled(&self, fingerprint: &Fingerprint) -> Result<bool, StoreError> {
        Ok(self.value_of(&tagged_key(b'x', &fingerprint.0))?.is_some())
    }

    fn has_unsettled(&self) -> Result<bool, StoreError> {
        Ok(self.all(b"x", |_, _| Some(())).next().transpose()?.is_some())
    }
}

/// A batch of entries during the fold: reads from sled, and sees its own writes.
struct Batch<'a> {
    index: &'a SledIndex,
    places: HashMap<Fingerprint, Place>,
    states: HashMap<ConversationKey, ConversationState>,
    runs: BTreeMap<u32, Run>,
    lost: HashMap<Fingerprint, LostCalls>,
    /// The start that spends.
    current: Option<StartId>,
    begun: BTreeMap<Position, StartId>,
    /// The starts of new runs.
    own_starts: BTreeMap<u32, StartId>,
    /// The spending that has changed.
    own: BTreeMap<Option<StartId>, Spending>,
    kept: BTreeMap<StartId, Spending>,
    kept_runs: BTreeMap<KeptRunId, Run>,
    unused: BTreeSet<(Fingerprint, FrameId)>,
    unsettled: BTreeSet<Fingerprint>,
    /// What sled has of unsettled questions is forgotten.
    is_settled: bool,
}

impl Batch<'_> {
    fn write_origins(&self, writes: &mut sled::Batch) -> Result<(), StoreError> {
        for (position, start) in &self.begun {
            writes.insert(tagged_key(b's', &position_bytes(*position)), &start.0);
        }
        for (run, start) in &self.own_starts {
            writes.insert(tagged_key(b'o', &run.to_be_bytes()), &start.0);
        }
        for (start, spending) in &self.own {
            let key = start.map_or_else(|| SPENDING.to_vec(), |start| tagged_key(b'p', &start.0));
            writes.insert(key, record::encode_spending(spending));
        }
        for (start, spending) in &self.kept {
            writes.insert(tagged_key(b'k', &start.0), record::encode_spending(spending));
        }
        for ((start, _), run) in &self.kept_runs {
            writes.insert(kept_run_key((*start, run.number)), record::encode_run(run));
        }
        for (fingerprint, frame) in &self.unused {
            writes.insert([&tagged_key(b'u', &fingerprint.0)[..], &frame.record.0, &frame.start.0].concat(), &[]);
        }
        if self.is_settled {
            for key in self.index.all(b"x", |fingerprint, _| Some(tagged_key(b'x', fingerprint))) {
                writes.remove(key?);
            }
        }
        for fingerprint in &self.unsettled {
            writes.insert(tagged_key(b'x', &fingerprint.0), &[]);
        }
        Ok(())
    }

    /// Changes a run of another store, if it is known.
    fn with_kept_run(&mut self, id: KeptRunId, change: impl FnOnce(&mut Run)) -> Result<bool, StoreError> {
        if let Some(run) = self.kept_runs.get_mut(&id) {
            change(run);
            return Ok(true);
        }
        let Some(bytes) = self.index.value_of(&kept_run_key(id))? else { return Ok(false) };
        let mut run = record::decode_run(&bytes).map_err(|_| self.index.unreadable("a run"))?;
        change(&mut run);
        self.kept_runs.insert(id, run);
        Ok(true)
    }
}

impl IndexView for Batch<'_> {
    type WriteError = StoreError;

    fn put_place(&mut self, fingerprint: Fingerprint, place: Place) -> Result<(), StoreError> {
        if self.index.place(&fingerprint)?.is_none() {
            self.places.entry(fingerprint).or_insert(place);
        }
        Ok(())
    }

    fn update_state(
        &mut self,
        key: ConversationKey,
        change: impl FnOnce(&mut ConversationState),
    ) -> Result<(), StoreError> {
        let state = match self.states.entry(key) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(unknown) => {
                unknown.insert(self.index.state(&key)?.unwrap_or_default())
            }
        };
        change(state);
        Ok(())
    }

    fn replace_place(&mut self, fingerprint: Fingerprint, place: Place) -> Result<(), StoreError> {
        self.places.insert(fingerprint, place);
        Ok(())
    }

    fn put_unused(&mut self, fingerprint: Fingerprint, frame: FrameId) -> Result<(), StoreError> {
        self.unused.insert((fingerprint, frame));
        Ok(())
    }

    fn put_unsettled(&mut self, fingerprint: Fingerprint) -> Result<(), StoreError> {
        self.unsettled.insert(fingerprint);
        Ok(())
    }

    fn settle(&mut self) -> Result<(), StoreError> {
        self.unsettled.clear();
        self.is_settled = true;
        Ok(())
    }

    fn begin_start(&mut self, place: Place, start: StartId) -> Result<(), StoreError> {
        self.begun.insert(place.end(), start);
        self.current = Some(start);
        Ok(())
    }

    fn put_run(&mut self, run: &Run) -> Result<(), StoreError> {
        self.runs.insert(run.number, run.clone());
        self.own_starts.extend(self.current.map(|start| (run.number, start)));
        Ok(())
    }

    fn put_kept_run(&mut self, start: StartId, run: &Run) -> Result<(), StoreError> {
        let id = (start, run.number);
        if !self.with_kept_run(id, |_| {})? {
            self.kept_runs.insert(id, run.clone());
        }
        Ok(())
    }

    fn count_kept(&mut self, id: KeptRunId) -> Result<(), StoreError> {
        self.with_kept_run(id, |run| run.answers += 1).map(drop)
    }

    fn join_kept_spending(&mut self, start: StartId, spending: &Spending) -> Result<(), StoreError> {
        let known = match self.kept.entry(start) {
            btree_map::Entry::Occupied(known) => known.into_mut(),
            btree_map::Entry::Vacant(unknown) => unknown.insert(self.index.spending_of(&tagged_key(b'k', &start.0))?),
        };
        join(known, spending);
        Ok(())
    }

    fn count_answer(&mut self, number: u32) -> Result<(), StoreError> {
        if !self.runs.contains_key(&number)
            && let Some(bytes) = self.index.value_of(&tagged_key(b'r', &number.to_be_bytes()))?
        {
            let run = record::decode_run(&bytes).map_err(|_| self.index.unreadable("a run"))?;
            self.runs.insert(number, run);
        }
        self.runs.entry(number).and_modify(|run| run.answers += 1);
        Ok(())
    }

    fn put_lost(&mut self, fingerprint: Fingerprint, lost: &LostCalls) -> Result<(), StoreError> {
        self.lost.insert(fingerprint, lost.clone());
        Ok(())
    }

    fn spending(&mut self) -> Result<&mut Spending, StoreError> {
        Ok(match self.own.entry(self.current) {
            btree_map::Entry::Occupied(known) => known.into_mut(),
            btree_map::Entry::Vacant(unknown) => {
                let key = self.current.map_or_else(|| SPENDING.to_vec(), |start| tagged_key(b'p', &start.0));
                unknown.insert(self.index.spending_of(&key)?)
            }
        })
    }
}

/// Runs a sled operation and turns its errors and panics into [`StoreError`].
fn guarded<T>(path: &Path, action: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
    let reason = match catch_unwind(AssertUnwindSafe(action)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(sled::Error::Io(source))) => {
            return Err(StoreError::Io { action: "use", path: path.to_owned(), source });
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => "sled panicked".to_owned(),
    };
    Err(StoreError::Index { path: path.to_owned(), reason })
}

/// Returns a checksum of sled's files, names and contents. sled detects most damage when it reads, but a damaged
/// segment may also make keys disappear, and a missing key is an answer paid for twice.
pub fn seal(path: &Path) -> Result<u32, StoreError> {
    seal_into(path, "read", |_| Ok(io::sink()))
}

/// Copies sled's files to `to`, which is created, and returns their checksum, as [`seal`] does.
pub fn copy_and_seal(path: &Path, to: &Path) -> Result<u32, StoreError> {
    fs::create_dir(to).map_err(StoreError::io("create", to))?;
    seal_into(path, "copy", |name| {
        let copy = to.join(name);
        File::create_new(&copy).map_err(StoreError::io("create", &copy))
    })
}

fn seal_into<W: Write>(
    path: &Path,
    action: &'static str,
    copy: impl Fn(&OsStr) -> Result<W, StoreError>,
) -> Result<u32, StoreError> {
    let mut hasher = crc32fast::Hasher::new();
    for file in index_files(path)? {
        let name = file.file_name().unwrap_or_default();
        hasher.update(name.as_encoded_bytes());
        files::add_and_copy(&mut hasher, &file, &mut copy(name)?).map_err(StoreError::io(action, &file))?;
    }
    Ok(hasher.finalize())
}

/// Returns sled's files in a fixed order.
pub fn index_files(path: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = fs::read_dir(path).map_err(StoreError::io("read", path))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files)
}

fn tagged_key(tag: u8, hash: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + hash.len());
    key.push(tag);
    key.extend_from_slice(hash);
    key
}

fn kept_run_key((start, number): KeptRunId) -> Vec<u8> {
    [&tagged_key(b'g', &start.0)[..], &number.to_be_bytes()].concat()
}

fn read_start(bytes: &[u8]) -> Option<StartId> {
    bytes.try_into().ok().map(StartId)
}

fn read_frame(bytes: &[u8]) -> Option<FrameId> {
    let (record, start) = bytes.split_at_checked(32)?;
    Some(FrameId { record: Digest(record.try_into().ok()?), start: read_start(start)? })
}

/// Positions in keys are ordered as they are in the journal.
fn position_bytes(position: Position) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&position.segment.to_be_bytes());
    bytes[4..].copy_from_slice(&position.offset.to_be_bytes());
    bytes
}

fn read_position(bytes: &[u8]) -> Option<Position> {
    let bytes: [u8; 12] = bytes.try_into().ok()?;
    Some(Position {
        segment: u32::from_be_bytes(bytes[..4].try_into().ok()?),
        offset: u64::from_be_bytes(bytes[4..].try_into().ok()?),
    })
}

fn place_bytes(place: Place) -> [u8; 20] {
    let mut bytes = [0; 20];
    bytes[..4].copy_from_slice(&place.segment.to_le_bytes());
    bytes[4..12].copy_from_slice(&place.offset.to_le_bytes());
    bytes[12..16].copy_from_slice(&place.length.to_le_bytes());
    bytes[16..].copy_from_slice(&place.checksum.to_le_bytes());
    bytes
}

fn read_place(bytes: &[u8]) -> Option<Place> {
    let bytes: [u8; 20] = bytes.try_into().ok()?;
    Some(Place {
        segment: u32::from_le_bytes(bytes[..4].try_into().ok()?),
        offset: u64::from_le_bytes(bytes[4..12].try_into().ok()?),
        length: u32::from_le_bytes(bytes[12..16].try_into().ok()?),
        checksum: u32::from_le_bytes(bytes[16..].try_into().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::index::MemoryIndex;
    use super::super::samples::{conversation, placed, question};

    /// The index in memory is the definition.
    fn assert_same(index: &SledIndex, expected: &MemoryIndex) {
        for number in 0..=9 {
            assert_eq!(index.place(&question(number)).unwrap(), expected.place(&question(number)).unwrap(), "{number}");
            assert_eq!(index.lost(&question(number)).unwrap(), expected.lost(&question(number)).unwrap(), "{number}");
            let key = conversation(number);
            assert_eq!(index.state(&key).unwrap(), expected.state(&key).unwrap(), "{number}");
        }
        let mut states = HashMap::new();
        index.for_each_state(&mut |key, state| assert_eq!(states.insert(key, state), None)).unwrap();
        assert_eq!(states, expected.states);
        assert_eq!(index.origins().unwrap(), expected.origins);
        let mut lost = HashMap::new();
        index.for_each_lost(&mut |fingerprint, calls| assert_eq!(lost.insert(fingerprint, calls), None)).unwrap();
        assert_eq!(lost, expected.lost);
        for number in 0..=9 {
            assert_eq!(index.unused(&question(number)).unwrap(), expected.unused(&question(number)).unwrap());
            let unsettled = expected.is_unsettled(&question(number)).unwrap();
            assert_eq!(index.is_unsettled(&question(number)).unwrap(), unsettled, "{number}");
        }
        assert_eq!(index.has_unused().unwrap(), expected.has_unused().unwrap());
        assert_eq!(index.has_unsettled().unwrap(), expected.has_unsettled().unwrap());
    }

    #[test]
    fn it_says_the_same_as_the_index_in_memory_however_entries_are_grouped() {
        for size in [1, 3, 100] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("index");
            let (index, mut expected) = (SledIndex::open(&path).unwrap(), MemoryIndex::default());
            assert_eq!((index.checkpoint().unwrap(), index.covered().unwrap()), (None, Position::default()));
            assert_same(&index, &expected);
            for group in placed().chunks(size) {
                index.apply(group).unwrap();
                for (place, entry) in group {
                    expected.add(*place, entry);
                }
                assert_eq!(index.checkpoint().unwrap(), group.last().map(|(place, _)| *place));
                assert_eq!(Some(index.covered().unwrap()), group.last().map(|(place, _)| place.end()));
                assert_same(&index, &expected);
            }
            index.apply(&[]).unwrap();
            assert_eq!(expected.runs().unwrap()[0].answers, 4);
            let closed = index.close().unwrap();
            assert_eq!(seal(&path).unwrap(), closed);
            assert_same(&SledIndex::open(&path).unwrap(), &expected);
        }
    }

    #[test]
    fn a_place_is_replaced_unless_another_one_was() {
        let directory = tempfile::tempdir().unwrap();
        let index = SledIndex::open(&directory.path().join("index")).unwrap();
        let all = placed();
        index.apply(&all).unwrap();
        let (first, other) = (all[1].0, all[2].0);
        let found = || index.place(&question(1)).unwrap();
        index.replace(&question(1), other, None).unwrap();
        assert_eq!(found(), Some(first), "it stands elsewhere");
        index.replace(&question(1), first, Some(other)).unwrap();
        assert_eq!(found(), Some(other));
        index.replace(&question(1), other, None).unwrap();
        assert_eq!(found(), None);
        let bytes = place_bytes(Place { segment: 1, offset: 2, length: 3, checksum: 4 });
        assert_eq!(bytes, [1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0]);
        assert_eq!((read_place(&bytes).map(place_bytes), read_place(&bytes[1..])), (Some(bytes), None));
        assert_eq!(tagged_key(b'a', &[7, 8]), [b'a', 7, 8]);
    }

    #[test]
    fn a_checksum_is_of_names_and_contents_and_a_copy_has_both() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        fs::create_dir_all(from.join("no file")).unwrap();
        fs::write(from.join("b"), "2").unwrap();
        fs::write(from.join("a"), "1").unwrap();
        assert_eq!(index_files(&from).unwrap(), [from.join("a"), from.join("b")]);
        assert_eq!(seal(&from).unwrap(), crc32fast::hash(b"a1b2"));
        assert_eq!(copy_and_seal(&from, &to).unwrap(), crc32fast::hash(b"a1b2"));
        assert_eq!((fs::read(to.join("a")).unwrap(), fs::read(to.join("b")).unwrap()), (b"1".to_vec(), b"2".to_vec()));
        assert!(copy_and_seal(&from, &to).is_err(), "nothing is overwritten");
    }

    #[test]
    fn an_index_that_was_just_closed_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index");
        let first = SledIndex::open(&path).unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| SledIndex::open(&path).map(drop));
            std::thread::sleep(3 * LOCK_WAIT);
            drop(first);
            second.join().unwrap().unwrap();
        });
        let _held = SledIndex::open(&path).unwrap();
        let error = SledIndex::open(&path).map(drop).unwrap_err().to_string();
        assert!(error.contains("could not acquire lock"), "{error}");
    }

    #[test]
    fn an_index_that_is_no_directory_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index");
        fs::write(&path, "words").unwrap();
        assert!(SledIndex::open(&path).is_err());
    }
}
