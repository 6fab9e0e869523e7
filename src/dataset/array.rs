use std::io::{self, BufRead};

use super::not_utf8::not_utf8;
use super::row::{Problem, ROW_BYTES_MAX, RawRow, RowSource};

/// Splits one large JSON array into its elements. Only the current element is in memory.
pub struct Elements<R> {
    reader: R,
    buffer: Vec<u8>,
    line: u64,
    offset: u64,
    state: ArrayPosition,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ArrayPosition {
    BeforeArray,
    /// An element or the end of the array may follow.
    BetweenElements,
    Ended,
}

/// The parser's position inside an element.
#[derive(Default)]
struct Nesting {
    depth: u32,
    in_string: bool,
    after_backslash: bool,
}

impl<R: BufRead> Elements<R> {
    /// Creates a splitter at the start of the reader, before the opening bracket.
    pub fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), line: 1, offset: 0, state: ArrayPosition::BeforeArray }
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.reader.fill_buf()?.first().copied())
    }

    fn skip_byte(&mut self, byte: u8) {
        self.reader.consume(1);
        self.offset += 1;
        self.line += u64::from(byte == b'\n');
    }

    /// Skips to the first byte of the next element, or to the end.
    fn find_element(&mut self) -> io::Result<Option<Result<(), Problem>>> {
        while let Some(byte) = self.peek()? {
            match (self.state, byte) {
                (_, b' ' | b'\t' | b'\r' | b'\n') | (ArrayPosition::BeforeArray, 0xef | 0xbb | 0xbf) => {}
                (ArrayPosition::BeforeArray, b'[') => self.state = ArrayPosition::BetweenElements,
                (ArrayPosition::BetweenElements, b',') => {}
                (ArrayPosition::BetweenElements, b']') => self.state = ArrayPosition::Ended,
                (ArrayPosition::BetweenElements, byte) if byte != b'}' => return Ok(Some(Ok(()))),
                (state, _) => {
                    let place = if state == ArrayPosition::BetweenElements { "between the rows of" } else { "outside" };
                    let reason = format!("unexpected content {place} the JSON array; the rest is not read");
                    self.state = ArrayPosition::Ended;
                    let line = self.line;
                    // Row boundaries after this point are not reliable.
                    while let length @ 1.. = self.reader.fill_buf()?.len() {
                        self.reader.consume(length);
                    }
                    return Ok(Some(Err(Problem { line, reason })));
                }
            }
            self.skip_byte(byte);
        }
        if self.state == ArrayPosition::Ended {
            return Ok(None);
        }
        self.state = ArrayPosition::Ended;
        let reason = "the JSON array does not end; the file is truncated".to_owned();
        Ok(Some(Err(Problem { line: self.line, reason })))
    }

    /// Reads one element into the buffer; false where the file ends inside it.
    fn read_element(&mut self) -> io::Result<bool> {
        self.buffer.clear();
        let mut nesting = Nesting::default();
        loop {
            let available = self.reader.fill_buf()?;
            if available.is_empty() {
                return Ok(false);
            }
            let (length, ended) = nesting.advance(available);
            let room = (ROW_BYTES_MAX + 1).saturating_sub(self.buffer.len());
            self.buffer.extend_from_slice(&available[..length.min(room)]);
            self.line += memchr::memchr_iter(b'\n', &available[..length]).count() as u64;
            self.offset += length as u64;
            self.reader.consume(length);
            if ended {
                return Ok(true);
            }
        }
    }
}

impl<R: BufRead> RowSource for Elements<R> {
    fn next(&mut self) -> io::Result<Option<Result<RawRow<'_>, Problem>>> {
        match self.find_element()? {
            None => return Ok(None),
            Some(Err(problem)) => return Ok(Some(Err(problem))),
            Some(Ok(())) => {}
        }
        let (line, offset) = (self.line, self.offset);
        if !self.read_element()? {
            self.state = ArrayPosition::Ended;
            let reason = "the file ends inside this row".to_owned();
            return Ok(Some(Err(Problem { line, reason })));
        }
        if self.buffer.len() > ROW_BYTES_MAX {
            return Ok(Some(Err(Problem { line, reason: format!("the row is over {} MB", ROW_BYTES_MAX >> 20) })));
        }
        let bytes = self.buffer.trim_ascii_end();
        Ok(Some(match not_utf8(bytes, offset) {
            Some(reason) => Err(Problem { line, reason }),
            None => Ok(RawRow { bytes, line, offset }),
        }))
    }
}

impl Nesting {
    /// Returns the number of `bytes` that belong to the element, and whether it ends there.
    fn advance(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while at < bytes.len() {
            if self.after_backslash {
                self.after_backslash = false;
                at += 1;
            } else if self.in_string {
                let Some(distance) = memchr::memchr2(b'"', b'\\', &bytes[at..]) else { return (bytes.len(), false) };
                at += distance;
                self.in_string = bytes[at] != b'"';
                self.after_backslash = bytes[at] == b'\\';
                at += 1;
            } else {
                match bytes[at] {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' if self.depth > 0 => {
                        self.depth -= 1;
                        if self.depth == 0 {
                            return (at + 1, true);
                        }
                    }
                    // A scalar ends at the array's next delimiter.
                    b',' | b']' | b'}' if self.depth == 0 => return (at, true),
                    _ => {}
                }
                at += 1;
            }
        }
        (at, false)
    }
}
