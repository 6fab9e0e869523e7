use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::spool::Spool;
use super::stream::read_record;
use crate::conversation::{Digest, Message, Record, Seed};
use crate::dataset::{Notes, Origin, RawRow, Reading, RowIndex, RowIndexError, RowReader, RowState, Skip};
use crate::job::JobError;
use crate::job::left_out::LeftOut;
use crate::job::row_place::RowPlace;
use crate::job::rows::{TakeRow, VisitRows};
use crate::worker::Seeds;

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
}

impl Rows {
    /// Returns how many rows there are.
    pub fn len(&self) -> u64 {
        self.index.row_count()
    }

    /// Returns the hash of a row's conversation, where it holds one.
    pub fn digest(&self, row: u64) -> Result<Option<Digest>, RowIndexError> {
        Ok(match self.index.entry(row)?.state {
            RowState::Ready { digest, .. } => Some(digest),
            RowState::Skipped | RowState::Duplicate | RowState::Invalid => None,
        })
    }

    /// Returns the input and the line of a row.
    pub fn place(&self, row: u64) -> Result<(&str, u64), RowIndexError> {
        let entry = self.index.entry(row)?;
        Ok((self.index.source_name(entry.source), entry.line))
    }

    /// Reads a row again: its conversation, or why it is left out, with the id of a row that has one. Fails where the row
    /// is not what it was in the first pass.
    pub fn read(&self, row: u64) -> Result<Result<Seed, (Option<String>, LeftOut)>, RowIndexError> {
        let entry = self.index.entry(row)?;
        let bytes = self.index.bytes(&entry)?;
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
            RowIndexError::Changed(self.index.source_name(entry.source).to_owned())
        };
        match (entry.state, reading) {
            (RowState::Ready { digest, .. }, Reading::Ready { seed, .. }) => {
                let seed = replace_system(seed, self.system.as_ref());
                if seed.digest() == digest { Ok(Ok(seed)) } else { Err(changed()) }
            }
            (RowState::Duplicate, Reading::Ready { seed, .. }) => {
                Ok(Err((Some(seed.id), LeftOut::Skipped(Skip::Duplicate))))
            }
            (RowState::Skipped, Reading::Skipped { id, skip, .. }) => Ok(Err((id, LeftOut::Skipped(skip)))),
            (RowState::Invalid, Reading::Invalid { reason }) => Ok(Err((None, LeftOut::Invalid(reason)))),
            _ => Err(changed()),
        }
    }

    /// Reads a row as it stands in the input, as a record. The inner error says why it is not one.
    pub fn record(&self, row: u64) -> Result<Result<Record, LeftOut>, RowIndexError> {
        let entry = self.index.entry(row)?;
        let raw = RawRow { bytes: &self.index.bytes(&entry)?, line: entry.line, offset: 0 };
        let file = self.index.source_name(entry.source);
        Ok(read_record(Ok(raw), file, &self.reader, &mut Notes::default()).1)
    }

    /// Returns a directory that goes when the rows go.
    pub fn spool(&self) -> &Path {
        self.spool.path()
    }
}

impl VisitRows for Rows {
    type Row = Seed;

    /// Fails at the end where an input was written to since the first pass.
    fn visit(&self, take: &mut TakeRow<'_, Seed>) -> Result<(), JobError> {
        for row in 0..self.len() {
            let (source, line) = self.place(row)?;
            let (id, read) = match self.read(row)? {
                Ok(seed) => (None, Ok(seed)),
                Err((id, why)) => (id, Err(why)),
            };
            take(RowPlace { source, line, row, id: id.as_deref() }, read)?;
        }
        Ok(self.index.check_unchanged()?)
    }
}

impl Seeds for Rows {
    fn seed(&self, row: u64) -> Result<Seed, String> {
        match self.read(row) {
            Ok(Ok(seed)) => Ok(seed),
            Ok(Err(_)) => Err("it holds no conversation".to_owned()),
            Err(error) => Err(error.to_string()),
        }
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
