//! Verifies a store: every frame's checksum, the index against the journal, each conversation's history.

use std::path::Path;

use super::accepted::Accepted;
use super::error::StoreError;
use super::index::{IndexReader, MemoryIndex, StoreIndex};
use super::index_copy::{COPY, IndexCopy, copy_index};
use super::index_state::IndexState;
use super::journal::Journal;
use super::loss::Loss;
use super::place::{Damage, Position};
use super::sled_index::SledIndex;

/// The findings of a complete verification.
#[derive(Debug, Default)]
pub struct Verification {
    /// Entries that can be read.
    pub entries: u64,
    /// Answers among them, each question counted once.
    pub answers: u64,
    /// Conversations.
    pub conversations: u64,
    /// Bytes in the journal that are not an entry. Each range loses only its own answer.
    pub damages: Vec<Damage>,
    /// The reason why the next open rebuilds the index, if it does.
    pub distrusted: Option<String>,
    /// Differences between the index and the journal.
    pub disagreements: Vec<String>,
    /// Parts of the journal that are gone, apart from those that were accepted.
    pub losses: Vec<Loss>,
    /// The process that uses the store; its index was not verified then.
    pub in_use_by: Option<String>,
    /// Answers in a conversation's history that the journal does not have; the next run asks for them again.
    pub missing: u64,
}

/// Maximum differences that are reported.
const DISAGREEMENTS_MAX: usize = 20;

