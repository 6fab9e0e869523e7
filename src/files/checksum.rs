use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes that are read at a time.
const READ_BYTES: usize = 1 << 20;

/// Adds the contents of a file to a CRC-32.
pub fn add_file(hasher: &mut crc32fast::Hasher, path: &Path) -> io::Result<()> {
    let (mut file, mut buffer) = (File::open(path)?, vec![0; READ_BYTES]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            length => hasher.update(&buffer[..length]),
        }
    }
}

/// Returns the CRC-32 of a file, to be continued or finished.
pub fn checksum_of(path: &Path) -> io::Result<crc32fast::Hasher> {
    let mut hasher = crc32fast::Hasher::new();
    add_file(&mut hasher, path).map(|()| hasher)
}
