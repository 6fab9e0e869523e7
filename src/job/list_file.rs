use super::JobError;
use crate::export::OutputFile;

/// A list beside an output. The file is made with its first row; without one, the list of an earlier run is removed.
pub struct ListFile {
    path: Option<String>,
    file: Option<OutputFile>,
    rows: u64,
}

/// A list that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Where.
    pub path: String,
    /// Its rows.
    pub rows: u64,
}

impl ListFile {
    /// The list `OUT.KIND.jsonl` beside an output; none for standard output.
    pub fn beside(output: &str, kind: &str) -> Self {
        let path = (output != "-").then(|| format!("{}.{kind}.jsonl", output.trim_end_matches('/')));
        Self { path, file: None, rows: 0 }
    }

    /// The list of this name.
    pub fn at(path: String) -> Self {
        Self { path: Some(path), file: None, rows: 0 }
    }

    /// Writes a row that `append` adds to a line.
    pub fn write(&mut self, append: impl FnOnce(&mut Vec<u8>)) -> Result<(), JobError> {
        self.rows += 1;
        let Some(path) = &self.path else { return Ok(()) };
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(OutputFile::create(path)?),
        };
        let mut line = Vec::new();
        append(&mut line);
        Ok(file.write(&line)?)
    }

    /// Puts the list in its place, and returns where it is if it has rows.
    pub fn finish(self) -> Result<Option<Listed>, JobError> {
        match (self.file, self.path) {
            (Some(file), Some(path)) => {
                file.finish()?;
                Ok(Some(Listed { path, rows: self.rows }))
            }
            (None, Some(path)) => {
                let _ = std::fs::remove_file(path);
                Ok(None)
            }
            (_, None) => Ok(None),
        }
    }
}
