use std::path::Path;

use super::Format;
use super::file::{OutputError, OutputFile};
use super::shards::Shards;

/// Where rows go: lines of JSON, or Parquet shards in a directory.
pub struct Sink {
    target: Target,
}

enum Target {
    Lines(Box<OutputFile>),
    Shards(Box<Shards>),
}

/// True where the name asks for a directory of shards.
pub fn is_directory(path: &str) -> bool {
    path.ends_with('/')
}

impl Sink {
    /// Begins to write `path`: a directory where it ends in `/`, else a file of lines.
    pub fn create(path: &str, format: &'static dyn Format) -> Result<Self, OutputError> {
        let target = if is_directory(path) {
            Target::Shards(Box::new(Shards::create(Path::new(path), format)?))
        } else {
            Target::Lines(Box::new(OutputFile::create(path)?))
        };
        Ok(Self { target })
    }

    /// Writes rows, each a line as the format makes them.
    pub fn write(&mut self, rows: &[u8]) -> Result<(), OutputError> {
        match &mut self.target {
            Target::Lines(file) => file.write(rows),
            Target::Shards(shards) => shards.write(rows),
        }
    }

    /// Puts everything in its place.
    pub fn finish(self) -> Result<(), OutputError> {
        match self.target {
            Target::Lines(file) => file.finish(),
            Target::Shards(shards) => shards.finish(),
        }
    }
}
