use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// Bytes that are read at a time.
const READ_BYTES: usize = 1 << 20;

/// Adds the contents of a file to a CRC-32, and writes them to `into`.
pub fn add_and_copy(hasher: &mut crc32fast::Hasher, path: &Path, into: &mut impl Write) -> io::Result<()> {
    let (mut file, mut buffer) = (File::open(path)?, vec![0; READ_BYTES]);
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        hasher.update(&buffer[..length]);
        into.write_all(&buffer[..length])?;
    }
}

/// Returns the CRC-32 of a file, to be continued or finished.
pub fn checksum_of(path: &Path) -> io::Result<crc32fast::Hasher> {
    let mut hasher = crc32fast::Hasher::new();
    add_and_copy(&mut hasher, path, &mut io::sink()).map(|()| hasher)
}
