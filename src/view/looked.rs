//! What a page looks at: the conversations of a store, with an index that follows them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::Serialize;

use super::index::{Counts, Coverage, Indexing, Listing, ViewIndex, Voice};
use super::pairs::Pairs;
use super::query::Query;
use super::running::Running;
use super::shown::Shown;
use super::source::ItemSource;
use crate::conversation::ConversationKey;
use crate::job::{Asked, Conversations, FinishedRows, JobError, key_prefix};

/// A store, or the output of a job, that is looked at.
pub struct Looked {
    place: PathBuf,
    source: Box<dyn ItemSource>,
    /// The pairs of a comparison.
    pairs: Option<Pairs>,
    /// The run of a store, whose journal may grow; `None` for an output.
    run: Option<Running>,
    index: RwLock<Arc<ViewIndex>>,
    /// Why the index cannot be kept up to date.
    problem: Mutex<Option<String>>,
}

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct About {
    /// The store, or the file or directory.
    pub name: String,
    /// True for a store, which a run may be at work on.
    pub is_store: bool,
    /// Pairs of answers to be judged.
    pub pairs: u64,
    /// The version of the program.
    pub version: &'static str,
    /// Why user turns and old answers are not shown, where that is so.
    pub missing: Option<String>,
    /// How many rows the input has.
    pub rows: u64,
}

/// What changes while a run is at work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Live {
    /// Grows whenever a conversation changes.
    pub generation: u64,
    /// How far the index covers the input and the journal.
    pub coverage: Coverage,
    /// Why the index cannot be kept up to date.
    pub problem: Option<String>,
    /// What became of the inputs since they were read.
    pub input_changes: Vec<String>,
}

/// How conversations are saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SavedAs {
    /// The ids alone.
    Ids,
    /// Whole conversations, as JSON.
    Lines,
}

impl Looked {
    /// Opens a store, whether or not a run is at work on it. `asked` is what the run asks.
    pub fn open(store: &Path, asked: &Asked) -> Result<Self, JobError> {
        let pairs = asked.comparison().map(|place| pairs_in(&place)).transpose()?.flatten();
        Self::of(store, true, Box::new(Conversations::open(asked, store)), pairs)
    }

    /// Opens what a job has written: a file of rows, or the directory of a comparison or a tutoring.
    pub fn open_output(place: &Path) -> Result<Self, JobError> {
        let pairs = pairs_in(place)?;
        let files = files_in(place)?;
        Self::of(place, false, Box::new(FinishedRows::open(&files)?), pairs)
    }

    fn of(place: &Path, is_store: bool, source: Box<dyn ItemSource>, pairs: Option<Pairs>) -> Result<Self, JobError> {
        let index = open_index(place, is_store, &*source)?;
        let (index, problem) = (RwLock::new(Arc::new(index)), Mutex::default());
        let run = is_store.then(|| Running::of(place));
        Ok(Self { place: place.to_owned(), source, pairs, run, index, problem })
    }

    /// Returns what is looked at.
    pub fn about(&self) -> About {
        About {
            name: self.place.display().to_string(),
            is_store: self.run.is_some(),
            pairs: self.pairs.as_ref().map_or(0, Pairs::len),
            version: env!("CARGO_PKG_VERSION"),
            missing: self.source.missing(),
            rows: self.source.row_count(),
        }
    }

    /// Returns the pairs of a comparison.
    pub fn pairs(&self) -> Option<&Pairs> {
        self.pairs.as_ref()
    }

    /// Returns the run of the store; nothing where an output is looked at.
    pub fn run(&self) -> Option<&Running> {
        self.run.as_ref()
    }

    /// Returns what changes while a run is at work.
    pub fn live(&self) -> Result<Live, JobError> {
        let index = self.index();
        Ok(Live {
            generation: index.generation(),
            coverage: index.coverage()?,
            problem: self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            input_changes: self.source.file_changes(),
        })
    }

    /// Lists what passes a query.
    pub fn list(&self, query: &Query) -> Result<Listing, JobError> {
        self.index().list(query).map_err(unreadable)
    }

    /// Counts what conversations have.
    pub fn counts(&self) -> Result<Counts, JobError> {
        self.index().counts().map_err(unreadable)
    }

    /// Returns a conversation as it is now; nothing where there is no item of this number.
    pub fn item(&self, item: u64) -> Result<Option<Shown>, JobError> {
        let index = self.index();
        match index.record(item).map_err(unreadable)? {
            None => Ok(None),
            Some(record) => self.source.shown(item, ConversationKey(record.key), &*index),
        }
    }

