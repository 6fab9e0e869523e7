//! Splits separated values into records, as RFC 4180 has them and as spreadsheets and pandas write them.

use std::io::{self, BufRead};

use super::super::row::ROW_BYTES_MAX;

/// A reader of records. The current one is in memory.
pub struct Records<R> {
    reader: R,
    separator: u8,
    /// The line of the next byte, from 1.
    line: u64,
    /// The offset of the next byte.
    offset: u64,
    /// The last byte was a carriage return that ended a record; a line feed behind it belongs to it.
    after_return: bool,
    cells: Vec<u8>,
    /// The cells of the record. The first ones are reused.
    ends: Vec<Cell>,
    is_too_long: bool,
}

/// A cell: where it ends in the record's bytes, and where it stands in the file.
#[derive(Clone, Copy)]
struct Cell {
    end: usize,
    /// The offset of its first byte, quotes not included.
    offset: u64,
    is_quoted: bool,
}

/// What is known of a record besides its cells.
pub struct RecordShape {
    /// The line on which it begins, from 1.
    pub line: u64,
    /// Why its cells cannot be told apart.
    pub fault: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    CellStart,
    Plain,
    Quoted,
    /// Behind a quote in a quoted cell: the end, or the first of two.
    AfterQuote,
    /// Text behind the closing quote.
    Trailing,
}

impl<R: BufRead> Records<R> {
    /// Reads records whose cells are separated by `separator`. A byte order mark is skipped.
    pub fn new(mut reader: R, separator: u8) -> io::Result<Self> {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        let mark = if reader.fill_buf()?.starts_with(MARK) { MARK.len() } else { 0 };
        reader.consume(mark);
        let (cells, ends) = (Vec::new(), Vec::new());
        let offset = mark as u64;
        Ok(Self { reader, separator, line: 1, offset, after_return: false, cells, ends, is_too_long: false })
    }

    /// Reads the next record. Empty lines are skipped.
    pub fn advance(&mut self) -> io::Result<Option<RecordShape>> {
        self.cells.clear();
        self.ends.clear();
        self.is_too_long = false;
        let mut state = State::CellStart;
        let mut line = self.line;
        let mut cell_offset = self.offset;
        // Where the last quoted cell begins, and the first one that text follows.
        let (mut quote_line, mut trailing) = (0, None);
        loop {
            let available = self.reader.fill_buf()?;
            let Some(&first) = available.first() else {
                if state == State::CellStart && self.ends.is_empty() {
                    return Ok(None);
                }
                let fault = (state == State::Quoted).then(|| {
                    // The line behind the last line feed has nothing on it.
                    let last = self.line - u64::from(self.cells.last() == Some(&b'\n'));
                    format!("a quote opens on line {quote_line} and is not closed; lines {line} to {last} are not read; close it, or write it twice")
                });
                self.end_cell(cell_offset, matches!(state, State::Quoted | State::AfterQuote | State::Trailing));
                return Ok(Some(self.shape(line, fault.or(trailing))));
            };
            if std::mem::take(&mut self.after_return) && first == b'\n' {
                self.skip(1);
                (line, cell_offset) = (self.line, self.offset);
                continue;
            }
            if state == State::Quoted {
                let length = memchr::memchr(b'"', available).unwrap_or(available.len());
                self.line += memchr::memchr_iter(b'\n', &available[..length]).count() as u64;
                let found = length < available.len();
                self.keep(length);
                if found {
                    self.skip(1);
                    state = State::AfterQuote;
                }
                continue;
            }
            let is_end = |byte: u8| byte == self.separator || byte == b'\n' || byte == b'\r';
            match (state, first) {
                (State::CellStart, b'"') => {
                    self.skip(1);
                    (state, quote_line, cell_offset) = (State::Quoted, self.line, self.offset);
                }
                (State::AfterQuote, b'"') => {
                    self.keep(1);
                    state = State::Quoted;
                }
                (_, byte) if is_end(byte) => {
                    if byte != self.separator && state == State::CellStart && self.ends.is_empty() {
                        self.end_line(byte);
                        (line, cell_offset) = (self.line, self.offset);
                        continue;
                    }
                    self.end_cell(cell_offset, matches!(state, State::AfterQuote | State::Trailing));
                    if byte != self.separator {
                        self.end_line(byte);
                        return Ok(Some(self.shape(line, trailing)));
                    }
                    self.skip(1);
                    (state, cell_offset) = (State::CellStart, self.offset);
                }
                _ => {
                    if state == State::AfterQuote && self.line > quote_line {
                        trailing.get_or_insert_with(|| {
                            let end = self.line;
                            format!("text follows a quoted cell that begins on line {quote_line} and ends on line {end}; a quote is missing, or is to be written twice")
                        });
                    }
                    state =
                        if state == State::CellStart || state == State::Plain { State::Plain } else { State::Trailing };
                    let length = memchr::memchr3(self.separator, b'\n', b'\r', available).unwrap_or(available.len());
                    self.keep(length);
                }
            }
        }
    }

