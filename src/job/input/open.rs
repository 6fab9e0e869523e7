use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::PoisonError;

use super::Spool;
use super::on_the_hub::download;
use crate::dataset::{Input, InputForm, Problem, RawRow, input_files, is_lost};
use crate::files::{name_of, path_of};
use crate::hub::HubReference;
use crate::job::settings::{InputSettings, RowsFrom};
use crate::job::{Context, JobError, JobEvent};

/// Opens every file that the input names, and writes rows of the calling program to a temporary file. Reports what of a
/// directory is read and what is not.
pub fn open_inputs(input: &InputSettings, spool: &Spool, context: &Context) -> Result<Vec<Input>, JobError> {
    let read = &input.read;
    if let Some(split) = &read.split
        && !input.sources.iter().any(is_directory)
    {
        // A configuration file may name one for other inputs.
        let words = format!("--split {split} chooses nothing: no input is a directory; files are read whole");
        context.report(JobEvent::Caution(words));
    }
    let mut opened: Vec<Input> = Vec::new();
    for source in &input.sources {
        let (names, form) = match source {
            RowsFrom::Named(name) if HubReference::is_one(name) => {
                let form = InputForm { threads: read.threads, encoding: read.encoding };
                for file in download(name, read, context)? {
                    opened.push(Input::open_as(&file.path, &file.shown, spool.path(), opened.len(), form)?);
                }
                continue;
            }
            RowsFrom::Named(name) => {
                let found = input_files(name, read.split.as_deref())?;
                found.note.into_iter().for_each(|note| context.report(JobEvent::DirectoryRead(note)));
                (found.files, InputForm { threads: read.threads, encoding: read.encoding })
            }
            RowsFrom::Iterator(_) => {
                let form = InputForm { threads: read.threads, encoding: None };
                (vec![spool_rows(source, spool, opened.len())?], form)
            }
        };
        for name in names {
            opened.push(Input::open(&name, spool.path(), opened.len(), form)?);
        }
    }
    Ok(opened)
}

fn is_directory(source: &RowsFrom) -> bool {
    matches!(source, RowsFrom::Named(name) if HubReference::is_one(name) || path_of(name).is_dir())
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
    Ok(name_of(&path))
}

/// Passes the rows of `source`, at most `limit`, to `take`, and returns how many there were.
pub fn each_row(
    source: &Input,
    limit: u64,
    mut take: impl FnMut(Result<RawRow<'_>, Problem>) -> Result<(), JobError>,
) -> Result<u64, JobError> {
    let unreadable = |error: std::io::Error| {
        let message = format!("cannot read {}: {error}", source.name);
        if is_lost(&error) {
            JobError::unavailable(message, "run the same command again when the file can be read")
        } else {
            JobError::usage(message, "name files that exist and can be read")
        }
    };
    let mut rows = source.rows().map_err(unreadable)?;
    let mut count = 0;
    while count < limit {
        let Some(row) = rows.next().map_err(unreadable)? else { break };
        take(row)?;
        count += 1;
    }
    source.file().release();
    Ok(count)
}
