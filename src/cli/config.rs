use std::fs;
use std::path::{Path, PathBuf};

use cohobate::job::JobError;

/// The configuration file that is read when none is named.
pub const CONFIG_FILE: &str = "cohobate.toml";

/// A configuration file as it was read.
#[derive(Debug)]
pub struct ConfigFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it sets.
    pub table: toml::Table,
    /// True if the command line names it. Otherwise it was merely found in the working directory.
    pub is_named: bool,
}

impl ConfigFile {
    /// Reads the file that is named, else the one of the working directory, which may be missing.
    pub fn read(named: Option<&Path>) -> Result<Self, JobError> {
        let path = named.unwrap_or(Path::new(CONFIG_FILE));
        let fault = |reason: &dyn std::fmt::Display, hint: &str| {
            JobError::usage(format!("cannot read the configuration {}: {reason}", path.display()), hint)
        };
        let text = match fs::read_to_string(path) {
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => String::new(),
            other => other.map_err(|error| fault(&error, "name a file that exists with --config"))?,
        };
        let table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
            fault(&format!("line {line}: {}", error.message()), "fix that line; TOML has NAME = VALUE, text in quotes")
        })?;
        Ok(Self { path: path.to_owned(), table, is_named: named.is_some() })
    }
}
