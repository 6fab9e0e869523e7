use std::path::Path;

use crate::files::{self, OwnedDirectory};
use crate::job::JobError;

/// Begins the names of spools in the system's temporary directory.
const PREFIX: &str = "cohobate-";

/// A directory for temporary files, such as input that cannot be read twice; removed when dropped.
pub struct Spool {
    directory: OwnedDirectory,
    /// What to do where there is no space.
    hint: &'static str,
}

impl Spool {
    /// Makes a directory of this process's own below the store, and removes those that nobody holds any more.
    pub fn new(store: &Path) -> Result<Self, JobError> {
        // A read-only store still has its plan, status and export.
        let _ = files::create_directories(store, true);
        let parent = store.join("spool");
        let hint = "free some space, or choose another place with --store";
        Self::created(&parent, OwnedDirectory::create_or_temporary(&parent, PREFIX), hint)
    }

    /// Makes a directory of this process's own in the system's temporary directory.
    pub fn temporary() -> Result<Self, JobError> {
        let parent = std::env::temp_dir();
        OwnedDirectory::sweep(&parent, PREFIX);
        let hint = "free some space, or name another directory with TMPDIR";
        Self::created(&parent, OwnedDirectory::create_temporary(&parent, PREFIX), hint)
    }

    fn created(parent: &Path, created: std::io::Result<OwnedDirectory>, hint: &'static str) -> Result<Self, JobError> {
        created.map(|directory| Self { directory, hint }).map_err(|error| {
            JobError::unexpected(format!("cannot create a spool directory in {}: {error}", parent.display()))
        })
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the error for a failed write.
    pub fn unwritable(&self, error: &std::io::Error) -> JobError {
        let message = format!("cannot write to {}: {error}", self.path().display());
        JobError::storage(message, self.hint)
    }
}
