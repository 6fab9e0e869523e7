//! Repairs a store, so that a crash at any step loses nothing.

use std::fs;
use std::path::Path;

use super::continuity::loss_behind;
use super::error::StoreError;
use super::index::StoreIndex;
use super::index_state::{IndexState, StateKind};
use super::journal::Journal;
use super::lock::Lock;
use super::medium::{Disk, Medium};
use super::open_index::distrust_reason;
use super::place::{Damage, Position};
use super::rewrite::rewrite_damaged;
use super::sled_index::SledIndex;

/// Repairs a damaged store: segments are rewritten without unreadable bytes, and the old ones are kept as `*.damaged`;
/// the index is rebuilt by the next open. Returns the damage that was removed.
pub fn repair(directory: &Path) -> Result<Vec<Damage>, StoreError> {
    repair_with(directory, &Disk)
}

/// Like [`repair`], with another medium for the journal.
pub fn repair_with(directory: &Path, medium: &dyn Medium) -> Result<Vec<Damage>, StoreError> {
    let journal_directory = directory.join("journal");
    if !journal_directory.is_dir() {
        return Err(StoreError::Missing { path: directory.to_owned() });
    }
    let (_lock, _) = Lock::take(directory)?;
    let index = directory.join("index");
    let state = IndexState::read(directory);
    let durable = state.durable.max(covered(&state, &index));
    let journal = Journal::open_read_only(&journal_directory);
    let is_behind = loss_behind(durable, &journal.found_segments(false)?).is_some();
    // Places in the index are wrong from the first rewritten segment on, and the last segment may become shorter. What is
    // missing already stays known.
    let during = if is_behind { durable } else { Position { offset: 0, ..durable } };
    IndexState { kind: StateKind::Distrusted, durable: during }.write(directory)?;
    let damages = rewrite_damaged(&journal_directory, medium, durable)?;
    if index.exists() {
        fs::remove_dir_all(&index).map_err(StoreError::io("delete", &index))?;
    }
    if let (false, Some(last)) = (is_behind, journal.found_segments(false)?.last()) {
        let end = Position { segment: last.number, offset: durable.offset.min(last.length) };
        let durable = if durable.segment == last.number { end } else { during };
        IndexState { kind: StateKind::Distrusted, durable }.write(directory)?;
    }
    Ok(damages)
}

/// Returns how far an index that can be trusted covers the journal.
fn covered(state: &IndexState, index: &Path) -> Position {
    if distrust_reason(state, index).is_some() {
        return Position::default();
    }
    let Ok(sled) = SledIndex::open(index) else { return Position::default() };
    let covered = sled.covered().unwrap_or_default();
    // It is deleted in a moment.
    drop(sled.close());
    covered
}
