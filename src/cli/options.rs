//! The options that commands share, on the command line and under the same names in `cohobate.toml`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::error::CliError;
use super::limits::raise_file_limit;
use super::model::Profile;
use super::signals::StopSignal;
use crate::conversation::Sampling;
use crate::model::PaceLimits;
use crate::report::{ProgressMode, words};

/// The configuration file that is read when none is named.
const CONFIG_FILE: &str = "cohobate.toml";
/// Where the store is when nobody says otherwise.
const STORE: &str = ".cohobate";

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

    /// Keep at most so many calls in flight; auto finds what the server takes [default: auto]
    #[arg(long, value_name = "N|auto")]
    pub concurrency: Option<Concurrency>,

    /// Send at most so many requests a minute
    #[arg(long, value_name = "N")]
    pub rpm: Option<u32>,

    /// Send and ask for at most so many tokens a minute
    #[arg(long, value_name = "N")]
    pub tpm: Option<u64>,

    /// Sampling temperature [default: the server's]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    pub temperature: Option<f64>,

    /// Sample from the most likely words that make up this share, 0 to 1 [default: the server's]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub top_p: Option<f64>,

    /// Most tokens in one answer, reasoning included [default: the server's]
    #[arg(long, value_name = "N")]
    pub max_tokens: Option<u32>,

    /// Seed for the server's random numbers
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub seed: Option<i64>,

    /// Put this system message in place of the rows' own; @FILE reads it from a file
    #[arg(long, value_name = "TEXT|@FILE")]
    pub system: Option<String>,

    /// Spend at most so many dollars, earlier runs of this store included; needs prices and --max-tokens
    #[arg(long, value_name = "DOLLARS")]
    pub max_cost: Option<f64>,

    /// Send at most so many requests, earlier runs of this store included
    #[arg(long, value_name = "N")]
    pub max_requests: Option<u64>,

    /// Let the model write at most so many tokens, earlier runs included; needs --max-tokens
    #[arg(long, value_name = "N")]
    pub max_output_tokens: Option<u64>,

    /// Stop in order when the clock next shows this time
    #[arg(long, value_name = "HH:MM")]
    pub until: Option<String>,

    /// Stop in order after this long, such as 8h, 90m, 45s
    #[arg(long, value_name = "TIME")]
    pub time_limit: Option<String>,

    /// Stop in order, with exit code 75, on this signal too: USR1 or USR2
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<StopSignal>,

    /// Stop when a server has not answered for this long [default: wait for ever]
    #[arg(long, value_name = "TIME")]
    pub give_up_after: Option<String>,

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
        if self.max_tokens == Some(0) {
            return Err(CliError::usage("--max-tokens is 0", "give it at least 1"));
        }
        Ok(self)
    }

    /// Returns where the store is.
    pub fn store_path(&self) -> PathBuf {
        self.store.clone().unwrap_or_else(|| PathBuf::from(STORE))
    }

    /// Returns how fast to ask.
    pub fn pace(&self) -> Result<PaceLimits, CliError> {
        let concurrency = self.concurrency.and_then(|concurrency| concurrency.0);
        Ok(PaceLimits {
            concurrency,
            requests_per_minute: self.rpm,
            tokens_per_minute: self.tpm,
            calls_max: Some(raise_file_limit(concurrency)?),
        })
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
            ProgressMode::Json => words::tell(serde_json::json!({"message": line})),
            _ => words::tell(line),
        }
    }
}

/// A number of calls in flight, or `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency(pub Option<usize>);

impl FromStr for Concurrency {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<usize>() {
            _ if text == "auto" => Ok(Self(None)),
            Ok(count @ 1..) => Ok(Self(Some(count))),
            _ => Err("write a number of at least 1, or auto"),
        }
    }
}

impl Serialize for Concurrency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(count) => serializer.serialize_u64(count as u64),
            None => serializer.serialize_str("auto"),
        }
    }
}

impl<'de> Deserialize<'de> for Concurrency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => text,
            other => other.to_string(),
        };
        text.parse().map_err(serde::de::Error::custom)
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
