//! What was asked, for `show` and `view`: the line says it, or the log of the store's last run.

use std::path::Path;

use clap::Args;
use cohobate::job::{Asked, AskedJob, InputNow, JobError, LoggedRun, RunHistory, path_of};

use super::again::job_of;
use super::last_run::{inputs_of, settings_of};
use super::options::{DistillOptions, Options};

/// Commands that ask, and whose conversations can be shown.
const ASKING: [&str; 5] = ["distill", "evaluate", "compare", "simulate", "tutor"];

/// What was asked, so that rows and answers are found again.
#[derive(Args)]
pub struct AskedLine {
    /// The conversations that the run read [default: those of the last run, which its log names]
    #[arg(long, value_name = "FILE")]
    pub input: Vec<String>,

    /// The teacher that answered [default: the teacher and the settings of the last run]
    #[arg(long, value_name = "MODEL")]
    pub teacher: Option<String>,

    #[command(flatten)]
    pub options: DistillOptions,
}

impl AskedLine {
    /// Returns what was asked of a store. Where the log does not say, that is no error: the store is shown without rows.
    pub fn asked(&self, options: &Options, store: &Path) -> Result<Asked, JobError> {
        let is_bare = self.teacher.is_none() && !self.options.has_settings();
        let run = last_run(options, store)?;
        match run {
            Some(run) if is_bare => {
                Ok(self.of_run(&run, store).unwrap_or_else(|error| Asked::Unknown(error.to_string())))
            }
            run => self.of_line(options, run.as_ref()),
        }
    }

    /// The line says what was asked.
    fn of_line(&self, options: &Options, last: Option<&LoggedRun>) -> Result<Asked, JobError> {
        let teacher = self.teacher.as_deref().or(options.teacher.as_deref());
        let (input, cautions) = match last {
            Some(run) => match self.inputs(run) {
                Ok(inputs) => inputs,
                Err(error) => return Ok(Asked::Unknown(error.to_string())),
            },
            None if self.input.is_empty() => {
                return Ok(Asked::Unknown("the input and the settings of the run are not known".to_owned()));
            }
            None => (self.input.clone(), Vec::new()),
        };
        if teacher.is_none() {
            let hint = "name it with --teacher, as the run did; the other options of the run belong here too";
            return Err(JobError::usage("--input shows what a teacher was asked, and none is named", hint));
        }
        Ok(Asked::Known { job: Box::new(distilled(options, teacher, &input)?), cautions })
    }

    /// A run's log says what was asked.
    fn of_run(&self, run: &LoggedRun, store: &Path) -> Result<Asked, JobError> {
        let (input, cautions) = self.inputs(run)?;
        let job = if run.begin.command == "distill" {
            let options = self.options.resolve_on(&settings_of(run)?)?;
            let teacher = run.begin.options.get("teacher").and_then(serde_json::Value::as_str);
            distilled(&options, teacher, &input)?
        } else {
            job_of(run, &input, store)?
        };
        Ok(Asked::Known { job: Box::new(job), cautions })
    }

    /// Returns the inputs that the line names, or those of a run that are there, and what is different from when it read them.
    fn inputs(&self, run: &LoggedRun) -> Result<(Vec<String>, Vec<String>), JobError> {
        if self.input.is_empty() { Ok(present(inputs_of(run)?, run)) } else { Ok((self.input.clone(), Vec::new())) }
    }
}

/// Returns a distillation of these inputs.
fn distilled(options: &Options, teacher: Option<&str>, input: &[String]) -> Result<AskedJob, JobError> {
    let questions = Box::new(options.questions_offline(teacher)?);
    Ok(AskedJob::Distill { input: Box::new(options.asked_input(input)?), questions })
}

/// Returns the run that is shown: the one of the number that the line gives, else the last one that asked.
fn last_run(options: &Options, store: &Path) -> Result<Option<LoggedRun>, JobError> {
    let mut runs = RunHistory::read(store, 0).runs.into_iter().rev();
    // A run that never asked has no answers.
    let asks = |run: &LoggedRun| ASKING.contains(&run.begin.command.as_str()) && !run.store_runs.is_empty();
    // A name in the configuration file is that of a run of a shared store.
    let Some(given) = options.run.as_deref().filter(|_| !options.places.contains_key("run")) else {
        return Ok(runs.find(asks));
    };
    let hint = "`cohobate status` lists the runs";
    let number: u32 = given.parse().map_err(|_| JobError::usage(format!("--run {given} is not a number"), hint))?;
    runs.find(|run| run.run == number && asks(run))
        .map(Some)
        .ok_or_else(|| JobError::usage(format!("the log of {} has no run {number} that asked", store.display()), hint))
}

/// Returns the inputs that are there, and what is different from when the run read them. Where none is there all are named, so
/// that the error says which.
fn present(names: Vec<String>, run: &LoggedRun) -> (Vec<String>, Vec<String>) {
    let is_gone = |name: &String| !name.contains(['*', '?', '[']) && !path_of(name).exists();
    let (gone, there): (Vec<String>, Vec<String>) = names.into_iter().partition(is_gone);
    let mut cautions: Vec<String> =
        gone.iter().map(|name| format!("{name}, which run {} read, is missing", run.run)).collect();
    for input in &run.inputs {
        let is_named =
            |name: &String| input.path.as_ref().is_some_and(|path| path.ends_with(name.trim_start_matches("./")));
        match input.now() {
            Some(InputNow::Changed) => {
                cautions.push(format!(
                    "{} was changed after run {} had read it; rows are shown as they are now",
                    input.name, run.run
                ));
            }
            Some(InputNow::Missing) if !gone.iter().any(is_named) => {
                cautions.push(format!("{}, which run {} read, is missing", input.name, run.run));
            }
            _ => {}
        }
    }
    if there.is_empty() { (gone, cautions) } else { (there, cautions) }
}
