use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::spool::Spool;
use super::stream::read_record;
use crate::conversation::{ConversationKey, Digest, Message, Record, Seed, Settings};
use crate::dataset::{Notes, Origin, RawRow, Reading, RowIndex, RowIndexError, RowReader, RowState, Skip};
use crate::job::finished_file::FinishedFile;
use crate::job::left_out::LeftOut;
use crate::job::phase::PhaseMeter;
use crate::job::row_place::RowPlace;
use crate::job::rows::{TakeRow, VisitRows};
use crate::job::{Context, JobError, JobEvent, Phase};
use crate::recipe::Recipe;
use crate::store::{Prefetch, Reader};
use crate::worker::{LookAhead, SeedError, Seeds};

/// The rows of all inputs, to be read again by number.
pub struct Rows {
    pub(super) index: RowIndex,
    pub(super) reader: RowReader,
    pub(super) system: Option<Arc<Message>>,
    /// Why a row cannot be cut out of its file, by row.
    pub(super) cut_problems: BTreeMap<u64, String>,
    /// Where the first pass is remembered, if it is.
    pub(super) remembered: Option<PathBuf>,
    pub(super) spool: Spool,
    /// Rows that the last visit found changed.
    pub(super) changed: AtomicU64,
    /// What has been said about the files.
    pub(super) said: Mutex<BTreeSet<String>>,
    pub(super) context: Context,
    /// Told of the conversations that a visit comes to next.
    pub(super) ahead: Mutex<Option<LookAhead>>,
}

/// Rows that a visit tells of at once.
const LOOK_AHEAD_ROWS: u64 = 256;

impl Rows {
    /// Returns how many rows there are, those of other shards included.
    pub fn len(&self) -> u64 {
        self.index.row_count()
    }

    /// Returns the file that remembers which rows a recipe has finished, where the first pass is remembered.
    pub fn finished_file(&self, recipe: &dyn Recipe) -> Option<FinishedFile> {
        let directory = self.remembered.as_deref()?;
        let older = recipe.older().iter().map(|older| older.settings.digest());
        let settings = older.fold(recipe.settings().digest(), |settings, older| settings.then(&older));
        Some(FinishedFile::of(directory, settings, self.len()))
    }

    /// Returns the hash of a row's conversation, where it holds one.
    pub fn digest(&self, row: u64) -> Result<Option<Digest>, RowIndexError> {
        Ok(self.conversation(row)?.map(|(digest, _)| digest))
    }

    /// Returns the same with how much of the total the row is.
    pub fn conversation(&self, row: u64) -> Result<Option<(Digest, u32)>, RowIndexError> {
        Ok(match self.index.entry(row)?.state {
            RowState::Ready { digest, turns } => Some((digest, turns)),
            RowState::Skipped | RowState::Duplicate | RowState::Invalid | RowState::Elsewhere => None,
        })
    }

    /// Returns the input and the line of a row.
    pub fn place(&self, row: u64) -> Result<(&str, u64), RowIndexError> {
        let entry = self.index.entry(row)?;
        Ok((self.index.source_name(entry.source), entry.line))
    }

