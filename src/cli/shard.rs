//! `--shard`: which part of the input this machine takes, and the names of files that are its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cohobate::job::{InputSettings, JobError, STORE, Shard};

use super::choices::ShardChoice;
use super::environment::{self, ArrayVariables};
use super::options::Options;

/// What stands for the shard in names of files.
const PLACEHOLDER: &str = "{shard}";

impl Options {
    /// Works out which shard is meant. One that the line gives, not the last run's, decides where the store is too.
    pub(super) fn settle_shard(&mut self, is_given: bool) -> Result<(), JobError> {
        let shard = match self.shard {
            None => None,
            Some(ShardChoice::One(shard)) => Some(shard),
            Some(ShardChoice::Auto(count)) => Some(shard_of(&environment::array(), count)?),
        };
        if let Some(shard) = shard {
            self.shard = Some(ShardChoice::One(shard));
            self.recorded.insert("shard".to_owned(), shard.to_string().into());
        }
        self.names_shard = is_given && shard.is_some();
        match &self.store {
            None if self.names_shard => {
                let name = shard.map(|shard| format!("shard-{}", shard.file_name())).unwrap_or_default();
                self.store = Some(Path::new(STORE).join(name));
            }
            Some(store) if store.to_str().is_some_and(|store| store.contains(PLACEHOLDER)) => {
                let store = store.to_string_lossy().into_owned();
                self.store = Some(PathBuf::from(self.with_shard("store", &store)?));
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns the shard, where rows are cut into shards.
    pub fn shard(&self) -> Option<Shard> {
        match self.shard {
            Some(ShardChoice::One(shard)) => Some(shard),
            _ => None,
        }
    }

    /// Returns which rows are asked about, and how they are read.
    pub fn asked_input(&self, names: &[String]) -> Result<InputSettings, JobError> {
        let mut input = self.input(names)?;
        input.read.shard = self.shard();
        Ok(input)
    }

    /// Returns the name of a file that a shard writes: `{shard}` becomes `03-of-16`. On a shared file system the same name for
    /// every shard would leave the rows of one of them, so it is refused.
    pub fn placed(&self, option: &str, path: &str) -> Result<String, JobError> {
        if let (Some(shard), true) = (self.shard(), self.names_shard)
            && path != "-"
            && !path.contains(PLACEHOLDER)
            && !names_number(path, shard.number())
        {
            let message = format!("every shard would write {path}, and only the last one would remain");
            let hint =
                format!("write {PLACEHOLDER} into the name that --{option} gives: it becomes {}", shard.file_name());
            return Err(JobError::usage(message, hint));
        }
        self.with_shard(option, path)
    }

    /// Returns the place of an output that may be the one for lines that name none.
    pub fn placed_or_default(&self, path: &str, unnamed: &str) -> Result<String, JobError> {
        if path == unnamed { Ok(self.default_output(path)) } else { self.placed("output", path) }
    }

    /// Returns where rows go that the line does not place: `distilled.jsonl`, for a shard `distilled-03-of-16.jsonl`.
    pub fn default_output(&self, name: &str) -> String {
        match self.shard().filter(|_| self.names_shard) {
            None => name.to_owned(),
            Some(shard) => match name.rsplit_once('.') {
                Some((stem, ending)) => format!("{stem}-{}.{ending}", shard.file_name()),
                None => format!("{name}-{}", shard.file_name()),
            },
        }
    }

    fn with_shard(&self, option: &str, path: &str) -> Result<String, JobError> {
        match self.shard() {
            Some(shard) => Ok(path.replace(PLACEHOLDER, &shard.file_name())),
            None if path.contains(PLACEHOLDER) => {
                let message = format!("--{option} {path} names a shard, and there is none");
                Err(JobError::usage(
                    message,
                    format!("add --shard I/N, or write another name in place of {PLACEHOLDER}"),
                ))
            }
            None => Ok(path.to_owned()),
        }
    }
}

/// True where one of the numbers in a name is this one.
fn names_number(path: &str, number: u32) -> bool {
    path.split(|letter: char| !letter.is_ascii_digit()).any(|digits| digits.parse() == Ok(number))
}

/// Returns the shard that the variables of a Slurm array or of a Kubernetes job name.
fn shard_of(variables: &ArrayVariables, count: Option<u32>) -> Result<Shard, JobError> {
    let variables = Array(variables);
    match (variables.has("SLURM_ARRAY_TASK_ID"), variables.has("JOB_COMPLETION_INDEX"), count) {
        (true, false, _) => variables.of_slurm(count),
        (false, true, Some(count)) => variables.of_kubernetes(count),
        (false, true, None) => Err(JobError::usage(
            "--shard auto: Kubernetes gives JOB_COMPLETION_INDEX, and not how many completions there are",
            "write --shard auto/N with the N of `completions: N`",
        )),
        (true, true, _) => Err(JobError::usage(
            "--shard auto: SLURM_ARRAY_TASK_ID and JOB_COMPLETION_INDEX are both set",
            "write the shard as --shard I/N, or unset the variable that does not apply",
        )),
        (false, false, _) => Err(JobError::usage(
            "--shard auto: neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set",
            "start the program in a Slurm array or an indexed job of Kubernetes, or write --shard I/N",
        )),
    }
}

struct Array<'a>(&'a BTreeMap<&'static str, String>);

impl Array<'_> {
    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn number(&self, name: &str) -> Result<u32, JobError> {
        let fault = |message: String| JobError::usage(message, "write the shard as --shard I/N");
        let text = self.0.get(name).ok_or_else(|| fault(format!("--shard auto: {name} is not set")))?;
        text.parse().map_err(|_| fault(format!("--shard auto: {name} is `{text}`, which is not a number")))
    }

    fn of_slurm(&self, wanted: Option<u32>) -> Result<Shard, JobError> {
        let [id, first, count] =
            ["SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_COUNT"].map(|name| self.number(name));
        let (id, first, count) = (id?, first?, count?);
        // An array without steps need not have the variable.
        let step = if self.has("SLURM_ARRAY_TASK_STEP") { self.number("SLURM_ARRAY_TASK_STEP")?.max(1) } else { 1 };
        if let Some(wanted) = wanted.filter(|wanted| *wanted != count) {
            return Err(JobError::usage(
                format!("--shard auto/{wanted}: the Slurm array has {count} tasks"),
                format!("submit the array with {wanted} tasks; for some tasks of it again, write --shard I/{wanted}"),
            ));
        }
        let at = id.checked_sub(first).filter(|at| at % step == 0).map(|at| at / step);
        at.and_then(|at| Shard::new(at.checked_add(1)?, count).ok()).ok_or_else(|| {
            JobError::usage(
                format!("--shard auto: task {id} is none of {count} tasks from {first} in steps of {step}"),
                "submit an array without gaps, such as --array=1-16, or write --shard I/N",
            )
        })
    }

    fn of_kubernetes(&self, count: u32) -> Result<Shard, JobError> {
        let index = self.number("JOB_COMPLETION_INDEX")?;
        index.checked_add(1).and_then(|number| Shard::new(number, count).ok()).ok_or_else(|| {
            JobError::usage(
                format!(
                    "--shard auto/{count}: JOB_COMPLETION_INDEX is {index}, and the last of {count} is {}",
                    count - 1
                ),
                "write --shard auto/N with the N of `completions: N`",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&'static str, &str)], count: Option<u32>) -> Result<String, String> {
        let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        shard_of(&variables, count).map(|shard| shard.to_string()).map_err(|error| error.message)
    }

    fn slurm(id: &str, first: &str, count: &str, step: Option<&str>, wanted: Option<u32>) -> Result<String, String> {
        let mut variables =
            vec![("SLURM_ARRAY_TASK_ID", id), ("SLURM_ARRAY_TASK_MIN", first), ("SLURM_ARRAY_TASK_COUNT", count)];
        variables.extend(step.map(|step| ("SLURM_ARRAY_TASK_STEP", step)));
        found(&variables, wanted)
    }

    #[test]
    fn a_task_of_an_array_is_counted_from_the_first_one() {
        assert_eq!(slurm("3", "1", "16", Some("1"), None).as_deref(), Ok("3/16"));
        assert_eq!(slurm("0", "0", "16", None, None).as_deref(), Ok("1/16"));
        assert_eq!(slurm("15", "0", "16", None, Some(16)).as_deref(), Ok("16/16"));
        assert_eq!(slurm("30", "10", "4", Some("10"), None).as_deref(), Ok("3/4"));
    }

    #[test]
    fn variables_that_contradict_each_other_name_no_shard() {
        let fault = |result: Result<String, String>| result.unwrap_err();
        let gap = "--shard auto: task 7 is none of 3 tasks from 1 in steps of 1";
        assert_eq!(fault(slurm("7", "1", "3", Some("1"), None)), gap);
        assert_eq!(fault(slurm("0", "1", "3", None, None)), gap.replace('7', "0"));
        assert_eq!(
            fault(slurm("15", "10", "4", Some("10"), None)),
            "--shard auto: task 15 is none of 4 tasks from 10 in steps of 10"
        );
        assert_eq!(fault(slurm("7", "7", "1", None, Some(16))), "--shard auto/16: the Slurm array has 1 tasks");
        assert_eq!(
            fault(slurm("three", "1", "3", None, None)),
            "--shard auto: SLURM_ARRAY_TASK_ID is `three`, which is not a number"
        );
        assert_eq!(
            fault(found(&[("SLURM_ARRAY_TASK_ID", "3")], None)),
            "--shard auto: SLURM_ARRAY_TASK_MIN is not set"
        );
        assert!(fault(found(&[], Some(4))).contains("neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX"));
        assert!(
            fault(found(&[("SLURM_ARRAY_TASK_ID", "3"), ("JOB_COMPLETION_INDEX", "1")], None)).contains("both set")
        );
    }

    #[test]
    fn a_completion_is_counted_from_zero_and_needs_their_number() {
        let kubernetes = |index, count| found(&[("JOB_COMPLETION_INDEX", index)], count);
        assert_eq!(kubernetes("0", Some(16)).as_deref(), Ok("1/16"));
        assert_eq!(kubernetes("15", Some(16)).as_deref(), Ok("16/16"));
        assert!(kubernetes("16", Some(16)).unwrap_err().contains("the last of 16 is 15"));
        assert!(kubernetes("0", None).unwrap_err().contains("not how many completions"));
    }

    #[test]
    fn each_shard_writes_files_of_its_own() {
        let shard = "3/16".parse().ok();
        let of_line = Options { shard, names_shard: true, ..Options::default() };
        assert_eq!(of_line.placed("output", "out-{shard}.jsonl").unwrap(), "out-03-of-16.jsonl");
        for path in ["-", "out-3.jsonl", "shards/03/out.jsonl"] {
            assert_eq!(of_line.placed("output", path).unwrap(), path);
        }
        assert!(of_line.placed("output", "out.jsonl").is_err() && of_line.placed("output", "out-13.jsonl").is_err());
        assert_eq!(of_line.default_output("distilled.jsonl"), "distilled-03-of-16.jsonl");
        assert_eq!(of_line.default_output("tutored"), "tutored-03-of-16");
        let of_last_run = Options { shard, ..Options::default() };
        assert_eq!(of_last_run.placed("output", "out.jsonl").unwrap(), "out.jsonl");
        assert_eq!(of_last_run.placed("output", "out-{shard}.jsonl").unwrap(), "out-03-of-16.jsonl");
        let whole = Options::default();
        assert_eq!(whole.placed("output", "out.jsonl").unwrap(), "out.jsonl");
        assert!(whole.placed("output", "out-{shard}.jsonl").is_err());
        assert_eq!(whole.default_output("distilled.jsonl"), "distilled.jsonl");
    }
}
