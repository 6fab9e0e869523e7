use super::JobError;
use super::left_out::LeftOut;
use super::row_place::RowPlace;
use crate::export::{Incomplete, OutputFile, incomplete_row};

/// A row that is left out or cut, with how far it got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Why.
    pub why: LeftOut,
    /// Which file or pass it concerns, where a job has several.
    pub part: Option<String>,
    /// Turns that have a complete answer.
    pub turns_answered: u32,
    /// Turns of the source row.
    pub turns: u32,
    /// The list that the row is written to, where a job has several.
    pub list: usize,
}

impl From<LeftOut> for Left {
    fn from(why: LeftOut) -> Self {
        Self { why, part: None, turns_answered: 0, turns: 0, list: 0 }
    }
}

/// The list of rows that are left out or cut. The file is made with its first row; without one, the list of an
/// earlier run is removed.
pub struct LeftOutList {
    path: Option<String>,
    file: Option<OutputFile>,
    count: u64,
}

/// A list that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Where.
    pub path: String,
    /// Its rows.
    pub rows: u64,
}

impl LeftOutList {
    /// The list beside an output, `OUT.incomplete.jsonl`; none for standard output.
    pub fn beside(output: &str) -> Self {
        let path = (output != "-").then(|| format!("{}.incomplete.jsonl", output.trim_end_matches('/')));
        Self { path, file: None, count: 0 }
    }

    /// The list of a directory of outputs.
    pub fn within(directory: &str) -> Self {
        Self { path: Some(format!("{directory}/incomplete.jsonl")), file: None, count: 0 }
    }

    /// Writes a row.
    pub fn add(&mut self, place: &RowPlace<'_>, id: Option<&str>, left: &Left) -> Result<(), JobError> {
        self.count += 1;
        let Some(path) = &self.path else { return Ok(()) };
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(OutputFile::create(path)?),
        };
        let reason = match &left.part {
            Some(part) => format!("{part}: {}", left.why),
            None => left.why.to_string(),
        };
        let row = Incomplete {
            id,
            source: place.source,
            line: place.line,
            kind: left.why.kind(),
            reason: &reason,
            turns_answered: left.turns_answered,
            turns: left.turns,
        };
        let mut line = Vec::new();
        incomplete_row(&row, &mut line);
        Ok(file.write(&line)?)
    }

    /// Puts the list in its place, and returns where it is if it has rows.
    pub fn finish(self) -> Result<Option<Listed>, JobError> {
        match (self.file, self.path) {
            (Some(file), Some(path)) => {
                file.finish()?;
                Ok(Some(Listed { path, rows: self.count }))
            }
            (None, Some(path)) => {
                let _ = std::fs::remove_file(path);
                Ok(None)
            }
            (_, None) => Ok(None),
        }
    }
}
