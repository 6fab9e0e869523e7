use super::JobError;
use super::left_out::LeftOut;
use super::list_file::ListFile;
use super::row_place::RowPlace;
use crate::export::{Incomplete, incomplete_row};

pub use super::list_file::Listed;

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

/// The list of rows that are left out or cut.
pub struct LeftOutList {
    file: ListFile,
}

impl LeftOutList {
    /// The list beside an output, `OUT.incomplete.jsonl`; none for standard output.
    pub fn beside(output: &str) -> Self {
        Self { file: ListFile::beside(output, "incomplete") }
    }

    /// The list of a directory of outputs.
    pub fn within(directory: &str) -> Self {
        Self { file: ListFile::at(format!("{directory}/incomplete.jsonl")) }
    }

    /// Writes a row.
    pub fn add(&mut self, place: &RowPlace<'_>, id: Option<&str>, left: &Left) -> Result<(), JobError> {
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
        self.file.write(|line| incomplete_row(&row, line))
    }

    /// Puts the list in its place, and returns where it is if it has rows.
    pub fn finish(self) -> Result<Option<Listed>, JobError> {
        self.file.finish()
    }
}
