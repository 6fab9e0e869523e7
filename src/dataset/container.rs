//! Containers other than JSON. They are converted to JSON lines first, with one batch of rows in memory.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::Path;

use serde_json::{Map, Value};

/// The container format of an uncompressed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// JSON lines, or one JSON array.
    Json,
    /// Values separated by this byte, with a header row.
    Separated(u8),
    /// Parquet.
    Parquet,
    /// An Arrow IPC file.
    ArrowFile,
    /// An Arrow IPC stream, as in the cache of `datasets`.
    ArrowStream,
}

/// First bytes of files in none of these formats.
const FOREIGN: &[(&[u8], &str)] =
    &[(b"PK\x03\x04", "a zip file"), (b"\x89PNG", "a picture"), (b"SQLite", "a database")];

impl Container {
    /// Recognises a container by its first bytes. Formats without a signature are recognised by the file name.
    pub fn of(head: &[u8], name: &str) -> Result<Self, String> {
        let name = name.to_lowercase();
        let stem =
            [".gz", ".zst", ".bz2"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name).to_owned();
        if let Some((_, kind)) = FOREIGN.iter().find(|(magic, _)| head.starts_with(magic)) {
            return Err(format!("it is {kind}; supported are JSON, CSV, Parquet and Arrow files"));
        }
        let ending = Path::new(&stem).extension().and_then(|ending| ending.to_str());
        Ok(match head {
            _ if head.starts_with(b"PAR1") => Self::Parquet,
            _ if head.starts_with(b"ARROW1") => Self::ArrowFile,
            // The continuation marker before the first message (Arrow columnar format, IPC streaming).
            _ if head.starts_with(&[0xff, 0xff, 0xff, 0xff]) => Self::ArrowStream,
            _ if ending == Some("csv") => Self::Separated(b','),
            _ if ending == Some("tsv") => Self::Separated(b'\t'),
            _ => Self::Json,
        })
    }

    /// Writes the rows of the file at `path` to `out`, one JSON object a line. Does nothing for JSON.
    pub fn write_lines(self, path: &Path, out: &mut dyn Write) -> Result<(), String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        match self {
            Self::Json => Ok(()),
            Self::Separated(separator) => write_separated(file, separator, out).map_err(|error| error.to_string()),
            Self::Parquet | Self::ArrowFile | Self::ArrowStream => columnar::write_lines(self, file, out),
        }
    }
}

/// Writes rows of texts. Cells that are not UTF-8, rows with more or fewer cells than the header, and duplicate column
/// names are errors, because data would be lost silently.
fn write_separated(file: File, separator: u8, out: &mut dyn Write) -> io::Result<()> {
    let mut reader = csv::ReaderBuilder::new().delimiter(separator).from_reader(BufReader::new(file));
    let mut names: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
    if let Some(first) = names.first_mut() {
        *first = first.trim_start_matches('\u{feff}').to_owned();
    }
    if let Some((_, name)) = names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)) {
        return Err(io::Error::other(format!("two columns are called `{name}`")));
    }
    for record in reader.records() {
        let record = record?;
        let cells = record.iter().map(Value::from);
        let row: Map<String, Value> = names.iter().cloned().zip(cells).collect();
        serde_json::to_writer(&mut *out, &row)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

#[cfg(feature = "parquet")]
mod columnar {
    use std::fs::File;
    use std::io::{BufReader, Write};

    use arrow_array::{RecordBatch, RecordBatchReader};
    use arrow_ipc::reader::{FileReader, StreamReader};
    use arrow_json::WriterBuilder;
    use arrow_json::writer::LineDelimited;
    use arrow_schema::ArrowError;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::Container;

    /// Rows per batch. It is small because conversations may be long.
    const BATCH_ROWS: usize = 128;

    pub fn write_lines(container: Container, file: File, out: &mut dyn Write) -> Result<(), String> {
        let words = |error: ArrowError| error.to_string();
        let batches: Box<dyn RecordBatchReader> = match container {
            Container::ArrowFile => Box::new(FileReader::try_new(BufReader::new(file), None).map_err(words)?),
            Container::ArrowStream => Box::new(StreamReader::try_new(BufReader::new(file), None).map_err(words)?),
            _ => {
                let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())?;
                Box::new(builder.with_batch_size(BATCH_ROWS).build().map_err(|error| error.to_string())?)
            }
        };
        for batch in batches {
            write_batch(&batch.map_err(words)?, out).map_err(words)?;
        }
        Ok(())
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
mod columnar {
    use std::fs::File;
    use std::io::Write;

    use super::Container;

    pub fn write_lines(_: Container, _: File, _: &mut dyn Write) -> Result<(), String> {
        Err("this program was built without Parquet and Arrow; build it with the feature `parquet`".to_owned())
    }
}
