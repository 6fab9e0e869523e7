use std::io;
use std::path::{Path, PathBuf};

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the store.
    #[error("the store {} is in use by process {holder}", path.display())]
    Locked {
        /// The store.
        path: PathBuf,
        /// The process id that the lock file names, or `unknown`.
        holder: String,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "write", "open".
        action: &'static str,
        /// What it was tried on.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An earlier write failed; nothing more is accepted, everything before it is safe.
    #[error("the journal accepts nothing more after a failed write")]
    Poisoned,
    /// The index misbehaved. The journal is not touched by that.
    #[error("the index of the store {} cannot be used: {reason}", path.display())]
    Index {
        /// The index.
        path: PathBuf,
        /// What it said.
        reason: String,
    },
    /// An entry is larger than the store takes.
    #[error("an answer of {length} bytes is over the store's limit of {limit} bytes")]
    TooLarge {
        /// Bytes of the entry.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The store was written by a later version of this program.
    #[error("the store {} holds records of format version {version}, which this program does not know", path.display())]
    Newer {
        /// The segment.
        path: PathBuf,
        /// The version found.
        version: u8,
    },
    /// There is no store.
    #[error("there is no store at {}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
}

impl StoreError {
    /// Wraps what the operating system said, for use in `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// Returns what to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Locked { .. } => "wait for it, stop it, or give this run another --store".to_owned(),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "free some space and run the same command again; everything that was committed is kept".to_owned()
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "check who owns the directory, or choose another with --store".to_owned()
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                "the file system is read-only; choose another place with --store".to_owned()
            }
            Self::Io { .. } | Self::Poisoned => {
                "repair what the system complains of and run the same command again; everything that was committed is kept".to_owned()
            }
            Self::Index { path, .. } => {
                format!("delete {} and run again; it is rebuilt from the journal without a single call", path.display())
            }
            Self::TooLarge { .. } => "lower --max-tokens".to_owned(),
            Self::Newer { .. } => "use the program version that wrote it, or a newer one".to_owned(),
            Self::Missing { .. } => "name the store with --store DIR, or begin with `cohobate distill`".to_owned(),
        }
    }
}
