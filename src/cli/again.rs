//! The settings of a run of the log, found as its command line would: the line is written again from the options that the log
//! has, and read by the same code.

use std::path::Path;

use clap::{ArgAction, FromArgMatches};
use cohobate::job::{AskedJob, JobError, LoggedRun};
use serde_json::Value;

use super::last_run::{Place, not_whole};
use super::options::{AloneArgs, Group, RunArgs};
use super::trust::class::{Class, of_option};
use super::{Cli, Command, command_line, compare, evaluate, simulate, tutor};

/// Options that name a file or a directory.
const PATHS: [&str; 9] =
    ["output", "config", "prompt", "criteria", "references", "personas", "answers", "human", "judge-prompt"];
/// Options that do not decide what is asked, and must not take effect when a page is opened.
const LEFT: [&str; 8] = ["input", "store", "report", "retry-failed", "dry-run", "quiet", "progress", "run"];

/// Returns the job of a run that was not a `distill`. It reads these inputs; nothing is sent, and no key is looked for.
pub fn job_of(run: &LoggedRun, input: &[String], store: &Path) -> Result<AskedJob, JobError> {
    let fault = |message: String| JobError::usage(message, "the store is shown without its rows");
    let is_left = |name: &str| {
        LEFT.contains(&name)
            || of_option(name) == Class::Command
            || RunArgs::default().has(name)
            || AloneArgs::default().has(name)
    };
    if let Some(name) = run.begin.altered.iter().find(|name| !is_left(name)) {
        return Err(fault(not_whole(name, run)));
    }
    let mut line = vec!["cohobate".to_owned(), run.begin.command.clone()];
    line.push(format!("--store={}", store.display()));
    let known = command_line();
    let command = known.find_subcommand(&run.begin.command);
    let place = Place::of(run);
    for (name, value) in run.begin.options.iter().filter(|(name, _)| !is_left(name)) {
        let id = name.replace('-', "_");
        let Some(argument) =
            command.and_then(|command| command.get_arguments().find(|known| known.get_id() == id.as_str()))
        else {
            continue;
        };
        let Some(long) = argument.get_long() else { continue };
        let values = values_of(value).into_iter().map(|value| here(name, value, &place));
        let values: Vec<String> = values.collect();
        match argument.get_action() {
            ArgAction::SetTrue if values.iter().any(|value| value == "true") => line.push(format!("--{long}")),
            ArgAction::SetTrue => {}
            _ if argument.get_num_args().is_some_and(|count| count.min_values() > 1) => {
                line.push(format!("--{long}"));
                line.extend(values);
            }
            _ => line.extend(values.into_iter().map(|value| format!("--{long}={value}"))),
        }
    }
    line.push("--".to_owned());
    line.extend(input.iter().cloned());
    let read = |error: clap::Error| {
        let why = error.to_string().lines().next().unwrap_or_default().to_owned();
        fault(format!("run {} of the log cannot be read again: {why}", run.run))
    };
    let matches = known.try_get_matches_from(line).map_err(read)?;
    match Cli::from_arg_matches(&matches).map_err(read)?.command {
        Command::Evaluate(args) => evaluate::asked(*args),
        Command::Compare(args) => compare::asked(*args),
        Command::Simulate(args) => simulate::asked(&args),
        Command::Tutor(args) => tutor::asked(&args),
        _ => Err(fault(format!("run {} was a `{}`, whose conversations cannot be shown", run.run, run.begin.command))),
    }
}

fn values_of(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().flat_map(values_of).collect(),
        Value::String(text) => vec![text.clone()],
        other => vec![other.to_string()],
    }
}

/// Returns a value with its path as it is from here.
fn here(name: &str, value: String, place: &Place) -> String {
    match (name, value.strip_prefix('@'), value.split_once('=')) {
        ("system", Some(path), _) => format!("@{}", place.path_here(path)),
        ("system", None, Some((system, path))) if Path::new(&place.path_here(path)).is_file() => {
            format!("{system}={}", place.path_here(path))
        }
        _ if PATHS.contains(&name) => place.path_here(&value),
        _ => value,
    }
}