    /// Returns the number of cells of the record.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns the cells of the record.
    pub fn cells(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |cell| &self.cells[std::mem::replace(&mut start, cell.end)..cell.end])
    }

    /// Returns the bytes of all cells together.
    pub fn bytes(&self) -> &[u8] {
        &self.cells
    }

    /// Returns the number of the cell that holds a byte of [`Records::bytes`], and the byte's offset in the file.
    pub fn place(&self, at: usize) -> (usize, u64) {
        let number = self.ends.iter().position(|cell| at < cell.end).unwrap_or(0);
        let start = if number == 0 { 0 } else { self.ends[number - 1].end };
        let cell = self.ends[number];
        let before = &self.cells[start..at.max(start)];
        // In the file each quote is written twice.
        let quotes = if cell.is_quoted { memchr::memchr_iter(b'"', before).count() } else { 0 };
        (number, cell.offset + (before.len() + quotes) as u64)
    }

    fn shape(&self, line: u64, fault: Option<String>) -> RecordShape {
        let too_long = || format!("the row is over {} MB", ROW_BYTES_MAX >> 20);
        RecordShape { line, fault: fault.or_else(|| self.is_too_long.then(too_long)) }
    }

    fn end_cell(&mut self, offset: u64, is_quoted: bool) {
        self.ends.push(Cell { end: self.cells.len(), offset, is_quoted });
        self.is_too_long |= self.ends.len() > ROW_BYTES_MAX / size_of::<Cell>();
        if self.is_too_long {
            self.ends.truncate(1);
        }
    }

    fn end_line(&mut self, byte: u8) {
        self.skip(1);
        self.line += 1;
        self.after_return = byte == b'\r';
    }

    fn skip(&mut self, length: usize) {
        self.reader.consume(length);
        self.offset += length as u64;
    }

    /// Adds the next bytes to the cell, up to the limit.
    fn keep(&mut self, length: usize) {
        if self.cells.len() + length > ROW_BYTES_MAX {
            self.is_too_long = true;
        } else if let Ok(available) = self.reader.fill_buf() {
            self.cells.extend_from_slice(&available[..length]);
        }
        self.skip(length);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Read = (u64, bool, Vec<String>);

    fn read(bytes: &[u8], chunk: usize) -> Vec<Read> {
        let reader = io::BufReader::with_capacity(chunk, bytes);
        let mut records = Records::new(reader, b',').unwrap();
        let mut read = Vec::new();
        while let Some(shape) = records.advance().unwrap() {
            let cells = records.cells().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect();
            read.push((shape.line, shape.fault.is_some(), cells));
        }
        read
    }

    #[test]
    fn lines_are_those_of_the_file() {
        let text = b"a,b\r\n\r\n1,\"x\ny\"\r\n\"say \"\"so\"\"\",2\n\n3,\"\"\n";
        let cells = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        for chunk in [3, 4, 7, 100] {
            assert_eq!(
                read(text, chunk),
                [
                    (1, false, cells(["a", "b"])),
                    (3, false, cells(["1", "x\ny"])),
                    (5, false, cells(["say \"so\"", "2"])),
                    (7, false, cells(["3", ""])),
                ]
            );
        }
    }

    #[test]
    fn a_quote_that_does_not_close_is_a_fault() {
        assert_eq!(read(b"a\n\"b\nc\n", 100), [(1, false, vec!["a".to_owned()]), (2, true, vec!["b\nc\n".to_owned()])]);
        assert!(read(b"1,\"a\n2,b\n3,\"c\"\n", 100)[0].1, "a quote closed by another one's opening");
        assert!(!read(b"\"a\" b,c\n", 100)[0].1);
    }

    proptest! {
        #[test]
        fn records_are_those_of_the_csv_crate(cells in prop::collection::vec(prop::collection::vec("[a\",\n\r é]{0,6}", 2), 0..8), chunk in 3_usize..20) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            for row in &cells {
                writer.write_record(row).unwrap();
            }
            let bytes = writer.into_inner().unwrap();
            let found: Vec<Vec<String>> = read(&bytes, chunk).into_iter().map(|(_, fault, cells)| { assert!(!fault); cells }).collect();
            prop_assert_eq!(found, cells);
        }

        #[test]
        fn arbitrary_bytes_end(bytes in prop::collection::vec(prop::sample::select(b"a\",\n\r \xff".to_vec()), 0..60), chunk in 3_usize..20) {
            let found = read(&bytes, chunk);
            let feeds = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() as u64;
            prop_assert!(found.iter().all(|(line, ..)| *line <= feeds + 1));
            prop_assert!(found.is_sorted_by(|(one, ..), (next, ..)| one < next));
        }
    }
}
