//! The requests in flight, written to disk before they are sent, so that the next run can account for them after a
//! crash.
//!
//! The file has one fixed slot per call in flight, overwritten in place: nothing grows, nothing is synced. After a kill
//! the page cache has it; after a power failure it may be slightly outdated.
//!
//! A slot has 64 bytes: fingerprint (32), prompt token bound `u64`, answer token bound `u64`, a tag of the model's name
//! (`u64`), a mark (`u64`, [`TAKEN`] while the request is in flight).

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use crate::conversation::{Digest, Fingerprint};
use crate::files;

const SLOT_BYTES: usize = 64;
const TAKEN: u64 = u64::from_le_bytes(*b"inflight");
/// More slots than any run has calls in flight; a larger file is not a ledger.
const SLOTS_MAX: u64 = 1 << 20;

/// A request with an unknown outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsettled {
    /// The question.
    pub fingerprint: Fingerprint,
    /// The most tokens that its prompt may have.
    pub prompt_tokens: u64,
    /// The most tokens that its answer may have; 0 if no limit was set.
    pub completion_tokens: u64,
    /// A tag of the model's name.
    pub model: u64,
}

impl Unsettled {
    /// Returns the tag of a model's name.
    pub fn tag(model: &str) -> u64 {
        Digest::of_text("cohobate model 1", model).prefix()
    }

    /// True if the request was for this model.
    pub fn is_for(&self, model: &str) -> bool {
        self.model == Self::tag(model)
    }
}

/// The ledger of one run.
#[derive(Debug)]
pub struct Ledger {
    file: File,
    free: Vec<u64>,
    slot_count: u64,
}

impl Ledger {
    /// Opens the ledger of the store in `directory`. Returns the requests that the previous run left in flight.
    pub fn open(directory: &Path) -> Result<(Self, Vec<Unsettled>), StoreError> {
        let path: PathBuf = directory.join("in-flight");
        let file = files::open_or_create_in(&path).map_err(StoreError::io("open", &path))?;
        let unsettled = read_slots(&file, &path)?;
        Ok((Self { file, free: Vec::new(), slot_count: 0 }, unsettled))
    }

    /// Returns the requests that the last run of a store left in flight, without changing anything.
    pub fn left_behind(directory: &Path) -> Result<Vec<Unsettled>, StoreError> {
        let path = directory.join("in-flight");
        match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            file => read_slots(&file.map_err(StoreError::io("open", &path))?, &path),
        }
    }

    /// Clears the previous run's requests, once they are in the journal.
    pub fn clear(&self) {
        // If this fails, they are only reported once more.
        let _ = self.file.set_len(0);
    }

    /// Records a request that is about to be sent; returns its slot.
    pub fn begin(&mut self, request: &Unsettled) -> std::io::Result<u64> {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slot_count += 1;
            self.slot_count - 1
        });
        let mut bytes = [0; SLOT_BYTES];
        bytes[..32].copy_from_slice(&request.fingerprint.0);
        bytes[32..40].copy_from_slice(&request.prompt_tokens.to_le_bytes());
        bytes[40..48].copy_from_slice(&request.completion_tokens.to_le_bytes());
        bytes[48..56].copy_from_slice(&request.model.to_le_bytes());
        bytes[56..].copy_from_slice(&TAKEN.to_le_bytes());
        let written = self.file.write_all_at(&bytes, slot * SLOT_BYTES as u64);
        written.inspect_err(|_| self.free.push(slot)).map(|()| slot)
    }

    /// Records that a request's outcome is known and committed.
    pub fn end(&mut self, slot: u64) {
        let _ = self.file.write_all_at(&[0; SLOT_BYTES], slot * SLOT_BYTES as u64);
        self.free.push(slot);
    }
}

fn read_slots(file: &File, path: &Path) -> Result<Vec<Unsettled>, StoreError> {
    let length = file.metadata().map_err(StoreError::io("read", path))?.len();
    let mut unsettled = Vec::new();
    for slot in 0..(length / SLOT_BYTES as u64).min(SLOTS_MAX) {
        let mut bytes = [0; SLOT_BYTES];
        file.read_exact_at(&mut bytes, slot * SLOT_BYTES as u64).map_err(StoreError::io("read", path))?;
        unsettled.extend(read_slot(&bytes));
    }
    Ok(unsettled)
}

fn read_slot(bytes: &[u8; SLOT_BYTES]) -> Option<Unsettled> {
    let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    (long(56) == TAKEN).then(|| Unsettled {
        fingerprint: Fingerprint(bytes[..32].try_into().expect("32 bytes")),
        prompt_tokens: long(32),
        completion_tokens: long(40),
        model: long(48),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(number: u8) -> Unsettled {
        Unsettled {
            fingerprint: Fingerprint([number; 32]),
            prompt_tokens: 1_000 + u64::from(number),
            completion_tokens: 70_000 * u64::from(number),
            model: Unsettled::tag("m"),
        }
    }

    #[test]
    fn what_is_in_flight_when_a_run_ends_is_found_by_the_next_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("in-flight");
        let (mut ledger, found) = Ledger::open(directory.path()).unwrap();
        assert!(found.is_empty());
        assert_eq!([1, 2, 3].map(|number| ledger.begin(&request(number)).unwrap()), [0, 1, 2]);
        ledger.end(1);
        assert_eq!(Ledger::open(directory.path()).unwrap().1, [request(1), request(3)]);
        assert_eq!(ledger.begin(&request(4)).unwrap(), 1, "a free slot is used again");
        assert_eq!(ledger.begin(&request(5)).unwrap(), 3);
        let (next, found) = Ledger::open(directory.path()).unwrap();
        assert_eq!(found, [1, 4, 3, 5].map(request));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 4 * 64);
        next.clear();
        assert!(Ledger::open(directory.path()).unwrap().1.is_empty());
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    }

    #[test]
    fn a_slot_that_is_half_written_or_of_something_else_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let (mut ledger, _) = Ledger::open(directory.path()).unwrap();
        assert_eq!([1, 2].map(|number| ledger.begin(&request(number)).unwrap()), [0, 1]);
        let path = directory.path().join("in-flight");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[56] ^= 1;
        std::fs::write(&path, [&bytes[..], b"short"].concat()).unwrap();
        assert_eq!(Ledger::open(directory.path()).unwrap().1, [request(2)]);
        assert!(request(1).is_for("m") && !request(1).is_for("n"));
    }
}