/// Verifies the store in `directory`. Holds no lock, and changes neither journal nor index: of the index a copy is verified.
/// While another process writes to the store, its journal is verified as far as it is written, and its index is left alone.
pub fn verify(directory: &Path) -> Result<Verification, StoreError> {
    let journal_directory = directory.join("journal");
    let state = IndexState::read(directory);
    if !journal_directory.is_dir() && state.durable == Position::default() {
        return Err(StoreError::Missing { path: directory.to_owned() });
    }
    let mut found = Verification::default();
    let journal = Journal::open_read_only(&journal_directory);
    let (place, copied) = copy_index(directory, &state)?;
    let sled = match copied {
        IndexCopy::Whole => Some(SledIndex::open(&place.path().join(COPY))?),
        IndexCopy::Distrusted(reason) => {
            found.distrusted = Some(reason);
            None
        }
        IndexCopy::InUse(writer) => {
            found.in_use_by = Some(writer);
            None
        }
    };
    let covered = sled.as_ref().map(StoreIndex::checkpoint).transpose()?.flatten();
    let end = covered.map(|place| place.end());
    let durable = state.durable.max(end.unwrap_or_default());
    // A closed segment does not change any more, also while another process writes.
    found.losses = Accepted::read(directory).losses_among(&journal.found_segments(true)?, durable);
    let mut memory = MemoryIndex::default();
    let mut as_covered = None;
    found.damages = journal.for_each(Position::default(), durable, |place, entry| {
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
    if let Some(sled) = &sled {
        match as_covered {
            Some(expected) => compare_index(sled, &expected, &mut found.disagreements)?,
            None if covered.is_none() => {}
            None => found.disagreements.push("the index covers an entry that the journal does not have".to_owned()),
        }
    }
    Ok(found)
}

/// Compares the whole index with the state that the journal folds to.
fn compare_index(sled: &SledIndex, expected: &MemoryIndex, disagreements: &mut Vec<String>) -> Result<(), StoreError> {
    for (fingerprint, place) in &expected.places {
        if sled.place(fingerprint)?.as_ref() != Some(place) {
            disagreements.push(format!("the index has no place or a wrong one for the answer {fingerprint}"));
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
            disagreements.push(format!("the state of the conversation {key} differs from the journal"));
        }
    })?;
    if state_count != expected.states.len() {
        disagreements.push(format!("the index has {state_count} conversations, the journal {}", expected.states.len()));
    }
    let origins = sled.origins()?;
    if (&origins.own, &origins.kept, &origins.begun)
        != (&expected.origins.own, &expected.origins.kept, &expected.origins.begun)
    {
        disagreements.push("the spending in the index differs from the journal".to_owned());
    }
    if (&origins.own_runs, &origins.kept_runs) != (&expected.origins.own_runs, &expected.origins.kept_runs) {
        disagreements.push("the runs in the index differ from the journal".to_owned());
    }
    for (fingerprint, frame) in &expected.unused {
        if disagreements.len() < DISAGREEMENTS_MAX && !sled.unused(fingerprint)?.contains(frame) {
            disagreements.push(format!("the index does not know of a further answer to {fingerprint}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::disk::DiskStore;
    use super::super::index_state::StateKind;
    use super::super::samples::{answered, entries, question};
    use crate::conversation::Slot;
    use crate::store::Store;

    fn store(directory: &Path, entries: Vec<crate::store::Entry>) {
        let (store, _) = DiskStore::open(directory, &mut |_, _| {}).unwrap();
        store.commit(entries).unwrap();
        store.close().unwrap();
    }

    /// Changes the index, and closes it as if it had been so.
    fn tamper(directory: &Path, change: impl FnOnce(&SledIndex)) {
        let state = IndexState::read(directory);
        let index = SledIndex::open(&directory.join("index")).unwrap();
        change(&index);
        IndexState { kind: StateKind::Closed { seal: index.close().unwrap() }, ..state }.write(directory).unwrap();
    }

    #[test]
    fn a_sound_store_is_counted() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(verify(directory.path()), Err(StoreError::Missing { .. })));
        store(directory.path(), entries());
        let found = verify(directory.path()).unwrap();
        assert_eq!((found.entries, found.answers, found.conversations, found.missing), (10, 4, 2, 0));
        assert_eq!((found.distrusted, found.in_use_by), (None, None));
        assert!(found.damages.is_empty() && found.losses.is_empty() && found.disagreements.is_empty());
        assert_ne!(IndexState::read(directory.path()).kind, StateKind::Unknown);
        std::fs::remove_file(directory.path().join("index.state")).unwrap();
        let found = verify(directory.path()).unwrap();
        assert_eq!(found.distrusted.as_deref(), Some("it was not closed before the machine went down"));
        assert!(found.disagreements.is_empty() && found.entries == 10);
    }

    #[test]
    fn a_linked_answer_that_is_not_there_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        let linked = |entry: &crate::store::Entry| matches!(entry, crate::store::Entry::Linked { .. });
        store(directory.path(), entries().into_iter().filter(linked).collect());
        let found = verify(directory.path()).unwrap();
        assert_eq!((found.answers, found.conversations, found.missing), (0, 1, 1));
    }

    #[test]
    fn each_difference_of_the_index_is_named() {
        let directory = tempfile::tempdir().unwrap();
        store(directory.path(), entries());
        // Everything once more: what was counted is counted twice, and two more conversations begin.
        tamper(directory.path(), |index| {
            let last = index.checkpoint().unwrap().unwrap();
            index.replace(&question(1), index.place(&question(1)).unwrap().unwrap(), None).unwrap();
            index.apply(&[(last, answered(7, Slot::main(0), 1)), (last, answered(8, Slot::main(2), 9))]).unwrap();
        });
        let found = verify(directory.path()).unwrap().disagreements;
        let key = |number| crate::store::samples::conversation(number);
        let mut expected = vec![
            format!("the index has no place or a wrong one for the answer {}", question(1)),
            format!("the state of the conversation {} differs from the journal", key(7)),
            format!("the state of the conversation {} differs from the journal", key(8)),
            "the index has 4 conversations, the journal 2".to_owned(),
            "the spending in the index differs from the journal".to_owned(),
            "the runs in the index differ from the journal".to_owned(),
        ];
        expected.sort();
        let mut sorted = found.clone();
        sorted.sort();
        assert_eq!(sorted, expected);
    }

    #[test]
    fn an_index_of_another_journal_is_found_out() {
        let directory = tempfile::tempdir().unwrap();
        store(directory.path(), entries());
        tamper(directory.path(), |index| {
            let mut last = index.checkpoint().unwrap().unwrap();
            last.offset -= 1;
            index.apply(&[(last, answered(1, Slot::main(0), 1))]).unwrap();
        });
        let found = verify(directory.path()).unwrap().disagreements;
        assert_eq!(found, ["the index covers an entry that the journal does not have"]);
    }

    #[test]
    fn at_most_20_differences_of_answers_are_named() {
        let directory = tempfile::tempdir().unwrap();
        store(directory.path(), (1..=30).map(|number| answered(1, Slot::main(u32::from(number)), number)).collect());
        tamper(directory.path(), |index| {
            for number in 1..=30 {
                index.replace(&question(number), index.place(&question(number)).unwrap().unwrap(), None).unwrap();
            }
        });
        assert_eq!(verify(directory.path()).unwrap().disagreements.len(), DISAGREEMENTS_MAX);
    }
}
