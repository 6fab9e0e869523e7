//! The two streams: data on standard output, lines for people on standard error.

use std::fmt::Display;
use std::io::{self, Write};

use cohobate::export::OutputError;
use cohobate::job::JobError;

/// Prints a line for people on standard error. Where nobody reads it, the work continues: a closed pipe or a full disk
/// must not take a paid answer with it.
pub fn tell(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Prints data on standard output.
pub fn print(text: impl Display) -> Result<(), JobError> {
    let fault = |source| OutputError { path: "standard output".to_owned(), source };
    Ok(writeln!(io::stdout(), "{text}").map_err(fault)?)
}
