//! Proves a store sound: every frame's checksum, the index against the journal, each conversation's history.

use std::fs;
use std::path::Path;

use super::error::StoreError;
use super::index::{MemoryIndex, StoreIndex};
use super::journal::Journal;
use super::lock::Lock;
use super::open_index::{distrust_reason, is_closed, mark_closed};
use super::place::{Damage, Position};
use super::sled_index::SledIndex;

/// What a look at every byte of a store found.
#[derive(Debug, Default)]
pub struct Verification {
    /// Entries that can be read.
    pub entries: u64,
    /// Answers among them, each question once.
    pub answers: u64,
    /// Conversations.
    pub conversations: u64,
    /// Bytes in the journal that are no entry. Each costs its own answer.
    pub damages: Vec<Damage>,
    /// Why the index will be built anew when the store is next opened, where it will.
    pub distrusted: Option<String>,
    /// Where the index says something else than the journal.
    pub disagreements: Vec<String>,
    /// Answers that a conversation's history names and the journal does not have; the next run asks them again.
    pub missing: u64,
}

/// Disagreements that are told; the first says enough.
const DISAGREEMENTS_MAX: usize = 20;

/// Reads the whole store in `directory`. Changes nothing.
pub fn verify(directory: &Path) -> Result<Verification, StoreError> {
    let journal_directory = directory.join("journal");
    if !journal_directory.is_dir() {
        return Err(StoreError::Missing { path: directory.to_owned() });
    }
    let _lock = Lock::take(directory)?;
    let journal = Journal::open_read_only(&journal_directory);
    let mut found = Verification::default();
    let index_path = directory.join("index");
    found.distrusted = distrust_reason(directory, &index_path);
    let sled = match found.distrusted {
        None => Some(SledIndex::open(&index_path)?),
        Some(_) => None,
    };
    let covered = sled.as_ref().map(StoreIndex::checkpoint).transpose()?.flatten();
    let end = covered.map(|place| place.end());
    let mut memory = MemoryIndex::default();
    let mut as_covered = None;
    found.damages = journal.for_each(Position::default(), |place, entry| {
        found.entries += 1;
        memory.add(place, &entry);
        if end == Some(place.end()) {
            as_covered = Some(memory.clone());
        }
        Ok(())
    })?;
    found.answers = memory.places.len() as u64;
    found.conversations = memory.states.len() as u64;
    let histories = memory.states.values().flat_map(|state| &state.history);
    found.missing = histories.filter(|(_, fingerprint)| !memory.places.contains_key(fingerprint)).count() as u64;
    if let Some(sled) = sled {
        match as_covered {
            Some(expected) => compare_index(&sled, &expected, &mut found.disagreements)?,
            None if covered.is_none() => {}
            None => found.disagreements.push("the index covers an entry that the journal does not have".to_owned()),
        }
        // sled writes even when it is only read; what was closed in order is so again.
        let was_closed = is_closed(directory);
        let seal = sled.close()?;
        if was_closed {
            mark_closed(directory, seal)?;
        }
    }
    Ok(found)
}

/// Holds everything that the index says against what the journal comes to.
fn compare_index(sled: &SledIndex, expected: &MemoryIndex, disagreements: &mut Vec<String>) -> Result<(), StoreError> {
    for (fingerprint, place) in &expected.places {
        if sled.place(fingerprint)?.as_ref() != Some(place) {
            disagreements.push(format!("the index does not know where the answer {fingerprint} stands"));
        }
        if disagreements.len() >= DISAGREEMENTS_MAX {
            return Ok(());
        }
    }
    let mut state_count = 0;
    sled.for_each_state(&mut |key, state| {
        state_count += 1;
        let is_as_expected = expected.states.get(&key) == Some(&state) && state.is_cursor_consistent();
        if !is_as_expected && disagreements.len() < DISAGREEMENTS_MAX {
            disagreements.push(format!("the state of the conversation {key} is not what the journal comes to"));
        }
    })?;
    if state_count != expected.states.len() {
        disagreements.push(format!("the index has {state_count} conversations, the journal {}", expected.states.len()));
    }
    if sled.spending()? != expected.spending {
        disagreements.push("the index has other spending than the journal".to_owned());
    }
    if sled.runs()? != expected.runs.values().cloned().collect::<Vec<_>>() {
        disagreements.push("the index has other runs than the journal".to_owned());
    }
    Ok(())
}

/// Makes a damaged store sound: segments are written anew without what cannot be read, the old ones stay beside
/// them as `*.damaged`; the index goes and is built anew when the store is next opened. Returns the damage taken out.
pub fn repair(directory: &Path) -> Result<Vec<Damage>, StoreError> {
    let journal_directory = directory.join("journal");
    let _lock = Lock::take(directory)?;
    let damages = Journal::open_read_only(&journal_directory).rewrite_damaged()?;
    let index = directory.join("index");
    if index.exists() {
        fs::remove_dir_all(&index).map_err(StoreError::io("delete", &index))?;
    }
    Ok(damages)
}
