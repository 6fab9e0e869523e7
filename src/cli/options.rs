//! The options that commands share, on the command line and under the same names in `cohobate.toml`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::error::CliError;
use super::model::Profile;
use crate::conversation::Sampling;
use crate::report::ProgressMode;

/// The configuration file that is read when none is named.
const CONFIG_FILE: &str = "cohobate.toml";
/// Where the store is when nobody says otherwise.
const STORE: &str = ".cohobate";
/// Calls in flight when nobody says otherwise.
const CONCURRENCY: usize = 64;

/// Options as they are given: nothing is checked against the world yet.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[command(next_help_heading = "Options shared by commands")]
pub struct Options {
    /// Read options and model profiles from this file [default: cohobate.toml, where it exists]
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// Keep answers in this directory [default: .cohobate]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,

    /// Keep at most so many calls in flight [default: 64]
    #[arg(long, value_name = "N")]
    pub concurrency: Option<usize>,

    /// Softmax temperature [default: the server's]
    #[arg(long, value_name = "T")]
    pub temperature: Option<f64>,

    /// Nucleus mass [default: the server's]
    #[arg(long, value_name = "P")]
    pub top_p: Option<f64>,

    /// Most tokens in one answer, reasoning included [default: the server's]
    #[arg(long, value_name = "N")]
    pub max_tokens: Option<u32>,

    /// Seed for the server's random numbers
    #[arg(long, value_name = "N")]
    pub seed: Option<i64>,

    /// Put this system message in place of the rows' own; @FILE reads it from a file
    #[arg(long, value_name = "TEXT|@FILE")]
    pub system: Option<String>,

    /// Read only the first N rows
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,

    /// Let the server stream its answers; false asks for each in one piece [default: true]
    #[arg(long, value_name = "BOOL")]
    pub stream: Option<bool>,

    /// How to show progress: auto, plain, json or none [default: auto]
    #[arg(long, value_name = "MODE")]
    pub progress: Option<ProgressMode>,

    /// Show errors only
    #[arg(short, long, conflicts_with = "verbose")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub quiet: bool,

    /// Show each failed call
    #[arg(short, long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub verbose: bool,

    /// Model profiles; in the file only.
    #[arg(skip)]
    #[serde(skip_serializing)]
    pub models: BTreeMap<String, Profile>,

    /// The teacher; a positional thing of each command's own on the command line.
    #[arg(skip)]
    pub teacher: Option<String>,
}

impl Options {
    /// Lays these options over those of the configuration file and checks their ranges.
    pub fn resolve(self) -> Result<Self, CliError> {
        let Some((path, text)) = read_config(self.config.as_deref())? else {
            return self.checked();
        };
        let fault = |reason: String| {
            CliError::usage(
                format!("cannot use the configuration {}: {reason}", path.display()),
                "each long option of the command line may stand there under its name, and [models.NAME] tables",
            )
        };
        let mut table: toml::Table =
            text.parse().map_err(|error: toml::de::Error| fault(error.message().to_owned()))?;
        let given = toml::Table::try_from(&self).map_err(|error| fault(error.to_string()))?;
        table.extend(given);
        let options: Self = table.try_into().map_err(|error: toml::de::Error| fault(error.message().to_owned()))?;
        Self { config: self.config, ..options }.checked()
    }

    fn checked(self) -> Result<Self, CliError> {
        let range = |name: &str, value: Option<f64>, max: f64| match value {
            Some(value) if !(0.0..=max).contains(&value) => Err(CliError::usage(
                format!("--{name} is {value}, outside of 0 to {max}"),
                format!("give --{name} a number from 0 to {max}"),
            )),
            _ => Ok(()),
        };
        range("temperature", self.temperature, 10.0)?;
        range("top-p", self.top_p, 1.0)?;
        if self.concurrency == Some(0) || self.max_tokens == Some(0) {
            return Err(CliError::usage("--concurrency and --max-tokens must be at least 1", "give a larger number"));
        }
        Ok(self)
    }

    /// Returns where the store is.
    pub fn store_path(&self) -> PathBuf {
        self.store.clone().unwrap_or_else(|| PathBuf::from(STORE))
    }

    /// Returns how many calls may be in flight.
    pub fn concurrency(&self) -> usize {
        self.concurrency.unwrap_or(CONCURRENCY)
    }

    /// Returns how progress is shown.
    pub fn progress(&self) -> ProgressMode {
        if self.quiet { ProgressMode::None } else { self.progress.unwrap_or_default() }
    }

    /// Returns the sampling parameters.
    pub fn sampling(&self) -> Sampling {
        Sampling { temperature: self.temperature, top_p: self.top_p, max_tokens: self.max_tokens, seed: self.seed }
    }

    /// Returns the system message that replaces the rows' own, read from its file where it names one.
    pub fn system_text(&self) -> Result<Option<String>, CliError> {
        let Some(text) = &self.system else { return Ok(None) };
        let Some(path) = text.strip_prefix('@') else { return Ok(Some(text.clone())) };
        let read = fs::read_to_string(path).map(|text| Some(text.trim_end().to_owned()));
        read.map_err(|error| {
            CliError::usage(
                format!("cannot read the system message {path}: {error}"),
                "write --system @FILE with a file that exists",
            )
        })
    }

    /// Prints a line for people, unless they asked for silence.
    pub fn say(&self, line: &str) {
        match self.progress() {
            _ if self.quiet => {}
            ProgressMode::Json => eprintln!("{}", serde_json::json!({"message": line})),
            _ => eprintln!("{line}"),
        }
    }
}

fn read_config(named: Option<&Path>) -> Result<Option<(PathBuf, String)>, CliError> {
    let path = named.unwrap_or(Path::new(CONFIG_FILE));
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some((path.to_owned(), text))),
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CliError::usage(
            format!("cannot read the configuration {}: {error}", path.display()),
            "name a file that exists with --config",
        )),
    }
}