    /// Returns the number of the first conversation with an id, or whose key begins so.
    pub fn find(&self, name: &str) -> Result<Option<u64>, JobError> {
        let index = self.index();
        let mut found = None;
        let name = name.trim();
        let by_id = Query { text: name.to_owned(), voice: Some(Voice::System), ..Query::default() };
        if !name.is_empty() {
            index
                .for_each_passing(&by_id, &mut |item, record| {
                    if found.is_none() && index.head(record)?.id == name {
                        found = Some(item);
                    }
                    Ok(())
                })
                .map_err(unreadable)?;
        }
        if let Some(prefix) = key_prefix(name).filter(|_| found.is_none()) {
            index
                .for_each_passing(&Query::default(), &mut |item, record| {
                    if found.is_none() && ConversationKey(record.key).to_string().starts_with(&prefix) {
                        found = Some(item);
                    }
                    Ok(())
                })
                .map_err(unreadable)?;
        }
        Ok(found)
    }

    /// Passes every conversation that passes a query to `take`, as a line.
    pub fn save(
        &self,
        query: &Query,
        kind: SavedAs,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), JobError> {
        let index = self.index();
        index
            .for_each_passing(query, &mut |item, record| match kind {
                SavedAs::Ids if record.is_read => take(index.head(record)?.id.as_bytes()),
                SavedAs::Ids => Ok(()),
                SavedAs::Lines => match self.item(item).map_err(io::Error::other)? {
                    Some(shown) => take(&serde_json::to_vec(&shown)?),
                    None => Ok(()),
                },
            })
            .map_err(unreadable)
    }

    /// Takes in what is new in the store.
    pub fn catch_up(&self, stop: &AtomicBool) {
        let index = self.index();
        let caught_up = Indexing::new(&index, &*self.source).catch_up(stop).map(|_| ());
        let caught_up = caught_up.and_then(|()| if index.is_outdated() { self.begin_again() } else { Ok(()) });
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = caught_up.err().map(|error| error.to_string());
    }

    /// Rebuilds the index: the journal was repaired.
    fn begin_again(&self) -> Result<(), JobError> {
        let index = open_index(&self.place, self.run.is_some(), &*self.source)?;
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(index);
        Ok(())
    }

    fn index(&self) -> Arc<ViewIndex> {
        Arc::clone(&self.index.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Opens the pairs of a comparison that has been written here.
fn pairs_in(place: &Path) -> Result<Option<Pairs>, JobError> {
    place.join("verdicts.jsonl").is_file().then(|| Pairs::open(place)).transpose()
}

fn open_index(place: &Path, is_store: bool, source: &dyn ItemSource) -> Result<ViewIndex, JobError> {
    let (identity, rows) = (source.identity(), source.row_count());
    if is_store { ViewIndex::open(place, &identity, rows) } else { ViewIndex::of_files(&identity, rows) }
}

/// Files of a directory that hold no conversations.
const NO_ROWS: [&str; 3] = ["verdicts.jsonl", "incomplete.jsonl", "controls.jsonl"];

/// Returns the files of rows that a job has written: the place itself, or the JSON lines in the directory.
fn files_in(place: &Path) -> Result<Vec<String>, JobError> {
    let hint = "name a store, a file of rows, or the directory of a comparison or a tutoring";
    if place.is_file() {
        return Ok(vec![place.display().to_string()]);
    }
    let fault = |error: io::Error| JobError::usage(format!("cannot read {}: {error}", place.display()), hint);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(place).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_jsonl = path.extension().is_some_and(|ending| ending == "jsonl");
        let is_rows = path.is_file() && is_jsonl && !NO_ROWS.contains(&name.as_str());
        if is_rows && !name.ends_with(".incomplete.jsonl") {
            files.push(path.display().to_string());
        }
    }
    files.sort();
    if files.is_empty() && !place.join("verdicts.jsonl").is_file() {
        return Err(JobError::usage(format!("{} holds no store and no rows", place.display()), hint));
    }
    Ok(files)
}

fn unreadable(error: io::Error) -> JobError {
    let hint = "start `cohobate view` again; the index is derived from the store and rebuilt where it cannot be used";
    JobError::storage(format!("cannot read the index of the page: {error}"), hint)
}