    /// Returns the names of the inputs, files of directories each by its own.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.index.source_names()
    }

    /// Returns how rows are read, in words that differ where rows may differ.
    pub fn reading(&self) -> String {
        format!("{:?}", self.reader)
    }

    /// Returns how many rows were found changed in the last visit.
    pub fn changed_count(&self) -> u64 {
        self.changed.load(Ordering::Relaxed)
    }

    /// Returns what became of the inputs since the first pass, in words.
    pub fn file_changes(&self) -> Vec<String> {
        self.index.changes().map(|(name, change)| change.words(name)).collect()
    }

    /// Reads a row again: its conversation, or why it is left out, with the id of a row that has one. A row that is not
    /// what it was in the first pass is left out, and so is one of another shard.
    pub fn read(&self, row: u64) -> Result<Result<Seed, (Option<String>, LeftOut)>, RowIndexError> {
        let entry = self.index.entry(row)?;
        if entry.state == RowState::Elsewhere {
            return Ok(Err((None, LeftOut::Elsewhere)));
        }
        let bytes = match self.index.bytes(&entry) {
            Err(RowIndexError::Changed(reason)) => return Ok(Err((None, LeftOut::Changed(reason)))),
            other => other?,
        };
        if entry.state == RowState::Invalid {
            let unknown = || {
                bytes.is_empty().then(|| "the row cannot be read; only of the first ones it is known why".to_owned())
            };
            if let Some(reason) = self.cut_problems.get(&row).cloned().or_else(unknown) {
                return Ok(Err((None, LeftOut::Invalid(reason))));
            }
        }
        let origin = Origin { file: self.index.source_name(entry.source), line: entry.line };
        let reading = self.reader.read_at(&bytes, Some(origin));
        let changed = || {
            // Should the file look as it did, what is remembered of it is wrong.
            self.remembered.iter().for_each(|path| drop(std::fs::remove_dir_all(path)));
            Ok(Err((None, LeftOut::Changed("the row was changed in its file while the run was at work".to_owned()))))
        };
        match (entry.state, reading) {
            (RowState::Ready { digest, .. }, Reading::Ready { seed, .. }) => {
                let seed = replace_system(seed, self.system.as_ref());
                if seed.digest() == digest { Ok(Ok(seed)) } else { changed() }
            }
            (RowState::Duplicate, Reading::Ready { seed, .. }) => {
                Ok(Err((Some(seed.id), LeftOut::Skipped(Skip::Duplicate))))
            }
            (RowState::Skipped, Reading::Skipped { id, skip, .. }) => Ok(Err((id, LeftOut::Skipped(skip)))),
            (RowState::Invalid, Reading::Invalid { reason }) => Ok(Err((None, LeftOut::Invalid(reason)))),
            _ => changed(),
        }
    }

    /// Returns the number of a row's line; true where its bytes hold a text letter for letter. Much cheaper than reading it.
    pub fn holds(&self, row: u64, text: &memchr::memmem::Finder<'_>) -> Result<(u64, bool), RowIndexError> {
        let entry = self.index.entry(row)?;
        match self.index.bytes(&entry) {
            Err(RowIndexError::Changed(_)) => Ok((entry.line, false)),
            other => Ok((entry.line, text.find(&other?).is_some())),
        }
    }

    /// Reads a row as it stands in the input, as a record. The inner error says why it is not one.
    pub fn record(&self, row: u64) -> Result<Result<Record, LeftOut>, RowIndexError> {
        let entry = self.index.entry(row)?;
        let bytes = match self.index.bytes(&entry) {
            Err(RowIndexError::Changed(reason)) => return Ok(Err(LeftOut::Changed(reason))),
            other => other?,
        };
        let raw = RawRow { bytes: &bytes, line: entry.line, offset: 0 };
        let file = self.index.source_name(entry.source);
        Ok(read_record(Ok(raw), file, &self.reader, &mut Notes::default()).1)
    }

    /// Reads ahead of a visit what a store on a server holds of the rows.
    pub fn read_ahead(&self, store: &Arc<dyn Reader>, recipe: &dyn Recipe) {
        if !store.is_remote() {
            return;
        }
        let older = recipe.older().iter().map(|older| older.settings.clone());
        let settings: Vec<Settings> = std::iter::once(recipe.settings().clone()).chain(older).collect();
        let store = Arc::clone(store);
        self.look_ahead(Box::new(move |digests| {
            let keys = |digest| settings.iter().map(move |settings| ConversationKey::new(settings, digest));
            let keys: Vec<ConversationKey> = digests.iter().flat_map(keys).collect();
            // What could not be read ahead is asked one by one, and fails there.
            let _ = store.prefetch(&keys, Prefetch::Answers);
        }));
    }

    fn tell_ahead(&self, row: u64) -> Result<(), JobError> {
        let ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ahead) = &*ahead {
            let rows = row..self.len().min(row + LOOK_AHEAD_ROWS);
            let digests = rows.filter_map(|row| Rows::digest(self, row).transpose()).collect::<Result<Vec<_>, _>>()?;
            ahead(&digests);
        }
        Ok(())
    }

    /// Returns a directory that goes when the rows go.
    pub fn spool(&self) -> &Path {
        self.spool.path()
    }
}

impl VisitRows for Rows {
    type Row = Seed;

    /// Passes over the rows of other shards. Reports at the end what became of the inputs since the first pass.
    fn visit(&self, take: &mut TakeRow<'_, Seed>) -> Result<(), JobError> {
        let (mut changed, mut meter) = (0, PhaseMeter::begin(&self.context));
        for row in 0..self.len() {
            let (name, total) = ("going over the rows", Some(self.len()));
            meter.step(|| Phase { name: name.to_owned(), done: row, total, unit: "row" });
            if row.is_multiple_of(LOOK_AHEAD_ROWS) {
                self.tell_ahead(row)?;
            }
            let (source, line) = self.place(row)?;
            let (id, read) = match self.read(row)? {
                Ok(seed) => (None, Ok(seed)),
                Err((_, LeftOut::Elsewhere)) => continue,
                Err((id, why)) => {
                    changed += u64::from(matches!(why, LeftOut::Changed(_)));
                    (id, Err(why))
                }
            };
            take(RowPlace { source, line, row, id: id.as_deref() }, read)?;
        }
        self.changed.store(changed, Ordering::Relaxed);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        for words in self.file_changes() {
            if said.insert(words.clone()) {
                self.context.report(JobEvent::Caution(words));
            }
        }
        Ok(())
    }
}

impl Seeds for Rows {
    fn seed(&self, row: u64) -> Result<Seed, String> {
        self.look(row).map_err(|error| error.to_string())
    }

    fn look(&self, row: u64) -> Result<Seed, SeedError> {
        match self.read(row) {
            Ok(Ok(seed)) => Ok(seed),
            Ok(Err((_, LeftOut::Changed(reason)))) => Err(SeedError::Changed(reason)),
            Ok(Err(_)) => Err(SeedError::Unreadable("it holds no conversation".to_owned())),
            Err(error) if error.is_lost() => Err(SeedError::Lost(error.to_string())),
            Err(error) => Err(SeedError::Unreadable(error.to_string())),
        }
    }

    fn digest(&self, row: u64) -> Option<Digest> {
        self.conversation(row).ok().flatten().map(|(digest, _)| digest)
    }

    fn look_ahead(&self, ahead: LookAhead) {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
    }

    fn shortest(&self, count: usize) -> Vec<u64> {
        self.index.shortest(count)
    }
}

/// Puts the run's system message in place of the row's own.
pub fn replace_system(seed: Seed, system: Option<&Arc<Message>>) -> Seed {
    match system {
        Some(system) => seed.with_system(system),
        None => seed,
    }
}
