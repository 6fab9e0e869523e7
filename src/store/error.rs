use std::io;
use std::path::{Path, PathBuf};

use super::loss::Loss;

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
    /// Another process wrote to the journal, or deleted a part of it, while this one was writing.
    #[error("another process wrote to {}", path.display())]
    Intruded {
        /// The segment.
        path: PathBuf,
    },
    /// A part of the journal is gone.
    #[error("the store {} has lost answers: {}", path.display(), listed(losses))]
    Lost {
        /// The store.
        path: PathBuf,
        /// What is gone.
        losses: Vec<Loss>,
    },
    /// A repair by version 0.1.0 was interrupted, and the damaged segment was deleted since.
    #[error("{} is missing, and {} may be a part of it only", segment.display(), path.display())]
    HalfRepaired {
        /// The new file.
        path: PathBuf,
        /// The segment that it was to replace.
        segment: PathBuf,
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
    /// The database of a shared store is away.
    #[error("the shared store cannot be reached: {reason}")]
    Away {
        /// What the connection reported.
        reason: String,
        /// Answers that wait in the outbox.
        waiting: u64,
    },
    /// The database of a shared store refuses.
    #[error("the shared store refuses: {message}")]
    Refused {
        /// What it said.
        message: String,
        /// What to do.
        hint: String,
    },
    /// A worker of a shared store is at work, where nobody may be.
    #[error("worker {worker} of the shared store is at work")]
    AtWork {
        /// Its host and process.
        worker: String,
    },
    /// The store does not exist.
    #[error("there is no store at {}", path.display())]
    Missing {
        /// The directory that was tried.
        path: PathBuf,
    },
}

fn listed(losses: &[Loss]) -> String {
    const NAMED_MAX: usize = 5;
    let named = losses.iter().take(NAMED_MAX).map(Loss::to_string).collect::<Vec<_>>().join("; ");
    match losses.len().checked_sub(NAMED_MAX) {
        Some(more) if more > 0 => format!("{named}; and {more} more"),
        _ => named,
    }
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
            Self::Intruded { .. } => "let one process at a time use this store, and run the same command again; \
                                      everything that was acknowledged is kept"
                .to_owned(),
            Self::Lost { .. } => {
                "put the missing files back from a copy of the store; or add --accept-loss, and what is \
                                  missing is asked again"
                    .to_owned()
            }
            Self::HalfRepaired { path, segment } => {
                format!("rename {} to {} and run `cohobate verify --repair`", path.display(), segment.display())
            }
            Self::TooLarge { .. } => "lower --max-tokens".to_owned(),
            Self::Newer { .. } => "use the program version that wrote it, or a newer one".to_owned(),
            Self::Away { waiting: 0, .. } => {
                "run the same command again once the database answers; everything that was committed is kept".to_owned()
            }
            Self::Away { waiting, .. } => format!(
                "run the same command again on this machine once the database answers: {waiting} paid answers wait in the \
                 outbox and are uploaded first"
            ),
            Self::Refused { hint, .. } => hint.clone(),
            Self::AtWork { .. } => "wait until its run has ended or stop it with `cohobate ctl stop --store postgres://...`, and run \
                                    the same command again; one that was killed counts until its lease has passed, a minute"
                .to_owned(),
            Self::Missing { .. } => "name the store with --store DIR, or begin with `cohobate distill`".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_losses_are_named_and_the_rest_is_counted() {
        let losses: Vec<Loss> = (1..=7).map(|segment| Loss::Changed { segment }).collect();
        let said = |count: usize| format!("segment {count} has changed since it was closed");
        let five = (1..=5).map(said).collect::<Vec<_>>().join("; ");
        assert_eq!((listed(&losses[..1]), listed(&losses[..5])), (said(1), five.clone()));
        assert_eq!(listed(&losses[..6]), format!("{five}; and 1 more"));
        assert_eq!(listed(&losses), format!("{five}; and 2 more"));
    }
}
