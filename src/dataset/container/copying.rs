use std::io::{self, Read, Write};

const COPY_BYTES: usize = 256 << 10;

/// Copies all of `reader`. Errors of the reader are passed through `explained`, those of `out` are not.
pub fn copy(reader: &mut dyn Read, out: &mut dyn Write, explained: impl Fn(io::Error) -> io::Error) -> io::Result<()> {
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => out.write_all(&buffer[..length])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(explained(error)),
        }
    }
}
