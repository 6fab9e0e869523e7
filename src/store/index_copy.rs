//! A private copy of the index, for those who only read: sled writes to its files even when nobody asks it to.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::error::StoreError;
use super::index_state::{IndexState, StateKind};
use super::journal::Journal;
use super::lock::writer_of;
use super::open_index::{CHANGED, Opened, catch_up, distrust_before_reading, open_with_checkpoint};
use super::place::{Damage, Position};
use super::sled_index::{SledIndex, copy_and_seal};
use crate::files::OwnedDirectory;

/// Begins the names of copies in the system's temporary directory.
const PREFIX: &str = "cohobate-";

/// A copy of an index, brought up to date with the journal.
pub struct CopiedIndex {
    pub index: SledIndex,
    /// Where the copy is; to be dropped after the index.
    pub place: OwnedDirectory,
    /// What the index knows to be durable.
    pub durable: Position,
    /// The damage in the part of the journal that the copy did not cover.
    pub damages: Vec<Damage>,
}

/// Copies the index of the store in `directory` and brings the copy up to date. The error says why that cannot be done.
/// `state` was read before.
pub fn copied_index(
    directory: &Path,
    state: &IndexState,
    journal: &Journal,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<CopiedIndex, StoreError> {
    let (place, copied) = copy_index(directory, state)?;
    let path = place.path().join(COPY);
    match copied {
        IndexCopy::Whole => {}
        IndexCopy::InUse(holder) => return Err(StoreError::Locked { path: directory.to_owned(), holder }),
        IndexCopy::Distrusted(reason) => return Err(StoreError::Index { path: directory.to_owned(), reason }),
    }
    let (index, covered) = open_with_checkpoint(&path)?;
    let durable = state.durable.max(covered);
    let mut opened = Opened::default();
    catch_up(&path, &index, covered..durable, journal, &mut opened, progress)?;
    Ok(CopiedIndex { index, place, durable, damages: opened.damages })
}

/// The name of the copy in its directory.
pub const COPY: &str = "index";

/// What became of copying an index.
pub enum IndexCopy {
    /// The copy is whole: nobody wrote to the index while it was made.
    Whole,
    /// The index cannot be trusted, for this reason.
    Distrusted(String),
    /// This process writes to it.
    InUse(String),
}

/// Copies the index of the store in `directory` to [`COPY`] in a directory of its own: below the store, or in the system's
/// temporary directory where the store is read-only. `state` was read before.
///
/// Holds no lock. A closed index is known by the checksum of its files, whatever a run does meanwhile. One that a dead
/// process left open is copied while nobody writes; a run that begins replaces `index.state` before it opens the index, so
/// that an unchanged file proves that none did.
pub fn copy_index(directory: &Path, state: &IndexState) -> Result<(OwnedDirectory, IndexCopy), StoreError> {
    let spool = directory.join("spool");
    let place = OwnedDirectory::create_or_temporary(&spool, PREFIX);
    let place = place.map_err(StoreError::io("create a directory in", &spool))?;
    let copied = copy_unchanged(directory, state, &place.path().join(COPY))?;
    Ok((place, copied))
}

fn copy_unchanged(directory: &Path, state: &IndexState, to: &Path) -> Result<IndexCopy, StoreError> {
    let index = directory.join("index");
    let mark = Mark::of(directory);
    if let Some(reason) = distrust_before_reading(state, &index) {
        return Ok(IndexCopy::Distrusted(reason));
    }
    if let (StateKind::Open { .. }, Some(writer)) = (&state.kind, writer_of(directory)) {
        return Ok(IndexCopy::InUse(writer));
    }
    let checksum = copy_and_seal(&index, to);
    if mark.is_none() || Mark::of(directory) != mark || IndexState::read(directory) != *state {
        let begun = "a run began while it was copied".to_owned();
        return Ok(writer_of(directory).map_or(IndexCopy::Distrusted(begun), IndexCopy::InUse));
    }
    Ok(match (&state.kind, checksum?) {
        (StateKind::Closed { seal }, checksum) if *seal != checksum => IndexCopy::Distrusted(CHANGED.to_owned()),
        _ => IndexCopy::Whole,
    })
}

/// The identity of the file `index.state`, which is replaced whenever something happens to the index.
#[derive(PartialEq)]
struct Mark {
    inode: u64,
    changed: (i64, i64),
}

impl Mark {
    fn of(directory: &Path) -> Option<Self> {
        let of = |found: Metadata| Self { inode: found.ino(), changed: (found.ctime(), found.ctime_nsec()) };
        fs::metadata(directory.join("index.state")).ok().map(of)
    }
}
