use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::job::JobError;

/// A directory for temporary files, such as input that cannot be read twice; removed when dropped.
pub struct Spool(PathBuf);

impl Spool {
    /// Makes a directory of this process's own below the store, and removes those of dead processes.
    pub fn new(store: &Path) -> Result<Self, JobError> {
        let parent = store.join("spool");
        let path = parent.join(own_name());
        remove_dead(&parent);
        match std::fs::create_dir_all(&path) {
            Ok(()) => Ok(Self(path)),
            // A read-only store still has its plan, status and export.
            Err(_) => Self::temporary(),
        }
    }

    /// Makes a directory of this process's own in the system's temporary directory.
    pub fn temporary() -> Result<Self, JobError> {
        let path = std::env::temp_dir().join(format!("cohobate-{}", own_name()));
        std::fs::create_dir_all(&path).map_err(|error| {
            JobError::unexpected(format!("cannot create a spool directory at {}: {error}", path.display()))
        })?;
        Ok(Self(path))
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the error for a failed write.
    pub fn unwritable(&self, error: &std::io::Error) -> JobError {
        let message = format!("cannot write to {}: {error}", self.0.display());
        JobError::storage(message, "free some space, or choose another place with --store")
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // The next run removes it otherwise.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Returns a name that no other spool of this or another process has: the process, and a number.
fn own_name() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

fn remove_dead(parent: &Path) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.split('-').next().unwrap_or_default();
        let is_alive = Path::new("/proc").join(process).exists();
        if !is_alive {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
