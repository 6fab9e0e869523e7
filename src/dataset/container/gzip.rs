use std::cell::Cell;
use std::io::{self, BufRead, Read, Write};

use super::copying::copy;

/// Unpacks all members of a gzip file. Zeros between and behind members are padding; anything else is an error.
pub fn unpack(file: impl BufRead, out: &mut dyn Write) -> io::Result<()> {
    let mut file = Counted { inner: file, position: 0 };
    loop {
        let start = file.position;
        match file.fill_buf()?.first() {
            None => return Ok(()),
            Some(0) if start > 0 => skip_zeros(&mut file)?,
            Some(0x1f) => {
                let mut member = flate2::bufread::GzDecoder::new(&mut file);
                let is_read_fault = Cell::new(false);
                let copied = copy(&mut member, out, |error| {
                    is_read_fault.set(true);
                    error
                });
                match copied {
                    Err(error) if is_read_fault.get() => return Err(explain(start, member.header().is_some(), error)),
                    other => other?,
                }
            }
            Some(byte) => return Err(foreign(start, *byte)),
        }
    }
}

fn skip_zeros(file: &mut impl BufRead) -> io::Result<()> {
    let available = file.fill_buf()?;
    let zeros = available.iter().position(|byte| *byte != 0).unwrap_or(available.len());
    file.consume(zeros);
    Ok(())
}

fn explain(start: u64, has_header: bool, error: io::Error) -> io::Error {
    let (kind, words) = match error.kind() {
        _ if error.raw_os_error().is_some() => return error,
        io::ErrorKind::UnexpectedEof => (
            io::ErrorKind::UnexpectedEof,
            format!("the gzip file is truncated: it ends inside the member that begins at byte {start}"),
        ),
        _ if !has_header && start > 0 => return foreign(start, 0x1f),
        _ => (io::ErrorKind::InvalidData, format!("the gzip member that begins at byte {start} is damaged: {error}")),
    };
    io::Error::new(kind, words)
}

fn foreign(start: u64, byte: u8) -> io::Error {
    let words = format!(
        "the gzip data ends at byte {start}, and something else follows it: {byte:#04x} is neither a gzip member nor zero padding"
    );
    io::Error::new(io::ErrorKind::InvalidData, words)
}

/// A reader that knows where it is.
struct Counted<R> {
    inner: R,
    position: u64,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.position += length as u64;
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, length: usize) {
        self.position += length as u64;
        self.inner.consume(length);
    }
}
