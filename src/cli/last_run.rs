//! The settings of the last run, for `export`, `verify`, `show` and `view`: used where the line has none, and compared with
//! those that it has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cohobate::job::{JobError, LoggedRun, OUTPUT, RunHistory};
use serde_json::Value;

use super::line::DistillLine;
use super::options::{Options, Recalled, is_recalled, is_setting};
use super::time::local;

/// A line of `export` or `verify`, with the settings of the last run where it has none of its own.
pub struct CompletedLine {
    /// The line.
    pub line: DistillLine,
    /// Its options, those of the configuration file and of the last run included.
    pub options: Options,
    /// What was taken from the last run, in words.
    pub recalled: Option<String>,
    /// Where that run wrote its rows.
    pub output: Option<String>,
    /// The last run, where the log has it.
    last: Option<LoggedRun>,
}

impl CompletedLine {
    /// Completes a line, where its rows matter. One with a teacher, or with any option that decides which rows there are or what
    /// is asked, stands alone.
    ///
    /// The output is not completed: nothing is ever written to a place that only a log names.
    pub fn of(mut line: DistillLine, names_rows: bool) -> Result<Self, JobError> {
        let options = line.options.resolve()?;
        let history = RunHistory::read(&options.store_path(), 0);
        // A run that never asked has no answers to be written.
        let mut runs = history.runs.into_iter().rev();
        let last = runs.find(|run| run.begin.command == "distill" && !run.store_runs.is_empty());
        let Some(run) = last.as_ref().filter(|_| names_rows && line.is_bare()) else {
            line.settle_names(&options)?;
            return Ok(Self { line, options, recalled: None, output: None, last });
        };
        let recalled = settings_of(run)?;
        line.teacher = run.begin.options.get("teacher").and_then(Value::as_str).map(str::to_owned);
        let mut inputs = String::new();
        if line.input.is_empty() {
            line.input = inputs_of(run)?;
            inputs = format!(" of {}", line.input.join(" "));
        }
        line.keep_partial |= run.begin.options.contains_key("keep-partial");
        let output = run.begin.options.get("output").and_then(Value::as_str).unwrap_or(OUTPUT);
        let words = words_of(line.teacher.as_ref(), &recalled);
        let words = format!("with the settings of run {}, begun {}{inputs}: {words}", run.run, local(run.begun));
        let options = line.options.resolve_on(&recalled)?;
        line.settle_names(&options)?;
        let output = Some(options.placed("output", &Place::of(run).path_here(output))?);
        Ok(Self { line, options, recalled: Some(words), output, last })
    }

    /// Says in which settings this line differs from the last run: `the last run used --temperature 0.7; this line does not`.
    /// The log knows the options; where it is gone, what differs from the store's own record of the run is `unlike`.
    pub fn forgotten(&self, teacher: &str, unlike: &[(String, String, String)]) -> Option<String> {
        let mut said = Vec::new();
        let Some(last) = self.last.as_ref().map(|last| &last.begin) else {
            let unlike = unlike.iter().filter(|(name, ..)| name != "recipe" && name != "dialect");
            said.extend(
                unlike.map(|(name, now, then)| format!("the last run had {name} = {then}; this line has {now}")),
            );
            return (!said.is_empty()).then(|| said.join(". "));
        };
        if let Some(model) = last.models.first().filter(|model| model.name != teacher) {
            said.push(format!("the last run asked the teacher `{}`; this line asks `{teacher}`", model.name));
        }
        let settings = |options: &BTreeMap<String, Value>| -> BTreeMap<String, Value> {
            let kept = options.iter().filter(|(name, _)| is_setting(name) && !last.altered.contains(name));
            kept.map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        let (then, now) = (settings(&last.options), settings(&self.options.recorded));
        for (name, value) in &then {
            let used = format!("the last run used {}", option(name, value));
            match now.get(name) {
                None => said.push(format!("{used}; this line does not")),
                Some(other) if other != value => said.push(format!("{used}; this line uses {}", option(name, other))),
                Some(_) => {}
            }
        }
        for (name, value) in now.iter().filter(|(name, _)| !then.contains_key(*name)) {
            said.push(format!("this line uses {}; the last run did not", option(name, value)));
        }
        (!said.is_empty()).then(|| said.join(". "))
    }
}

/// Returns the settings of a `distill`, with its paths as they are from here.
pub fn settings_of(run: &LoggedRun) -> Result<Recalled, JobError> {
    let begin = &run.begin;
    let needed = |name: &&String| is_recalled(name) || ["teacher", "input"].contains(&name.as_str());
    if let Some(name) = begin.altered.iter().find(needed) {
        return Err(JobError::usage(not_whole(name, run), "write the options of the run on this line too"));
    }
    let place = Place::of(run);
    let settings = begin.options.iter().filter(|(name, _)| is_recalled(name));
    let settings = settings.map(|(name, value)| {
        let value = match (name.as_str(), value.as_str()) {
            ("prompt", Some(path)) => place.path_here(path).into(),
            ("system", Some(text)) => text
                .strip_prefix('@')
                .map_or_else(|| value.clone(), |path| format!("@{}", place.path_here(path)).into()),
            _ => value.clone(),
        };
        (name.clone(), value)
    });
    Ok(Recalled(settings.collect()))
}

/// Returns the inputs of a run, with their paths as they are from here.
pub fn inputs_of(run: &LoggedRun) -> Result<Vec<String>, JobError> {
    let names: Vec<String> = match run.begin.options.get("input") {
        Some(Value::String(name)) => vec![name.clone()],
        Some(Value::Array(names)) => names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    };
    if names.iter().any(|name| name == "-") {
        let message = format!("run {} read standard input, which is gone", run.run);
        return Err(JobError::usage(message, "name the input"));
    }
    let place = Place::of(run);
    Ok(names.iter().map(|name| place.path_here(name)).collect())
}

/// Says that the log has only a part of an option.
pub fn not_whole(name: &str, run: &LoggedRun) -> String {
    format!("the run log does not hold --{name} of run {} whole: it is long, or has a key in it", run.run)
}

/// The working directory of a run.
pub struct Place(Option<PathBuf>);

impl Place {
    /// Returns the working directory of a logged run.
    pub fn of(run: &LoggedRun) -> Self {
        let directory = PathBuf::from(&run.begin.directory);
        let is_here = Path::new(".").canonicalize().is_ok_and(|here| here == directory);
        Self((!is_here).then_some(directory))
    }

    /// Returns a path of the run as it is from here.
    pub fn path_here(&self, path: &str) -> String {
        self.0.as_ref().map_or_else(|| path.to_owned(), |directory| directory.join(path).to_string_lossy().into_owned())
    }
}

fn words_of(teacher: Option<&String>, recalled: &Recalled) -> String {
    let teacher = teacher.map(|teacher| format!("--teacher {teacher}"));
    let others = recalled.0.iter().map(|(name, value)| option(name, value));
    teacher.into_iter().chain(others).collect::<Vec<_>>().join(" ")
}

/// Returns an option as it is written on a command line.
fn option(name: &str, value: &Value) -> String {
    match value {
        Value::Bool(true) => format!("--{name}"),
        Value::String(text) if text.contains(char::is_whitespace) => format!("--{name} '{text}'"),
        Value::String(text) => format!("--{name} {text}"),
        other => format!("--{name} {other}"),
    }
}
