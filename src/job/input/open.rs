use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::PoisonError;

use super::Spool;
use crate::dataset::{Input, Problem, RawRow, input_files};
use crate::job::JobError;
use crate::job::settings::{InputSettings, RowsFrom};

/// Opens every file that the input names, and writes rows of the calling program to a temporary file.
pub fn open_inputs(input: &InputSettings, spool: &Spool) -> Result<Vec<Input>, JobError> {
    let mut opened: Vec<Input> = Vec::new();
    for source in &input.sources {
        let names = match source {
            RowsFrom::Named(name) => input_files(name)?,
            RowsFrom::Iterator(_) => vec![spool_rows(source, spool, opened.len())?],
        };
        for name in names {
            opened.push(Input::open(&name, spool.path(), opened.len(), input.read.threads)?);
        }
    }
    Ok(opened)
}

/// Writes the rows of an iterator as JSON lines, and returns the file's name. The iterator is used up.
fn spool_rows(source: &RowsFrom, spool: &Spool, number: usize) -> Result<String, JobError> {
    let path = spool.path().join(format!("rows-{number}.jsonl"));
    let write = || -> std::io::Result<()> {
        let mut file = BufWriter::new(File::create(&path)?);
        if let RowsFrom::Iterator(rows) = source {
            let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
            for row in rows.by_ref() {
                writeln!(file, "{row}")?;
            }
        }
        file.flush()
    };
    write().map_err(|error| spool.unwritable(&error))?;
    Ok(path.display().to_string())
}

/// Passes the rows of `source`, at most `limit`, to `take`, and returns how many there were.
pub fn each_row(
    source: &Input,
    limit: u64,
    mut take: impl FnMut(Result<RawRow<'_>, Problem>) -> Result<(), JobError>,
) -> Result<u64, JobError> {
    let unreadable = |error: std::io::Error| {
        JobError::usage(format!("cannot read {}: {error}", source.name), "name files that exist and can be read")
    };
    let mut rows = source.rows().map_err(unreadable)?;
    let mut count = 0;
    while count < limit {
        let Some(row) = rows.next().map_err(unreadable)? else { break };
        take(row)?;
        count += 1;
    }
    Ok(count)
}
