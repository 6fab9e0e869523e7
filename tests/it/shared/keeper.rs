//! Where a simulated world keeps its answers: in memory, or in a shared store, over a connection whose operations fail and at
//! which workers die.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cohobate::conversation::Fingerprint;
use cohobate::store::shared::{Database, LEASE, Outbox, SharedReader, SharedStore, entry_of};
use cohobate::store::{Entry, Ledger, MemoryStore, Reader, Store, StoreError};
use cohobate::worker::{Ended, WorkerError};

use super::link::{HOST, Hub, Link, Plan};
use super::worker::quick_directory;
use crate::support::CrashingStore;

/// Operations of a thousand that fail before they are carried out, and as many whose replies are lost. Each failure costs a wait
/// that no simulated clock shortens.
const FAILS: usize = 4;
/// Operations on the database, at most, for each entry that a run stores.
const OPERATIONS_PER_ENTRY: usize = 3;

pub enum Keeper {
    Memory(Arc<MemoryStore>),
    Shared(SharedKeeper),
}

/// A database, and the directory of the one worker at a time.
pub struct SharedKeeper {
    hub: Arc<Hub>,
    directory: tempfile::TempDir,
    deaths: AtomicU64,
    failures: AtomicU64,
}

/// How a run ends before its time: at an entry or an operation on the database.
pub struct Crash {
    pub at: u64,
    /// It dies once that one has been carried out.
    pub keeps_the_last: bool,
    pub seed: u64,
}

/// What has gone wrong over a shared store.
#[derive(Clone, Copy, Debug, Default)]
pub struct Harm {
    pub deaths: u64,
    pub failures: u64,
}

impl Default for Keeper {
    fn default() -> Self {
        Self::Memory(Arc::default())
    }
}

impl Keeper {
    pub fn shared() -> Self {
        Self::Shared(SharedKeeper::new())
    }

    /// Runs once with a store, and the record of requests in flight where the store needs one.
    pub fn run(
        &self,
        crash: Option<Crash>,
        run: impl FnOnce(Arc<dyn Store>, Option<Ledger>) -> Result<Ended, WorkerError>,
    ) -> Result<Ended, String> {
        match self {
            Self::Memory(store) => {
                let (at, keeps_the_last) = crash.map_or((None, false), |crash| (Some(crash.at), crash.keeps_the_last));
                let store = CrashingStore::new(Arc::clone(store), at, keeps_the_last);
                run(Arc::new(store), None).map_err(|error| error.to_string())
            }
            Self::Shared(shared) => {
                let plan = crash.map_or_else(Plan::default, |Crash { at, keeps_the_last, seed }| Plan {
                    seed,
                    fails_before: FAILS,
                    fails_after: FAILS,
                    dies_at: Some((at, keeps_the_last)),
                    ..Plan::default()
                });
                shared.run(plan, run).0
            }
        }
    }

    /// Returns what is stored, in order; in a shared store, the answers and notes.
    pub fn entries(&self) -> Vec<Entry> {
        match self {
            Self::Memory(store) => store.entries(),
            Self::Shared(shared) => shared.entries(),
        }
    }

    /// Returns the questions whose answers are kept and must not be paid again.
    pub fn kept(&self) -> HashSet<Fingerprint> {
        match self {
            Self::Memory(store) => store.entries().iter().filter_map(answered).collect(),
            Self::Shared(shared) => shared.kept(),
        }
    }

    pub fn reader(&self) -> Arc<dyn Reader> {
        match self {
            Self::Memory(store) => Arc::clone(store) as Arc<dyn Reader>,
            Self::Shared(shared) => Arc::new(shared.reader()),
        }
    }

    /// Returns how many places there are to crash in a run that stores so many entries.
    pub fn crashes(&self, entries: usize) -> usize {
        let places = match self {
            Self::Memory(_) => entries,
            Self::Shared(_) => entries * OPERATIONS_PER_ENTRY,
        };
        places.max(1)
    }

    pub fn harm(&self) -> Harm {
        match self {
            Self::Memory(_) => Harm::default(),
            Self::Shared(SharedKeeper { deaths, failures, .. }) => {
                Harm { deaths: deaths.load(Ordering::SeqCst), failures: failures.load(Ordering::SeqCst) }
            }
        }
    }
}

impl SharedKeeper {
    pub fn new() -> Self {
        let (hub, directory) = (Arc::default(), quick_directory());
        Self { hub, directory, deaths: AtomicU64::new(0), failures: AtomicU64::new(0) }
    }

    /// Runs one start of the worker, to its end or its death.
    pub fn run(
        &self,
        plan: Plan,
        run: impl FnOnce(Arc<dyn Store>, Option<Ledger>) -> Result<Ended, WorkerError>,
    ) -> (Result<Ended, String>, Arc<Link>) {
        let link = Link::new(&self.hub, plan);
        let one_start = || {
            let store = Arc::new(self.open(&link));
            let ledger = Ledger::open(store.directory()).unwrap().0;
            let ended = run(Arc::clone(&store) as Arc<dyn Store>, Some(ledger));
            if ended.is_ok() {
                store.resume_publishing();
                store.close().unwrap();
            }
            ended.map_err(|error| error.to_string())
        };
        let ended = catch_unwind(AssertUnwindSafe(one_start)).unwrap_or_else(|panic| {
            if !link.is_dead() {
                resume_unwind(panic);
            }
            Err("killed".to_owned())
        });
        self.deaths.fetch_add(u64::from(link.is_dead()), Ordering::SeqCst);
        self.failures.fetch_add(link.failures.load(Ordering::SeqCst), Ordering::SeqCst);
        (ended, link)
    }

    /// Returns the answers and notes, in order.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        let visit = &mut |frame: Vec<u8>| {
            entries.push(entry_of(&frame).expect("a frame is whole"));
            true
        };
        self.hub.database.for_each_frame(visit).unwrap();
        entries
    }

    /// Returns the questions whose answers are in the database, or in the journal of a worker that has died.
    pub fn kept(&self) -> HashSet<Fingerprint> {
        let mut kept: HashSet<Fingerprint> = self.entries().iter().filter_map(answered).collect();
        let (outbox, _) = Outbox::take(self.directory.path(), HOST).unwrap();
        let visit = &mut |entry: Entry, _| {
            kept.extend(answered(&entry));
            Ok(())
        };
        let damages = outbox.left_behind(visit).unwrap();
        assert!(damages.is_empty(), "{damages:?}");
        kept
    }

    pub fn reader(&self) -> SharedReader {
        SharedReader::new(Arc::clone(&self.hub.database) as Arc<dyn Database>)
    }

    /// Opens the store, as often as the database is away.
    fn open(&self, link: &Arc<Link>) -> SharedStore {
        loop {
            match link.open(self.directory.path(), LEASE, "simulated") {
                Ok((store, _)) => {
                    assert!(store.directory().ends_with("host-1"), "nothing is left of the last start");
                    return store;
                }
                Err(StoreError::Away { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Returns the question that an entry answers.
pub fn answered(entry: &Entry) -> Option<Fingerprint> {
    match entry {
        Entry::Answered { fingerprint, .. } => Some(*fingerprint),
        _ => None,
    }
}
