use std::borrow::Cow;

use super::file::{OutputError, OutputFile};

/// A CSV file, as spreadsheets read it (RFC 4180). A cell that a spreadsheet would run as a formula begins with an
/// apostrophe, which it shows as text.
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
        let written = row.write_record(fields.iter().map(|field| inert(field.as_ref()))).map_err(std::io::Error::from);
        let bytes = written.and_then(|()| row.into_inner().map_err(|error| std::io::Error::other(error.to_string())));
        let bytes = bytes.map_err(|source| OutputError { path: self.path.clone(), source })?;
        self.file.write(&bytes)
    }

    /// Completes the file and moves it to its path.
    pub fn finish(self) -> Result<(), OutputError> {
        self.file.finish()
    }
}

/// Returns a cell that no spreadsheet runs: one that begins as a formula does and is no number gets an apostrophe.
fn inert(cell: &[u8]) -> Cow<'_, [u8]> {
    let is_formula = matches!(cell.first(), Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r' | b'\n'));
    let is_digit = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    let is_number =
        || cell.iter().all(is_digit) && std::str::from_utf8(cell).is_ok_and(|text| text.parse::<f64>().is_ok());
    if is_formula && !is_number() { Cow::Owned([b"'", cell].concat()) } else { Cow::Borrowed(cell) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_text_and_numbers_stay() {
        for cell in
            ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "-", "--1", "-inf", "+1 2"]
        {
            assert_eq!(inert(cell.as_bytes()), [b"'", cell.as_bytes()].concat(), "{cell:?}");
        }
        for cell in ["", "a=1", "-1.5", "+3", "-2e-7", "1", "'=1", " x", "é"] {
            assert_eq!(inert(cell.as_bytes()), cell.as_bytes(), "{cell:?}");
        }
    }

    #[test]
    fn a_table_is_written_with_inert_cells() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.csv").display().to_string();
        let mut table = Table::create(&path, &["a", "b"]).unwrap();
        table.write(&["=HYPERLINK(\"http://x\")", "-0.25"]).unwrap();
        table.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a,b\n\"'=HYPERLINK(\"\"http://x\"\")\",-0.25\n");
    }
}
