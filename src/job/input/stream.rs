use std::cell::RefCell;
use std::collections::BTreeMap;

use super::Spool;
use super::open::{each_row, open_inputs};
use crate::conversation::Record;
use crate::dataset::{Input, Notes, Origin, Problem, RawRow, RowReader, Unread};
use crate::job::left_out::LeftOut;
use crate::job::row_place::RowPlace;
use crate::job::rows::{TakeRow, VisitRows};
use crate::job::settings::InputSettings;
use crate::job::{Context, JobError};

/// Takes the bytes of rows, with the name of their input.
pub type TakeRaw<'a> = dyn FnMut(&str, Result<RawRow<'_>, Problem>) -> Result<(), JobError> + 'a;

/// Rows as records, read as a stream without an index; it can be read more than once.
pub struct RecordStream {
    inputs: Vec<Input>,
    reader: RowReader,
    limit: u64,
    /// What was done to read the rows.
    notes: RefCell<Notes>,
    /// Holds what cannot be read twice otherwise.
    spool: Spool,
}

impl RecordStream {
    /// Opens the inputs.
    pub fn open(input: &InputSettings, context: &Context) -> Result<Self, JobError> {
        if let Some(shard) = input.read.shard {
            let hint = "leave out the shard; only jobs that ask questions cut their input";
            return Err(JobError::usage(format!("shard {shard}: this job asks nothing, and reads all rows"), hint));
        }
        let spool = Spool::temporary()?;
        let inputs = open_inputs(input, &spool, context)?;
        let read = &input.read;
        let limit = read.limit.unwrap_or(u64::MAX);
        Ok(Self { inputs, reader: read.reader.clone(), limit, notes: RefCell::default(), spool })
    }

    /// Returns where temporary files go.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// Returns how rows are read.
    pub fn reader(&self) -> &RowReader {
        &self.reader
    }

    /// Returns what was done to read the rows so far, by rule.
    pub fn changed(&self) -> BTreeMap<String, u64> {
        self.notes.borrow().counts().map(|(rule, count)| (rule.to_owned(), count)).collect()
    }

    /// Passes the bytes of each row to `take`.
    pub fn each_raw(&self, take: &mut TakeRaw<'_>) -> Result<(), JobError> {
        let mut left = self.limit;
        for source in &self.inputs {
            left -= each_row(source, left, |row| take(&source.name, row))?;
        }
        Ok(())
    }
}

impl VisitRows for RecordStream {
    type Row = Record;

    fn visit(&self, take: &mut TakeRow<'_, Record>) -> Result<(), JobError> {
        let mut number = 0;
        self.each_raw(&mut |source, row| {
            let line = row.as_ref().map_or_else(|problem| problem.line, |row| row.line);
            let (id, read) = read_record(row, source, &self.reader, &mut self.notes.borrow_mut());
            let place = RowPlace { source, line, row: number, id: id.as_deref() };
            number += 1;
            take(place, read)
        })
    }
}

/// Reads a row as a record; its id where it has one, and why it is no record.
pub fn read_record(
    row: Result<RawRow<'_>, Problem>,
    file: &str,
    reader: &RowReader,
    notes: &mut Notes,
) -> (Option<String>, Result<Record, LeftOut>) {
    let source = row.map_err(|problem| problem.reason).and_then(|row| {
        let origin = Origin { file, line: row.line };
        reader.source_at(row.bytes, Some(origin), &mut Unread::default())
    });
    match source {
        Err(reason) => (None, Err(LeftOut::Invalid(reason))),
        Ok(source) => {
            let id = source.id.clone();
            notes.add(&source.notes);
            (id, source.into_record(&reader.rules).map_err(LeftOut::NoRecord))
        }
    }
}
