//! Which configuration files the user trusts. One small file for each, in the user's state directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cohobate::conversation::Digest;
use cohobate::job::JobError;
use serde::{Deserialize, Serialize};

use super::demand::{Demand, exact};
use crate::cli::environment::state_directory;

/// What is on disk about a trusted file. No setting is stored, as a command may contain a key.
#[derive(Serialize, Deserialize)]
struct Record {
    /// The file, for people.
    file: String,
    /// The digest of the settings that need trust.
    settings: String,
}

/// How a file stands with the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its settings are trusted as they are.
    Trusted,
    /// Settings that need trust were changed since.
    Changed,
    /// It was never trusted.
    Untrusted,
}

/// Returns how a file with these demands stands.
pub fn standing(file: &Path, demands: &[Demand]) -> Standing {
    let read = || -> Option<Record> { serde_json::from_slice(&fs::read(place(file)?).ok()?).ok() };
    match read() {
        None => Standing::Untrusted,
        Some(record) if record.settings == digest(demands) => Standing::Trusted,
        Some(_) => Standing::Changed,
    }
}

/// Records that a file with these demands is trusted.
pub fn record(file: &Path, demands: &[Demand]) -> Result<(), JobError> {
    let place = place(file).ok_or_else(|| {
        let message = "there is no directory for the user's state, so that trust cannot be recorded";
        JobError::usage(message, "set HOME or XDG_STATE_HOME, or name the file with --config each time")
    })?;
    let record = Record { file: file.display().to_string(), settings: digest(demands) };
    write(&place, &serde_json::to_vec_pretty(&record)?).map_err(|error| {
        let message = format!("cannot write {}: {error}", place.display());
        JobError::storage(message, "make the directory writable, or name the file with --config each time")
    })
}

/// Writes atomically: of two processes the last one wins.
fn write(place: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(place.parent().unwrap_or(Path::new("")))?;
    let part = place.with_extension(format!("{}.part", std::process::id()));
    fs::write(&part, bytes)?;
    fs::rename(&part, place)
}

fn place(file: &Path) -> Option<PathBuf> {
    let name = Digest::of_text("cohobate trusted file 1", &exact(file));
    Some(state_directory()?.join("trusted").join(format!("{name}.json")))
}

fn digest(demands: &[Demand]) -> String {
    let lines = demands.iter().map(|demand| format!("{:?}\n", demand.exact));
    Digest::of_text("cohobate trusted settings 1", &lines.collect::<String>()).to_string()
}
