use std::path::Path;

use crate::files::{self, OwnedDirectory};
use crate::job::JobError;

/// Begins the names of spools in the system's temporary directory.
const PREFIX: &str = "cohobate-";

/// A directory for temporary files, such as input that cannot be read twice; removed when dropped.
pub struct Spool(OwnedDirectory);

impl Spool {
    /// Makes a directory of this process's own below the store, and removes those that nobody holds any more.
    pub fn new(store: &Path) -> Result<Self, JobError> {
        // A read-only store still has its plan, status and export.
        let _ = files::create_directories(store, true);
        let parent = store.join("spool");
        Self::created(&parent, OwnedDirectory::create_or_temporary(&parent, PREFIX))
    }

    /// Makes a directory of this process's own in the system's temporary directory.
    pub fn temporary() -> Result<Self, JobError> {
        let parent = std::env::temp_dir();
        OwnedDirectory::sweep(&parent, PREFIX);
        Self::created(&parent, OwnedDirectory::create_temporary(&parent, PREFIX))
    }

    fn created(parent: &Path, created: std::io::Result<OwnedDirectory>) -> Result<Self, JobError> {
        created.map(Self).map_err(|error| {
            JobError::unexpected(format!("cannot create a spool directory in {}: {error}", parent.display()))
        })
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Returns the error for a failed write.
    pub fn unwritable(&self, error: &std::io::Error) -> JobError {
        let message = format!("cannot write to {}: {error}", self.0.path().display());
        JobError::storage(message, "free some space, or choose another place with --store")
    }
}
