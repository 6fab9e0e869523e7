use std::path::Path;

use super::file::{OutputError, OutputFile};
use super::shards::Shards;
use super::{OutputFormat, Unfit};
use crate::conversation::Record;

/// Where rows go: lines of JSON, or Parquet shards in a directory.
pub struct Sink {
    format: &'static dyn OutputFormat,
    target: SinkFiles,
    rows: Vec<u8>,
}

enum SinkFiles {
    Lines(Box<OutputFile>),
    Shards(Box<Shards>),
}

/// True where the name asks for a directory of shards.
pub fn is_directory(path: &str) -> bool {
    path.ends_with('/')
}

impl Sink {
    /// Begins to write `path`: a directory where it ends in `/`, else a file of lines.
    pub fn create(path: &str, format: &'static dyn OutputFormat) -> Result<Self, OutputError> {
        let target = if is_directory(path) {
            SinkFiles::Shards(Box::new(Shards::create(Path::new(path), format)?))
        } else {
            SinkFiles::Lines(Box::new(OutputFile::create(path)?))
        };
        Ok(Self { format, target, rows: Vec::new() })
    }

    /// Names the licence of what is written, for a card.
    #[must_use]
    pub fn licensed(mut self, license: Option<String>) -> Self {
        if let SinkFiles::Shards(shards) = &mut self.target {
            shards.license = license;
        }
        self
    }

    /// Writes the rows that a record makes; inside, how many those are, or why it does not fit.
    pub fn write(&mut self, record: &Record) -> Result<Result<u64, Unfit>, OutputError> {
        if matches!(self.target, SinkFiles::Shards(_)) && record.uses_tools() {
            // Calls differ from row to row in what they hold; a table's columns cannot.
            return Ok(Err(Unfit::ToolsInTable));
        }
        self.rows.clear();
        if let Err(unfit) = self.format.write(record, &mut self.rows) {
            return Ok(Err(unfit));
        }
        match &mut self.target {
            SinkFiles::Lines(file) => file.write(&self.rows)?,
            SinkFiles::Shards(shards) => shards.write(&self.rows)?,
        }
        Ok(Ok(memchr::memchr_iter(b'\n', &self.rows).count() as u64))
    }

    /// Puts everything in its place.
    pub fn finish(self) -> Result<(), OutputError> {
        match self.target {
            SinkFiles::Lines(file) => file.finish(),
            SinkFiles::Shards(shards) => shards.finish(),
        }
    }
}
