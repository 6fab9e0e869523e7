//! Parquet and Arrow. A row's place is its number.

#[cfg(feature = "parquet")]
pub use reading::write_rows;

#[cfg(feature = "parquet")]
mod reading {
    use std::fs::File;
    use std::io::{BufReader, Seek, Write};

    use arrow_array::{RecordBatch, RecordBatchReader};
    use arrow_ipc::reader::{FileReader, StreamReader};
    use arrow_json::WriterBuilder;
    use arrow_json::writer::LineDelimited;
    use arrow_schema::ArrowError;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::super::{Container, Fault, arrow_sizes};

    /// Rows per batch. It is small because conversations may be long.
    const BATCH_ROWS: usize = 128;

    /// Writes the rows of a file, one JSON object a line.
    pub fn write_rows(container: Container, file: File, out: &mut dyn Write) -> Result<(), Fault> {
        let mut reader = BufReader::new(&file);
        let checked = match container {
            Container::ArrowFile => arrow_sizes::check_file(&mut reader)?,
            Container::ArrowStream => arrow_sizes::check_stream(&mut reader)?,
            _ => Ok(()),
        };
        checked.map_err(|part| unopened(format!("{part} has a length that cannot be right")))?;
        reader.rewind()?;
        let batches: Box<dyn RecordBatchReader> = match container {
            Container::ArrowFile => Box::new(FileReader::try_new(BufReader::new(file), None).map_err(unopened)?),
            Container::ArrowStream => Box::new(StreamReader::try_new(BufReader::new(file), None).map_err(unopened)?),
            _ => {
                let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(unopened)?;
                Box::new(builder.with_batch_size(BATCH_ROWS).build().map_err(unopened)?)
            }
        };
        let mut rows = 0;
        for batch in batches {
            let batch = batch.map_err(|error| damaged(rows, error))?;
            write_batch(&batch, out).map_err(|error| damaged(rows, error))?;
            rows += batch.num_rows();
        }
        Ok(())
    }

    fn unopened(error: impl std::fmt::Display) -> Fault {
        Fault::new(error.to_string(), Fault::DAMAGED)
    }

    fn damaged(rows: usize, error: ArrowError) -> Fault {
        match error {
            ArrowError::IoError(_, source) => source.into(),
            error => unopened(format!("it cannot be read behind row {rows}: {error}")),
        }
    }

    /// Arrow files may hold all rows in one batch. It is written in slices, so that its JSON is never in memory at once.
    fn write_batch(batch: &RecordBatch, out: &mut dyn Write) -> Result<(), ArrowError> {
        for start in (0..batch.num_rows()).step_by(BATCH_ROWS) {
            let slice = batch.slice(start, BATCH_ROWS.min(batch.num_rows() - start));
            let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut *out);
            writer.write(&slice)?;
            writer.finish()?;
        }
        Ok(())
    }
}

#[cfg(not(feature = "parquet"))]
pub fn write_rows(_: super::Container, _: std::fs::File, _: &mut dyn std::io::Write) -> Result<(), super::Fault> {
    let reason = "this program was built without Parquet and Arrow";
    Err(super::Fault::new(reason, "build it with the feature `parquet`"))
}
