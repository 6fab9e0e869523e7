use std::path::{Path, PathBuf};

use super::JobError;
use super::left_out::LeftOut;
use super::reports::write_text;
use super::rows::RowResult;
use super::settings::OutputSettings;
use crate::conversation::Record;
use crate::dataset;
use crate::export::{OutputError, OutputFormat, Sink, is_directory};
use crate::files::{name_of, path_of};

/// An output of rows while it is written.
pub struct RowOutput<'a> {
    sink: Sink,
    settings: &'a OutputSettings,
}

impl<'a> RowOutput<'a> {
    /// Begins to write. The card of a directory of shards names the licence of `inputs` where the settings name none.
    pub fn create(settings: &'a OutputSettings, inputs: &[String]) -> Result<Self, JobError> {
        let license = settings.license.clone().or_else(|| dataset::common_license(inputs));
        Ok(Self { sink: Sink::create(&settings.path, settings.format)?.licensed(license), settings })
    }

    /// Writes rows without an answer too, where the format can hold them.
    #[must_use]
    pub fn keeping_unanswered(mut self, keeps: bool) -> Self {
        self.sink.keeps_unanswered = keeps;
        self
    }

    /// Writes the rows of a record. One that does not fit the format is left out; one with an empty answer is cut before it.
    pub fn write(&mut self, record: &Record) -> Result<RowResult, JobError> {
        let Some(cut) = record.cut_before_empty_answer() else { return self.write_as_it_is(record) };
        Ok(match self.write_as_it_is(&cut)? {
            RowResult::Kept(rows) => RowResult::Partly(rows, vec![LeftOut::EmptyAnswer.into()]),
            other => other,
        })
    }

    /// Writes the rows of a record as it is, for people to look at.
    pub fn write_as_it_is(&mut self, record: &Record) -> Result<RowResult, JobError> {
        Ok(match self.sink.write(record)? {
            Ok(rows) => RowResult::Kept(rows),
            Err(unfit) => RowResult::left(LeftOut::Unfit(unfit)),
        })
    }

    /// Puts the output in its place. Where no row was written, an output that has some is kept; returns true then.
    pub fn finish(self, rows: u64) -> Result<bool, JobError> {
        let keeps_old = would_empty(&self.settings.path, rows);
        if !keeps_old {
            self.sink.finish()?;
            write_companion(self.settings.format, &self.settings.path)?;
        }
        Ok(keeps_old)
    }
}

/// True where writing no row would replace an output that has some.
pub fn would_empty(path: &str, rows: u64) -> bool {
    let there = std::fs::metadata(path_of(path));
    path != "-" && rows == 0 && there.is_ok_and(|there| there.is_file() && there.len() > 0)
}

/// Writes the file that the format's trainer wants beside the output, if it wants one.
fn write_companion(format: &dyn OutputFormat, output: &str) -> Result<(), JobError> {
    let Some((path, content)) = companion(format, output)? else { return Ok(()) };
    write_text(&name_of(&path), &format!("{content:#}\n"))
}

/// Returns that file's place and content. What stands there already stays; only this output's entry is new.
pub fn companion(format: &dyn OutputFormat, output: &str) -> Result<Option<(PathBuf, serde_json::Value)>, OutputError> {
    let is_special = std::fs::metadata(path_of(output)).is_ok_and(|metadata| !metadata.is_file());
    if output == "-" || is_directory(output) || is_special {
        return Ok(None);
    }
    let output = &*path_of(output);
    let Some((name, fresh)) = format.companion(output, None) else { return Ok(None) };
    let path = output.parent().unwrap_or(Path::new("")).join(name);
    let Ok(old) = std::fs::read(&path) else { return Ok(Some((path, fresh))) };
    let damaged = |source: serde_json::Error| OutputError { path: name_of(&path), source: source.into() };
    let old = serde_json::from_slice(&old).map_err(damaged)?;
    let content = format.companion(output, Some(old)).map_or(fresh, |(_, content)| content);
    Ok(Some((path, content)))
}
