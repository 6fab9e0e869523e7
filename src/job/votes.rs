use std::path::Path;

use super::input::RecordStream;
use super::settings::InputSettings;
use super::{Context, JobError};
use crate::conversation::Vote;
use crate::dataset::read_vote;
use crate::report::AgreementReport;

/// Compares a judge's votes with people's votes on the same items.
pub fn agreement(judge: &[String], human: &[String]) -> Result<AgreementReport, JobError> {
    let report = AgreementReport::of(&read_votes(judge)?, &read_votes(human)?);
    if report.majority.items == 0 {
        return Err(JobError::usage(
            "the two have no item in common",
            "an item is in common where its name, its turn and both systems' names are the same in both files",
        ));
    }
    Ok(report)
}

/// Reads all votes of some files. An invalid one is an error: shares of the rest would be wrong.
pub fn read_votes(files: &[String]) -> Result<Vec<Vote>, JobError> {
    let rows = RecordStream::open(&InputSettings::files(files), &Context::default())?;
    let mut votes = Vec::new();
    rows.each_raw(&mut |source, row| {
        let stem = Path::new(source).file_stem().map_or("judge".into(), |stem| stem.to_string_lossy());
        let (line, read) = match row {
            Ok(row) => (row.line, read_vote(row.bytes, &stem)),
            Err(problem) => (problem.line, Err(problem.reason)),
        };
        votes.extend(read.map_err(|reason| {
            JobError::usage(
                format!("{source}: row {line}: {reason}"),
                "fix the row; `cohobate agreement --help` shows what it must have",
            )
        })?);
        Ok(())
    })?;
    Ok(votes)
}
