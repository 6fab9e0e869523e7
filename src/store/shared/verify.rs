//! Verifies a shared store: every frame, and that every history is there.

use std::collections::HashSet;

use super::database::Database;
use super::frames::entry_of;
use crate::conversation::Fingerprint;
use crate::store::error::StoreError;
use crate::store::index::MemoryIndex;
use crate::store::place::Place;
use crate::store::verify::Verification;

/// Frames that are damaged and named, at most.
const NAMED_MAX: usize = 20;

/// Verifies what the database holds. Sends no call and changes nothing; some 100 bytes of memory for each answer.
pub fn verify(database: &dyn Database) -> Result<Verification, StoreError> {
    let mut found = Verification::default();
    let (mut index, mut answered) = (MemoryIndex::default(), HashSet::<Fingerprint>::new());
    let mut number = 0;
    database.for_each_frame(&mut |frame| {
        number += 1;
        match entry_of(&frame) {
            None if found.disagreements.len() < NAMED_MAX => {
                found.disagreements.push(format!("record {number} of the database is damaged"));
            }
            None => {}
            Some(entry) => {
                found.entries += 1;
                answered.extend(entry.used_question());
                index.add(Place { segment: 1, offset: number, length: 1, checksum: 0 }, &entry);
            }
        }
        true
    })?;
    found.answers = answered.len() as u64;
    found.conversations = index.states.len() as u64;
    let histories = index.states.values().flat_map(|state| &state.history);
    found.missing = histories.filter(|(_, question)| !answered.contains(question)).count() as u64;
    Ok(found)
}
