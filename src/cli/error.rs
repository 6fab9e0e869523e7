use cohobate::job::{ErrorKind, JobError};

/// The exit codes of the program.
pub mod exit_code {
    /// Complete.
    pub const COMPLETE: u8 = 0;
    /// Unexpected failure.
    pub const FAILURE: u8 = 1;
    /// Usage or configuration; a server that refuses every request from the start.
    pub const USAGE: u8 = 2;
    /// Finished, but conversations are incomplete or rows are invalid.
    pub const INCOMPLETE: u8 = 3;
    /// The store or the output cannot be written or is damaged.
    pub const STORE: u8 = 4;
    /// Stopped early, or the store is in use; the same command resumes.
    pub const RESUMABLE: u8 = 75;

    /// The list in the help, 55 columns wide so that it never wraps.
    pub const HELP: &str = "\
Exit codes:
  0    complete
  1    unexpected failure
  2    usage or configuration, or a server that refuses
       every request from the start: key, model, address
  3    finished, but conversations are incomplete or
       rows are invalid; each is listed with its reason
  4    the store or the output cannot be written or is
       damaged
  75   stopped early (budget, deadline, signal, outage,
       no credit) or the store is in use by another
       process; run the same command again to resume
  129, 130, 143
       interrupted by SIGHUP, SIGINT, SIGTERM; run the
       same command again to resume";
}

/// Returns the exit code of a failure.
pub fn code_of(error: &JobError) -> u8 {
    match error.kind {
        ErrorKind::Usage => exit_code::USAGE,
        ErrorKind::Unexpected => exit_code::FAILURE,
        ErrorKind::Storage => exit_code::STORE,
        ErrorKind::InUse | ErrorKind::Unavailable => exit_code::RESUMABLE,
        // The reader has read enough.
        ErrorKind::OutputClosed => exit_code::COMPLETE,
    }
}
