//! Where spooled rows stand in their own file.
//!
//! Rows that are copied to a temporary file keep their line numbers: a second file beside it holds an entry wherever the
//! distance between the two line numbers changes, and for each row that could not be copied. It is empty for most files.
//!
//! An entry: line in the spool `u64`, line in the input `u64`, length of the reason `u32`, the reason. Little-endian.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::row::{Problem, RawRow, RowSource};
use crate::conversation::beginning;

/// The longest reason that is kept, in bytes.
const REASON_BYTES_MAX: usize = 4_096;

/// Writes rows to a spool file, and their places beside it.
pub struct RowSink<'a> {
    rows: &'a mut dyn Write,
    places_path: &'a Path,
    places: Option<BufWriter<File>>,
    /// The line in the spool that is written next, from 1.
    spool_line: u64,
    /// The line in the input minus the line in the spool, as the last entry has it.
    distance: i64,
}

impl<'a> RowSink<'a> {
    /// Writes rows to `rows` and their places to the file `places_path`, which is made when it is needed.
    pub fn new(rows: &'a mut dyn Write, places_path: &'a Path) -> Self {
        Self { rows, places_path, places: None, spool_line: 1, distance: 0 }
    }

    /// Writes a row that begins on `line` of the input. The bytes hold no line feed.
    pub fn row(&mut self, line: u64, bytes: &[u8]) -> io::Result<()> {
        let distance = line.wrapping_sub(self.spool_line).cast_signed();
        if distance != self.distance {
            self.note(line, "")?;
            self.distance = distance;
        }
        self.rows.write_all(bytes)?;
        self.rows.write_all(b"\n")?;
        self.spool_line += 1;
        Ok(())
    }

    /// Writes a row that cannot be read.
    pub fn problem(&mut self, problem: &Problem) -> io::Result<()> {
        let reason = if problem.reason.is_empty() { "it cannot be read" } else { &problem.reason };
        self.note(problem.line, reason)?;
        self.distance = problem.line.wrapping_sub(self.spool_line).cast_signed();
        // Holds the place of the row.
        self.rows.write_all(b"!\n")?;
        self.spool_line += 1;
        Ok(())
    }

    /// Returns where rows are written whose line in the spool is their place.
    pub fn numbered(&mut self) -> &mut dyn Write {
        self.rows
    }

    /// Ends the list of places. Returns true where there is one.
    pub fn finish(self) -> io::Result<bool> {
        let Some(mut places) = self.places else { return Ok(false) };
        places.flush()?;
        Ok(true)
    }

    fn note(&mut self, line: u64, reason: &str) -> io::Result<()> {
        let places = match &mut self.places {
            Some(places) => places,
            none => none.insert(BufWriter::new(File::create(self.places_path)?)),
        };
        let reason = beginning(reason, REASON_BYTES_MAX).as_bytes();
        places.write_all(&self.spool_line.to_le_bytes())?;
        places.write_all(&line.to_le_bytes())?;
        places.write_all(&(reason.len() as u32).to_le_bytes())?;
        places.write_all(reason)
    }
}

/// Rows of a spool file with the lines of their own file.
pub struct Placed<R> {
    rows: R,
    places: BufReader<File>,
    next: Option<Place>,
    distance: i64,
}

struct Place {
    spool_line: u64,
    line: u64,
    reason: String,
}

impl<R: RowSource> Placed<R> {
    /// Reads the places of `rows` from a file.
    pub fn new(rows: R, places: &Path) -> io::Result<Self> {
        let mut places = BufReader::new(File::open(places)?);
        let next = read_place(&mut places)?;
        Ok(Self { rows, places, next, distance: 0 })
    }
}

impl<R: RowSource> RowSource for Placed<R> {
    fn next(&mut self) -> io::Result<Option<Result<RawRow<'_>, Problem>>> {
        let Some(row) = self.rows.next()? else { return Ok(None) };
        let spool_line = row.as_ref().map_or_else(|problem| problem.line, |row| row.line);
        while let Some(place) = self.next.take_if(|place| place.spool_line <= spool_line) {
            self.next = read_place(&mut self.places)?;
            self.distance = place.line.wrapping_sub(place.spool_line).cast_signed();
            if place.spool_line == spool_line && !place.reason.is_empty() {
                return Ok(Some(Err(Problem { line: place.line, reason: place.reason })));
            }
        }
        let line = spool_line.wrapping_add_signed(self.distance);
        Ok(Some(match row {
            Ok(row) => Ok(RawRow { line, ..row }),
            Err(problem) => Err(Problem { line, ..problem }),
        }))
    }
}

fn read_place(places: &mut BufReader<File>) -> io::Result<Option<Place>> {
    let mut head = [0; 20];
    match places.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let long = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
    let length = u32::from_le_bytes(head[16..].try_into().expect("four bytes")) as usize;
    let mut reason = vec![0; length.min(REASON_BYTES_MAX)];
    places.read_exact(&mut reason)?;
    let reason = String::from_utf8(reason).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(Some(Place { spool_line: long(0), line: long(8), reason }))
}

/// Returns the name of the file with the places of a spool file.
pub fn places_path(spool: &Path) -> PathBuf {
    let mut name = spool.as_os_str().to_owned();
    name.push("-places");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::super::lines::Lines;
    use super::*;

    #[test]
    fn rows_keep_their_lines_and_their_problems() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("places");
        let mut spool = Vec::new();
        let mut sink = RowSink::new(&mut spool, &path);
        let lines = [2, 3, 7, 8, 5, 6, 7];
        for (number, line) in lines.into_iter().enumerate() {
            if number == 3 || number == 4 {
                sink.problem(&Problem { line, reason: format!("reason {number}") }).unwrap();
            } else {
                sink.row(line, b"{}").unwrap();
            }
        }
        assert!(sink.finish().unwrap());
        let mut rows = Placed::new(Lines::new(&spool[..]), &path).unwrap();
        let mut read = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            read.push(row.map_or_else(|problem| (problem.line, problem.reason), |row| (row.line, String::new())));
        }
        let reason =
            |number: usize| if number == 3 || number == 4 { format!("reason {number}") } else { String::new() };
        let expected: Vec<_> = lines.into_iter().enumerate().map(|(number, line)| (line, reason(number))).collect();
        assert_eq!(read, expected);
    }
}
