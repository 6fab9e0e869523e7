//! What the database keeps of entries: frames, as the journal writes them.

use super::database::{Batch, NewAnswer, NewNote};
use crate::conversation::Fingerprint;
use crate::store::entry::{Entry, Stored};
use crate::store::error::StoreError;
use crate::store::frame::{self, FrameWriter, Parsed};
use crate::store::place::Position;
use crate::store::record;

/// Adds what the database keeps of an entry. A note is numbered by its place in the journal, so that it has the same number
/// whoever sends it.
pub fn add_to(batch: &mut Batch, entry: &Entry, run: u32, frame: Vec<u8>, end: Position) {
    match entry {
        Entry::Answered { conversation, fingerprint, run, .. } => {
            batch.answers.push(NewAnswer { fingerprint: *fingerprint, conversation: *conversation, run: *run, frame });
        }
        Entry::Linked { .. } | Entry::Closed { .. } => {
            batch.notes.extend(note_of(entry, run, (u64::from(end.segment) << 32) | end.offset, frame));
        }
        Entry::Lost { fingerprint, lost } => batch.lost.push((*fingerprint, lost.clone())),
        // Counters say it, and the run is begun by an operation of its own.
        Entry::Unknown { .. } | Entry::Run(_) | Entry::Start(_) => {}
        // A worker's own journal holds nothing of other stores.
        Entry::Kept(_)
        | Entry::KeptRun { .. }
        | Entry::KeptSpending { .. }
        | Entry::KeptState { .. }
        | Entry::Settled => {}
    }
}

/// Returns the note of a link or an end.
pub fn note_of(entry: &Entry, run: u32, number: u64, frame: Vec<u8>) -> Option<NewNote> {
    match entry {
        Entry::Linked { conversation, .. } | Entry::Closed { conversation, .. } => {
            Some(NewNote { number, conversation: *conversation, run, frame })
        }
        _ => None,
    }
}

/// Returns an entry's frame, as a journal has it.
pub fn frame_of(entry: &Entry) -> Vec<u8> {
    frame_with(&mut FrameWriter::new(), entry)
}

/// The same, with a writer that is used again.
pub fn frame_with(frames: &mut FrameWriter, entry: &Entry) -> Vec<u8> {
    let (mut bytes, mut out) = (Vec::new(), Vec::new());
    // What was stored once is not too large.
    record::encode_entry(entry, &mut bytes);
    frames.append(&bytes, 0, &mut out);
    out
}

/// Reads the entry of a frame; `None` if it is damaged.
pub fn entry_of(bytes: &[u8]) -> Option<Entry> {
    match frame::parse(bytes) {
        Parsed::Frame { record, .. } => record::decode_entry(&record).ok(),
        _ => None,
    }
}

/// Reads the answer to a question out of a frame.
pub fn stored_of(bytes: &[u8], question: &Fingerprint) -> Result<Stored, StoreError> {
    let entry = entry_of(bytes).filter(|entry| entry.answers(question));
    entry.as_ref().and_then(Stored::from_entry).ok_or_else(|| StoreError::Refused {
        message: format!("the answer to question {question} is damaged in the shared store"),
        hint: "`cohobate verify` names every damaged answer; restore the database from a backup".to_owned(),
    })
}
