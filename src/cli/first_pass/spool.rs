use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::cli::CliError;

/// A directory for what cannot be read twice; gone when dropped.
pub struct Spool(PathBuf);

impl Spool {
    /// Makes a directory of this process's own below the store, clearing what dead processes left behind.
    pub fn new(store: &Path) -> Result<Self, CliError> {
        let parent = store.join("spool");
        let path = parent.join(own_name());
        remove_dead(&parent);
        match std::fs::create_dir_all(&path) {
            Ok(()) => Ok(Self(path)),
            // A store that can only be read still has its plan, status and export.
            Err(_) => Self::temporary(),
        }
    }

    /// Makes a directory of this process's own where the system keeps what is temporary.
    pub fn temporary() -> Result<Self, CliError> {
        let path = std::env::temp_dir().join(format!("cohobate-{}", own_name()));
        std::fs::create_dir_all(&path).map_err(|error| {
            CliError::failure(format!("cannot create a spool directory at {}: {error}", path.display()))
        })?;
        Ok(Self(path))
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // Left behind, it is cleared by the next run.
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
