use std::io::{self, BufRead};

use super::not_utf8::not_utf8;
use super::row::{Problem, ROW_BYTES_MAX, RawRow, RowSource};

/// Splits JSON lines: one row a line. Blank lines are skipped; a carriage return before the line feed and a byte order
/// mark at the start are accepted.
pub struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    line: u64,
    offset: u64,
}

impl<R: BufRead> Lines<R> {
    /// Creates a splitter at the start of the reader.
    pub fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), line: 0, offset: 0 }
    }

    /// Reads one line into the buffer, up to the limit. Returns the length of the line in the file, 0 at the end.
    fn fill(&mut self) -> io::Result<u64> {
        self.buffer.clear();
        let mut length = 0;
        loop {
            let available = self.reader.fill_buf()?;
            if available.is_empty() {
                return Ok(length);
            }
            let end = memchr::memchr(b'\n', available).map(|at| at + 1);
            let piece = &available[..end.unwrap_or(available.len())];
            let room = (ROW_BYTES_MAX + 2).saturating_sub(self.buffer.len());
            self.buffer.extend_from_slice(&piece[..piece.len().min(room)]);
            let used = piece.len();
            length += used as u64;
            self.reader.consume(used);
            if end.is_some() {
                return Ok(length);
            }
        }
    }
}

impl<R: BufRead> RowSource for Lines<R> {
    fn next(&mut self) -> io::Result<Option<Result<RawRow<'_>, Problem>>> {
        loop {
            let start = self.offset;
            let length = self.fill()?;
            if length == 0 {
                return Ok(None);
            }
            self.offset += length;
            self.line += 1;
            let line = self.line;
            if self.buffer.len() > ROW_BYTES_MAX {
                return Ok(Some(Err(Problem { line, reason: format!("the row is over {} MB", ROW_BYTES_MAX >> 20) })));
            }
            let mark = if line == 1 && self.buffer.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
            let text = &self.buffer[mark..];
            let bytes = text.trim_ascii();
            if bytes.is_empty() {
                continue;
            }
            let lead = text.len() - text.trim_ascii_start().len();
            let end = mark + lead + bytes.len();
            let (from, offset) = (mark + lead, start + (mark + lead) as u64);
            let bytes = &self.buffer[from..end];
            return Ok(Some(match not_utf8(bytes, offset) {
                Some(reason) => Err(Problem { line, reason }),
                None => Ok(RawRow { bytes, line, offset }),
            }));
        }
    }
}
