use std::path::Path;

use serde_json::{Map, Value};

use super::input::RecordStream;
use super::settings::InputSettings;
use super::{Context, JobError};
use crate::conversation::Vote;
use crate::dataset::{Judgment, read_judgment};
use crate::report::{Judgments, JudgmentsReport};
use crate::statistics::LengthBaseline;

/// The settings of `agreement`. Of judge and people one may be missing.
#[derive(Clone, Debug, Default)]
pub struct AgreementSettings {
    /// Files with the judge's judgments.
    pub judge: Vec<String>,
    /// Files with people's.
    pub human: Vec<String>,
    /// The file of difficulties and judgments that `AlpacaEval`'s own length-controlled win rate needs.
    pub lc_baseline: Option<String>,
}

/// Reports on existing judgments: a judge's beside people's on the same items, or those of one side.
pub fn agreement(settings: &AgreementSettings) -> Result<JudgmentsReport, JobError> {
    let baseline = settings.lc_baseline.as_deref().map(read_baseline).transpose()?;
    let (judge, human) = (read_judgments(&settings.judge)?, read_judgments(&settings.human)?);
    let report = JudgmentsReport::of(&judge, &human, baseline.as_ref());
    if !settings.judge.is_empty() && !settings.human.is_empty() && report.common_count() == 0 {
        return Err(JobError::usage(
            "the two have no item in common",
            "an item is in common where its name, its turn and the systems' names are the same in both files",
        ));
    }
    if let Some(path) = settings.lc_baseline.as_deref() {
        if report.win_rates.is_empty() {
            let hint = "leave it out, or name annotations with generator_1, generator_2 and preference";
            return Err(JobError::usage(format!("--lc-baseline {path} changes nothing: there is no preference"), hint));
        }
        if let Some(rate) = report.win_rates.iter().find(|rate| rate.length_controlled.is_none()) {
            return Err(JobError::usage(
                format!("--lc-baseline {path} does not fit the annotations of {}", rate.system),
                "it must have a difficulty for each row, and the rows must have output_1 and output_2",
            ));
        }
    }
    Ok(report)
}

/// Reads all votes of some files; preferences are votes too. A row with another judgment is an error.
pub fn read_votes(files: &[String]) -> Result<Vec<Vote>, JobError> {
    let judgments = read_judgments(files)?;
    if !judgments.ratings.is_empty() {
        let message = format!("{} holds scores of single answers", files.join(", "));
        return Err(JobError::usage(message, "here votes are needed: which of two answers is better"));
    }
    Ok(judgments.votes)
}

/// Reads all judgments of some files. An invalid one is an error: shares of the rest would be wrong.
fn read_judgments(files: &[String]) -> Result<Judgments, JobError> {
    let mut judgments = Judgments::default();
    if files.is_empty() {
        return Ok(judgments);
    }
    each_row(files, "`cohobate agreement --help` shows what it must have", |source, row| {
        let stem = Path::new(source).file_stem().map_or("judge".into(), |stem| stem.to_string_lossy());
        // Of several files without names of systems each is one system's.
        let system = if files.len() > 1 { &*stem } else { "" };
        match read_judgment(row, &stem, system)? {
            Judgment::Vote(vote) => judgments.votes.push(vote),
            Judgment::Rating(rating) => judgments.ratings.push(rating),
            Judgment::Preference(preference) => {
                judgments.votes.extend(preference.vote());
                judgments.unparsed += u64::from(preference.share.is_none());
                judgments.preferences.push(preference);
            }
            Judgment::None => judgments.unparsed += 1,
        }
        Ok(())
    })?;
    Ok(judgments)
}

/// Reads the file of `--lc-baseline`: rows with `index`, `instruction_difficulty`, `preference` (0 to 1) and `std_delta_len`.
fn read_baseline(path: &str) -> Result<LengthBaseline, JobError> {
    let mut baseline = LengthBaseline::default();
    let hint = "--lc-baseline takes AlpacaEval's df_gamed.csv";
    each_row(&[path.to_owned()], hint, |_, row| {
        let row: Map<String, Value> = serde_json::from_slice(row).map_err(|error| error.to_string())?;
        let number = |name: &str| {
            let text = match row.get(name) {
                Some(Value::String(text)) => text.trim().to_owned(),
                Some(Value::Number(number)) => number.to_string(),
                _ => return Err(format!("it has no `{name}`")),
            };
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
            number.ok_or_else(|| format!("its `{name}` is `{text}`, which is not a number"))
        };
        let (index, share) = (number("index")?, number("preference")?);
        if index < 0.0 || index.fract() != 0.0 || !(0.0..=1.0).contains(&share) {
            return Err("its `index` is not a count, or its `preference` not from 0 to 1".to_owned());
        }
        baseline.add(index as u64, number("instruction_difficulty")?, share, number("std_delta_len")?);
        Ok(())
    })?;
    if baseline.is_empty() {
        return Err(JobError::usage(format!("there is no row in {path}"), hint));
    }
    Ok(baseline)
}

fn each_row(
    files: &[String],
    hint: &str,
    mut take: impl FnMut(&str, &[u8]) -> Result<(), String>,
) -> Result<(), JobError> {
    let rows = RecordStream::open(&InputSettings::files(files), &Context::default())?;
    rows.each_raw(&mut |source, row| {
        let (line, taken) = match row {
            Ok(row) => (row.line, take(source, row.bytes)),
            Err(problem) => (problem.line, Err(problem.reason)),
        };
        taken.map_err(|reason| {
            JobError::usage(format!("{source}: row {line}: {reason}"), format!("fix the row; {hint}"))
        })
    })
}
