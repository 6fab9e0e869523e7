use super::file::{OutputError, OutputFile};

/// A CSV file, as spreadsheets read it (RFC 4180).
pub struct Table {
    file: OutputFile,
    path: String,
}

impl Table {
    /// Starts writing `path` with a header row.
    pub fn create(path: &str, columns: &[&str]) -> Result<Self, OutputError> {
        let mut table = Self { file: OutputFile::create(path)?, path: path.to_owned() };
        table.write(columns)?;
        Ok(table)
    }

    /// Writes a row.
    pub fn write<Field: AsRef<[u8]>>(&mut self, fields: &[Field]) -> Result<(), OutputError> {
        let mut row = csv::Writer::from_writer(Vec::new());
        let written = row.write_record(fields).map_err(std::io::Error::from);
        let bytes = written.and_then(|()| row.into_inner().map_err(|error| std::io::Error::other(error.to_string())));
        let bytes = bytes.map_err(|source| OutputError { path: self.path.clone(), source })?;
        self.file.write(&bytes)
    }

    /// Completes the file and moves it to its path.
    pub fn finish(self) -> Result<(), OutputError> {
        self.file.finish()
    }
}
