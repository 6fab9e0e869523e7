use std::io;
use std::path::{Path, PathBuf};

/// The reason why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has locked the store.
    #[error("the store {} is in use by process {holder}", path.display())]
    Locked {
        /// The store.
        path: PathBuf,
        /// The process id in the lock file, or `unknown`.
        holder: String,
    },
    /// The operating system returned an error.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The action: "write", "open".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// An earlier write failed; nothing more is accepted. Everything before it is safe.
    #[error("the journal accepts nothing more after a failed write")]
    Poisoned,
    /// The index failed. The journal is not affected.
    #[error("the index of the store {} cannot be used: {reason}", path.display())]
    Index {
        /// The index.
        path: PathBuf,
        /// The index's error.
        reason: String,
    },
    /// An entry exceeds the store's limit.
    #[error("an answer of {length} bytes exceeds the store's limit of {limit} bytes")]
    TooLarge {
        /// Bytes of the entry.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The store was written by a newer version of this program.
    #[error("the store {} has records of format version {version}, which this program does not support", path.display())]
    Newer {
        /// The segment.
        path: PathBuf,
        /// The version found.
        version: u8,
    },
    /// The store does not exist.
    #[error("there is no store at {}", path.display())]
    Missing {
        /// The directory that was tried.
        path: PathBuf,
    },
}

impl StoreError {
    /// Wraps the operating system's error, for use in `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// Returns advice on how to continue.
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
                "fix what the system reported and run the same command again; everything that was committed is kept"
                    .to_owned()
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
