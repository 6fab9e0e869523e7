use super::input::RecordStream;
use super::settings::InputSettings;
use super::{Context, JobError};
use crate::dataset::Census;

/// Counts what a dataset holds, and what a run would make of it. Uses no model and no store.
pub fn inspect(input: &InputSettings, context: &Context) -> Result<Census, JobError> {
    let rows = RecordStream::open(input, context)?;
    let mut census = Census::default();
    rows.each_raw(&mut |_, row| {
        match row {
            Ok(row) => census.add(rows.reader(), row.bytes),
            Err(problem) => census.add_broken(&problem.reason),
        }
        Ok(())
    })?;
    Ok(census)
}
