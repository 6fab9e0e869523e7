//! The two streams: data on standard output, lines for people on standard error.

use std::fmt::Display;
use std::io::{self, Write};

use cohobate::job::{ErrorKind, JobError};

/// Prints a line for people on standard error. Where nobody reads it, the work continues: a closed pipe or a full disk
/// must not take a paid answer with it.
pub fn tell(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Prints data on standard output.
pub fn print(text: impl Display) -> Result<(), JobError> {
    writeln!(io::stdout(), "{text}").map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => {
            JobError { kind: ErrorKind::OutputClosed, ..JobError::unexpected("standard output was closed") }
        }
        _ => JobError::unexpected(format!("cannot write to standard output: {error}")),
    })
}
