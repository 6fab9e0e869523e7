use crate::dataset::{IndexError, InputError};
use crate::export::OutputError;
use crate::model::{HttpSetupError, ReferenceError};
use crate::store::StoreError;
use crate::worker::WorkerError;

/// What the program's exit codes mean.
pub mod exit_code {
    /// Complete.
    pub const COMPLETE: u8 = 0;
    /// Unexpected failure.
    pub const FAILURE: u8 = 1;
    /// Usage or configuration.
    pub const USAGE: u8 = 2;
    /// Finished, but some conversations are incomplete.
    pub const INCOMPLETE: u8 = 3;
    /// The store or the output cannot be written or is damaged.
    pub const STORE: u8 = 4;
    /// Stopped early and resumable.
    pub const RESUMABLE: u8 = 75;

    /// The same for the help.
    pub const HELP: &str = "\
Exit codes:
  0    complete
  1    unexpected failure
  2    usage or configuration
  3    finished, but some conversations are incomplete or some rows cannot be understood; each is
       listed with its reason
  4    the store or the output cannot be written or is damaged
  75   stopped early (budget, deadline, warning, outage, or the server refuses every request); the same
       command goes on
  129, 130, 143   interrupted by SIGHUP, SIGINT, SIGTERM; the same command goes on";
}

/// A failure as the person sees it: one line, what to do next, an exit code. An empty message prints nothing.
#[derive(Debug)]
pub struct CliError {
    pub code: u8,
    pub message: String,
    pub hint: Option<String>,
}

impl CliError {
    /// A mistake in the arguments or the configuration.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: exit_code::USAGE, message: message.into(), hint: Some(hint.into()) }
    }

    /// Something that should not have happened.
    pub fn failure(message: impl Into<String>) -> Self {
        Self { code: exit_code::FAILURE, message: message.into(), hint: None }
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        let code = if matches!(error, StoreError::Missing { .. }) { exit_code::USAGE } else { exit_code::STORE };
        Self { code, message: error.to_string(), hint: Some(error.hint()) }
    }
}

impl From<WorkerError> for CliError {
    fn from(error: WorkerError) -> Self {
        match error {
            WorkerError::Store(error) => error.into(),
            other => Self {
                hint: Some("run the same command again; everything that was committed is kept".to_owned()),
                ..Self::failure(other.to_string())
            },
        }
    }
}

impl From<OutputError> for CliError {
    fn from(error: OutputError) -> Self {
        if error.source.kind() == std::io::ErrorKind::BrokenPipe {
            // Whoever reads has read enough.
            return Self { code: exit_code::COMPLETE, message: String::new(), hint: None };
        }
        let hint = "name a place that can be written to with -o, or free some space; the answers are in the store";
        Self { code: exit_code::STORE, message: error.to_string(), hint: Some(hint.to_owned()) }
    }
}

impl From<InputError> for CliError {
    fn from(error: InputError) -> Self {
        Self::usage(error.to_string(), "name files that exist, or - for standard input")
    }
}

impl From<IndexError> for CliError {
    fn from(error: IndexError) -> Self {
        let hint = "run the same command again when the input is at rest; everything that was committed is kept";
        Self { hint: Some(hint.to_owned()), ..Self::failure(error.to_string()) }
    }
}

impl From<ReferenceError> for CliError {
    fn from(error: ReferenceError) -> Self {
        Self::usage(error.to_string(), "write NAME@http://HOST:PORT/v1")
    }
}

impl From<HttpSetupError> for CliError {
    fn from(error: HttpSetupError) -> Self {
        Self::usage(error.to_string(), "check the API key in the environment")
    }
}
