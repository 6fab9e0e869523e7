use std::io;

use crate::dataset::{InputError, RowIndexError};
use crate::export::OutputError;
use crate::hub::{HubError, HubErrorKind};
use crate::model::{HttpSetupError, ReferenceError};
use crate::store::StoreError;
use crate::worker::WorkerError;

/// Why a job failed: what happened, to what, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct JobError {
    /// What kind of failure it is, and so which exit code the program ends with.
    pub kind: ErrorKind,
    /// What happened, to what.
    pub message: String,
    /// What to do next, where that is known.
    pub hint: Option<String>,
}

/// The kinds of failure of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The settings or the inputs cannot be used; nothing was done.
    Usage,
    /// Something that should not happen.
    Unexpected,
    /// A file system has lost an input; the same call resumes when it is back.
    Unavailable,
    /// The store or the output cannot be written, or is damaged.
    Storage,
    /// Another process uses the store; the same command works later.
    InUse,
    /// The reader of the output closed it before the end. There is nothing to report.
    OutputClosed,
}

impl JobError {
    /// Makes an error about settings or inputs.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Usage, message: message.into(), hint: Some(hint.into()) }
    }

    /// Makes an error about something that should not happen.
    pub fn unexpected(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Unexpected, message: message.into(), hint: None }
    }

    /// Makes an error about an input that cannot be read at present.
    pub fn unavailable(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Unavailable, message: message.into(), hint: Some(hint.into()) }
    }

    /// Adds to an error about an output that the answers are there.
    #[must_use]
    pub(super) fn with_answers_kept(mut self) -> Self {
        if let Some(hint) = self.hint.as_mut().filter(|_| self.kind == ErrorKind::Storage) {
            hint.push_str("; the answers are in the store");
        }
        self
    }

    /// Makes an error about a place that cannot be written to.
    pub fn storage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Storage, message: message.into(), hint: Some(hint.into()) }
    }
}

impl From<StoreError> for JobError {
    fn from(error: StoreError) -> Self {
        let kind = match error {
            StoreError::Missing { .. } => ErrorKind::Usage,
            StoreError::Locked { .. } | StoreError::AtWork { .. } => ErrorKind::InUse,
            StoreError::Away { .. } => ErrorKind::Unavailable,
            _ => ErrorKind::Storage,
        };
        Self { kind, message: error.to_string(), hint: Some(error.hint()) }
    }
}

impl From<WorkerError> for JobError {
    fn from(error: WorkerError) -> Self {
        match error {
            WorkerError::Store(error) => error.into(),
            WorkerError::Ledger(_) => {
                let hint = "free some space for the store, then run the same command again";
                Self::storage(error.to_string(), hint)
            }
            other => Self {
                hint: Some("run the same command again; everything that was committed is kept".to_owned()),
                ..Self::unexpected(other.to_string())
            },
        }
    }
}

impl From<OutputError> for JobError {
    fn from(error: OutputError) -> Self {
        if error.source.kind() == io::ErrorKind::BrokenPipe {
            return Self { kind: ErrorKind::OutputClosed, message: error.to_string(), hint: None };
        }
        Self::storage(error.to_string(), "name a place that can be written to with -o, or free some space")
    }
}

impl From<InputError> for JobError {
    fn from(error: InputError) -> Self {
        let kind = if error.is_lost { ErrorKind::Unavailable } else { ErrorKind::Usage };
        Self { kind, message: error.to_string(), hint: Some(error.hint) }
    }
}

impl From<HubError> for JobError {
    fn from(error: HubError) -> Self {
        let kind = match error.kind {
            HubErrorKind::Refused => ErrorKind::Usage,
            HubErrorKind::Unavailable => ErrorKind::Unavailable,
            HubErrorKind::Cache => ErrorKind::Storage,
        };
        Self { kind, message: error.message, hint: Some(error.hint) }
    }
}

impl From<RowIndexError> for JobError {
    fn from(error: RowIndexError) -> Self {
        let hint = "run the same command again; everything that was committed is kept";
        let kind = if error.is_lost() { ErrorKind::Unavailable } else { ErrorKind::Unexpected };
        Self { kind, hint: Some(hint.to_owned()), message: error.to_string() }
    }
}

impl From<ReferenceError> for JobError {
    fn from(error: ReferenceError) -> Self {
        let hint = match error {
            ReferenceError::Key { .. } => {
                "take it out of the URL, and set COHOBATE_API_KEY or the variable that key-env names to it"
            }
            _ => "write NAME@http://HOST:PORT/v1",
        };
        Self::usage(error.to_string(), hint)
    }
}

impl From<HttpSetupError> for JobError {
    fn from(error: HttpSetupError) -> Self {
        Self::usage(
            error.to_string(),
            "check the API key in the environment, and the profile of the model in cohobate.toml",
        )
    }
}

impl From<serde_json::Error> for JobError {
    fn from(error: serde_json::Error) -> Self {
        Self::unexpected(format!("a report cannot be written as JSON: {error}"))
    }
}
