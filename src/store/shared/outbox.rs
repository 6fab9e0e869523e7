//! A worker's own directory: the journal that each answer is written to first, the requests in flight, and which start of the
//! worker they belong to.
//!
//! ```text
//! lock        held by the process
//! start       the id of the start, in hexadecimal
//! journal/    what this start has committed; emptied once all of it is published
//! in-flight   the requests in flight
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::database::WorkerId;
use crate::files;
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::journal::{Journal, SEGMENT_BYTES};
use crate::store::lock::Lock;
use crate::store::medium::Disk;
use crate::store::place::{Damage, Position};

/// Directories of workers on one host that are tried.
const WORKERS_MAX: u32 = 4_096;

/// The directory of a worker.
pub struct Outbox {
    directory: PathBuf,
    journal: Journal,
    _lock: Lock,
}

impl Outbox {
    /// Takes the first directory below `base` that no other process on this host has, or this very one. `base` may be on a
    /// file system that several hosts share.
    pub fn take(base: &Path, host: &str) -> Result<(Self, Option<String>), StoreError> {
        let host: String = host.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
        for number in 1..=WORKERS_MAX {
            let directory = base.join(format!("{host}-{number}"));
            files::create_directories(&directory, true).map_err(StoreError::io("create", &directory))?;
            match Lock::take_now(&directory) {
                Err(StoreError::Locked { .. }) => {}
                Err(error) => return Err(error),
                Ok((lock, caution)) => {
                    let journal = Journal::open(&directory.join("journal"), SEGMENT_BYTES, Arc::new(Disk))?;
                    return Ok((Self { directory, journal, _lock: lock }, caution));
                }
            }
        }
        let reason = "too many workers run on this host".to_owned();
        Err(StoreError::Refused { message: reason, hint: "stop some of them".to_owned() })
    }

    /// Returns the directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the start whose entries are in the directory, if there was one.
    pub fn earlier_start(&self) -> Option<WorkerId> {
        WorkerId::parse(&fs::read_to_string(self.directory.join("start")).ok()?)
    }

    /// Visits what the earlier start has written and perhaps not published, from the beginning. Returns the damage: those
    /// answers are asked again.
    pub fn left_behind(
        &self,
        visit: &mut dyn FnMut(Entry, Position) -> Result<(), StoreError>,
    ) -> Result<Vec<Damage>, StoreError> {
        remove_published(&self.directory)?;
        // What the last group left behind unfinished was acknowledged to nobody.
        self.journal.recover(Position::default())?;
        let start = Position::default();
        self.journal.for_each(start, start, |place, entry| visit(entry, place.end()))
    }

    /// Begins a new start with an empty journal. What was there must be published.
    pub fn begin(&mut self, worker: WorkerId) -> Result<(), StoreError> {
        let journal = self.directory.join("journal");
        let published = self.directory.join("published");
        if journal.exists() {
            // Renamed first: a directory that is half deleted would look damaged.
            fs::rename(&journal, &published).map_err(StoreError::io("rename", &journal))?;
        }
        remove_published(&self.directory)?;
        let start = self.directory.join("start");
        files::replace_file(&start, format!("{worker}\n").as_bytes()).map_err(StoreError::io("write", &start))?;
        self.journal = Journal::open(&journal, SEGMENT_BYTES, Arc::new(Disk))?;
        self.journal.recover(Position::default())?;
        Ok(())
    }

    /// Writes entries and syncs them. Returns their frames, and where each one ends.
    pub fn append(&self, entries: &[Entry]) -> Result<Vec<(Vec<u8>, Position)>, StoreError> {
        self.journal.append_framed(entries)
    }
}

fn remove_published(directory: &Path) -> Result<(), StoreError> {
    let published = directory.join("published");
    match fs::remove_dir_all(&published) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::Io { action: "delete", path: published, source: error })
        }
        _ => Ok(()),
    }
}
