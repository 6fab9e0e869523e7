use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cohobate::job::JobError;
use serde::de::DeserializeOwned;
use toml::de::DeTable;

use super::closest::closest;

/// The configuration file that is read when none is named.
pub const CONFIG_FILE: &str = "cohobate.toml";
/// Options of the command line alone: a loss is accepted once, by a person; a run in the background must not start another
/// one; a shard is one start's share of the work.
const NOT_IN_FILE: [&str; 4] = ["config", "accept-loss", "detach", "shard"];

/// A configuration file as it was read.
#[derive(Debug)]
pub struct ConfigFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it sets.
    pub table: toml::Table,
    /// True if the command line names it. Otherwise it was merely found in the working directory.
    pub is_named: bool,
    text: String,
}

impl ConfigFile {
    /// Reads the file that is named, else the one of the working directory, which may be missing.
    pub fn read(named: Option<&Path>) -> Result<Self, JobError> {
        let path = named.unwrap_or(Path::new(CONFIG_FILE));
        let text = match fs::read_to_string(path) {
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => String::new(),
            other => other.map_err(|error| {
                let message = format!("cannot read the configuration {}: {error}", path.display());
                JobError::usage(message, "name a file that exists with --config")
            })?,
        };
        let mut this = Self { path: path.to_owned(), table: toml::Table::new(), is_named: named.is_some(), text };
        this.table = this.text.parse().map_err(|error| this.fault(&error))?;
        Ok(this)
    }

    /// Fails where the file has a name that `Settings` does not have, or a value of another type.
    pub fn check<Settings: DeserializeOwned>(&self) -> Result<(), JobError> {
        if let Some(name) = NOT_IN_FILE.iter().find(|name| self.table.contains_key(**name)) {
            let place = self.places().remove(*name).unwrap_or_default();
            let message = format!("{place}: `{name}` is an option of the command line only");
            return Err(JobError::usage(message, format!("remove it, and write --{name} on the command line")));
        }
        toml::from_str::<Settings>(&self.text).map(drop).map_err(|error| self.fault(&error))
    }

    /// Returns where each setting at the top of the file stands: the file and the line.
    pub fn places(&self) -> BTreeMap<String, String> {
        let table = DeTable::parse(&self.text).map(toml::Spanned::into_inner).unwrap_or_default();
        let place = |start: usize| format!("{}, line {}", self.path.display(), self.line(start));
        table.keys().map(|key| (key.get_ref().to_string(), place(key.span().start))).collect()
    }

    /// Returns the number of the line of a byte.
    fn line(&self, byte: usize) -> usize {
        let before = &self.text.as_bytes()[..byte.min(self.text.len())];
        before.split(|byte| *byte == b'\n').count()
    }

    /// Says what is wrong, in which line and with which name, and which name comes closest to an unknown one.
    fn fault(&self, error: &toml::de::Error) -> JobError {
        let number = self.line(error.span().map_or(0, |span| span.start));
        let line = self.text.lines().nth(number - 1).unwrap_or_default();
        let place = format!("{}, line {number}", self.path.display());
        let key = line.split_once('=').map_or("", |(key, _)| key.trim());
        let key = if key.is_empty() { String::new() } else { format!("`{key}`: ") };
        if let Some((kind, unknown, known)) = unknown(error.message()) {
            let known: Vec<&str> = known.into_iter().filter(|name| !NOT_IN_FILE.contains(name)).collect();
            let hint = match closest(unknown, known.iter().copied()) {
                Some(name) => format!("the closest is `{name}`"),
                None => format!("write one of {}", known.join(", ")),
            };
            let message = match kind {
                Unknown::Name => format!("{place}: there is no setting `{unknown}`"),
                Unknown::Value => format!("{place}: {key}there is no `{unknown}`"),
            };
            return JobError::usage(message, hint);
        }
        let message = format!("{place}: {key}{}", in_words(error.message()));
        JobError::usage(message, "correct that line; TOML has NAME = VALUE, with text in quotes")
    }
}

/// What is unknown.
enum Unknown {
    /// The name of a setting.
    Name,
    /// A value that is one of a few words.
    Value,
}

/// Takes an unknown word and those that are known out of an error of serde.
fn unknown(message: &str) -> Option<(Unknown, &str, Vec<&str>)> {
    let field = message.strip_prefix("unknown field `").map(|rest| (Unknown::Name, rest));
    let (kind, rest) = field.or_else(|| Some((Unknown::Value, message.strip_prefix("unknown variant `")?)))?;
    let (unknown, known) = rest.split_once('`')?;
    Some((kind, unknown, known.split('`').skip(1).step_by(2).collect()))
}

/// Replaces the names of Rust's types by those of people.
fn in_words(message: &str) -> String {
    let Some((found, expected)) = message.rsplit_once("expected ") else { return message.to_owned() };
    let expected = match expected {
        "f64" | "f32" => "a number",
        "u8" | "u16" | "u32" | "u64" | "usize" | "i64" => "a whole number",
        "a boolean" => "true or false",
        "a string" => "text in quotes",
        other => other,
    };
    format!("{found}expected {expected}")
}
