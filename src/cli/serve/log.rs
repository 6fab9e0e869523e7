//! What a served command prints, in a file that does not grow without end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Bytes of the log before it is moved to `served.log.old`, whose place it takes.
const BYTES_MAX: u64 = 16 << 20;
/// Most bytes of the end of the log that are shown.
const SHOWN_BYTES_MAX: u64 = 1_000;
/// Most lines of it.
const SHOWN_LINES_MAX: usize = 5;

/// Opens the log, for this user alone.
pub fn open(log: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(log)
}

/// Copies what the server prints into the log until nobody prints any more. What cannot be written is passed over: a full disk
/// does not stop the server.
pub fn copy(mut printed: impl Read, log: &Path) {
    let Ok(mut file) = open(log) else { return drop(io::copy(&mut printed, &mut io::sink())) };
    let mut length = file.metadata().map_or(0, |metadata| metadata.len());
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count @ 1..) = printed.read(&mut bytes) {
        if length + count as u64 > BYTES_MAX
            && fs::rename(log, log.with_extension("log.old")).is_ok()
            && let Ok(next) = open(log)
        {
            (file, length) = (next, 0);
        }
        if length < BYTES_MAX && file.write_all(&bytes[..count]).is_ok() {
            length += count as u64;
        }
    }
}

/// Returns the last lines of the log.
pub fn last_lines(log: &Path) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(SHOWN_BYTES_MAX)))?;
        let mut end = Vec::new();
        file.take(SHOWN_BYTES_MAX).read_to_end(&mut end)?;
        Ok(end)
    };
    let end = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&end);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(SHOWN_LINES_MAX)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_keeps_the_end_and_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("served.log");
        copy(&b"one\ntwo\n\nthree\nfour\nfive\nsix\n"[..], &log);
        assert_eq!(last_lines(&log), "two\nthree\nfour\nfive\nsix");
        copy(io::repeat(b'x').take(40 << 20), &log);
        copy(&b"\nlast\n"[..], &log);
        let sizes =
            ["served.log", "served.log.old"].map(|name| fs::metadata(directory.path().join(name)).unwrap().len());
        assert!(sizes.iter().all(|size| *size <= BYTES_MAX), "{sizes:?}");
        assert!(last_lines(&log).ends_with("last"));
        assert_eq!(last_lines(&directory.path().join("missing")), "");
    }
}
