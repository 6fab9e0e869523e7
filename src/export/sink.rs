use super::file::{OutputError, OutputFile};
use super::shards::Shards;
use super::{OutputFormat, Unfit};
use crate::conversation::Record;
use crate::files::path_of;

/// Writes rows: as JSON lines to a file, or as Parquet shards to a directory.
pub struct Sink {
    format: &'static dyn OutputFormat,
    target: SinkFiles,
    rows: Vec<u8>,
    /// Rows without an answer are written too.
    pub keeps_unanswered: bool,
}

enum SinkFiles {
    Lines(Box<OutputFile>),
    Shards(Box<Shards>),
}

/// True where the path means a directory of shards.
pub fn is_directory(path: &str) -> bool {
    path.ends_with('/')
}

/// Returns why a table cannot hold a record.
pub(super) fn unfit_for_table(format: &dyn OutputFormat, record: &Record) -> Option<Unfit> {
    if format.wants_tokens() {
        // Calls and names are text there.
        return None;
    }
    if record.uses_tools() {
        // The arguments of tool calls differ from row to row, which a table's columns cannot.
        return Some(Unfit::ToolsInTable);
    }
    record.lines.iter().any(|line| line.message.name().is_some()).then_some(Unfit::NamesInTable)
}

impl Sink {
    /// Starts writing `path`: a directory of shards where it ends in `/`, else a file of JSON lines.
    pub fn create(path: &str, format: &'static dyn OutputFormat) -> Result<Self, OutputError> {
        let target = if is_directory(path) {
            SinkFiles::Shards(Box::new(Shards::create(&path_of(path), format)?))
        } else {
            SinkFiles::Lines(Box::new(OutputFile::create(path)?))
        };
        Ok(Self { format, target, rows: Vec::new(), keeps_unanswered: false })
    }

    /// Sets the licence for the dataset card.
    #[must_use]
    pub fn licensed(mut self, license: Option<String>) -> Self {
        if let SinkFiles::Shards(shards) = &mut self.target {
            shards.license = license;
        }
        self
    }

    /// Writes a record's rows. The inner result is their number, or the reason why the format cannot hold the record.
    pub fn write(&mut self, record: &Record) -> Result<Result<u64, Unfit>, OutputError> {
        if let Some(unfit) =
            unfit_for_table(self.format, record).filter(|_| matches!(self.target, SinkFiles::Shards(_)))
        {
            return Ok(Err(unfit));
        }
        self.rows.clear();
        let written = if self.keeps_unanswered && !record.has_answer() {
            self.format.write_prompt(record, &mut self.rows)
        } else {
            self.format.write(record, &mut self.rows)
        };
        if let Err(unfit) = written {
            return Ok(Err(unfit));
        }
        match &mut self.target {
            SinkFiles::Lines(file) => file.write(&self.rows)?,
            SinkFiles::Shards(shards) => shards.write(&self.rows)?,
        }
        Ok(Ok(memchr::memchr_iter(b'\n', &self.rows).count() as u64))
    }

    /// Completes the output and moves it to its path.
    pub fn finish(self) -> Result<(), OutputError> {
        match self.target {
            SinkFiles::Lines(file) => file.finish(),
            SinkFiles::Shards(shards) => shards.finish(),
        }
    }
}
