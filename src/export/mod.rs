//! Writing: finished conversations out as rows that train as they are.
//!
//! A format is one file here ([`Format`]) and one line in its list. Files appear whole or not at all
//! ([`OutputFile`]): a reader never sees half of one, and an interrupted run leaves the old one in place.

mod file;
mod incomplete;
mod openai;

pub use file::{OutputError, OutputFile};
pub use incomplete::{Incomplete, incomplete_row};
pub use openai::OpenAi;

use crate::conversation::{Dialogue, Seed};

/// A shape of output rows.
pub trait Format: Send + Sync {
    /// The name that `--to` takes.
    fn name(&self) -> &'static str;

    /// Appends the row to `out`, line end included.
    fn write(&self, seed: &Seed, dialogue: &Dialogue, out: &mut Vec<u8>);
}
