use std::fs;

use serde_json::Value;

use super::input::{Spool, each_row, open_inputs, read_record};
use super::settings::InputSettings;
use super::{Context, JobError};
use crate::conversation::{Digest, Record};
use crate::dataset::{Notes, RawRow, RowIndex, RowIndexBuilder, RowReader, RowState};

/// The rows of files that a job has written, each to be read by its number. The index of rows is on disk.
pub struct FinishedRows {
    index: RowIndex,
    reader: RowReader,
    names: Vec<String>,
    _spool: Spool,
}

/// A row of a file.
#[derive(Debug)]
pub struct FinishedRow {
    /// The file.
    pub file: String,
    /// The line on which it begins, from 1.
    pub line: u64,
    /// Its id.
    pub id: String,
    /// What it says, or why it says nothing.
    pub record: Result<Record, String>,
}

impl FinishedRows {
    /// Reads the files once to find where each row begins.
    pub fn open(names: &[String]) -> Result<Self, JobError> {
        let input = InputSettings::files(names);
        let spool = Spool::temporary()?;
        let sources = open_inputs(&input, &spool, &Context::default())?;
        let unwritable = |error: std::io::Error| JobError::unexpected(format!("cannot write the row index: {error}"));
        let mut index = RowIndexBuilder::new(spool.path()).map_err(unwritable)?;
        for source in &sources {
            index.add_source(source);
            each_row(source, u64::MAX, |row| {
                let problem = |line| (RawRow { bytes: &[], line, offset: 0 }, RowState::Invalid);
                let (row, state) = row.map_or_else(|fault| problem(fault.line), |row| (row, RowState::Skipped));
                index.push(&row, state).map_err(unwritable)
            })?;
        }
        let index = index.finish().map_err(unwritable)?;
        Ok(Self { index, reader: RowReader::default(), names: names.to_vec(), _spool: spool })
    }

    /// Returns how many rows there are.
    pub fn len(&self) -> u64 {
        self.index.row_count()
    }

    /// True without a row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns a hash of the files by name, length and time.
    pub fn identity(&self) -> String {
        let stamp = |name: &String| {
            let metadata = fs::metadata(name).ok().map(|metadata| (metadata.len(), metadata.modified().ok()));
            format!("{name} {metadata:?}")
        };
        let text = self.names.iter().map(stamp).collect::<Vec<_>>().join("\n");
        Digest::of_text("cohobate view rows 1", &text).to_string()[..32].to_owned()
    }

    /// Returns what became of the files since they were read, in words.
    pub fn file_changes(&self) -> Vec<String> {
        self.index.changes().map(|(name, change)| change.words(name)).collect()
    }

    /// Reads a row as a conversation.
    pub fn row(&self, row: u64) -> Result<FinishedRow, JobError> {
        let entry = self.index.entry(row)?;
        let file = self.index.source_name(entry.source).to_owned();
        let named = format!("row {}", row + 1);
        let bytes = match self.index.bytes(&entry) {
            Err(error) => {
                return Ok(FinishedRow { file, line: entry.line, id: named, record: Err(error.to_string()) });
            }
            Ok(bytes) => bytes,
        };
        let raw = RawRow { bytes: &bytes, line: entry.line, offset: 0 };
        let (id, record) = read_record(Ok(raw), &file, &self.reader, &mut Notes::default());
        let id = id.or_else(|| record.as_ref().ok().map(|record| record.id.clone())).unwrap_or(named);
        Ok(FinishedRow { line: entry.line, id, record: record.map_err(|why| why.to_string()), file })
    }

    /// Reads a row as a JSON object; nothing where it is another value.
    pub fn value(&self, row: u64) -> Result<Option<Value>, JobError> {
        let entry = self.index.entry(row)?;
        Ok(self.index.bytes(&entry).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }
}
