use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::files::{append_to, is_same_file};

/// Older files that are kept of each kind.
pub const OLD_FILES_MAX: u32 = 3;

/// A file that lines are appended to. When it is full it becomes the newest of the old ones.
pub struct RotatedFile {
    path: PathBuf,
    bytes_max: u64,
    open: Option<(File, u64)>,
}

impl RotatedFile {
    pub fn new(path: PathBuf, bytes_max: u64) -> Self {
        Self { path, bytes_max, open: None }
    }

    /// Appends whole lines. After an error the file is opened again by the next call, because a part may have been written.
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let written = self.try_append(lines);
        if written.is_err() {
            self.open = None;
        }
        written
    }

    fn try_append(&mut self, lines: &[u8]) -> io::Result<()> {
        // Somebody may have deleted it.
        if self.open.as_ref().is_none_or(|(file, _)| !is_same_file(file, &self.path)) {
            self.open = Some(open(&self.path)?);
        }
        if let Some((_, length)) = &self.open
            && *length > 0
            && length + lines.len() as u64 > self.bytes_max
        {
            self.open = None;
            rotate(&self.path)?;
            self.open = Some(open(&self.path)?);
        }
        let Some((file, length)) = &mut self.open else { return Ok(()) };
        file.write_all(lines)?;
        *length += lines.len() as u64;
        Ok(())
    }
}

/// Opens a file to append to it, and returns its length. A line without an end is ended, so that the next is whole.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut file = append_to(path)?;
    let mut length = file.metadata()?.len();
    if length > 0 {
        let mut last = [0];
        file.seek(SeekFrom::Start(length - 1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
            length += 1;
        }
    }
    Ok((file, length))
}

fn rotate(path: &Path) -> io::Result<()> {
    for number in (0..OLD_FILES_MAX).rev() {
        match fs::rename(old(path, number), old(path, number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Returns an old file, the file itself for 0.
fn old(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{number}"));
    path.with_file_name(name)
}

/// Passes each line of the files, oldest first, to `take`. Of a file that has grown beyond all measure only the beginning
/// is read. A last line without an end is not a line: it may be half of one.
pub fn each_line(path: &Path, bytes_max: u64, mut take: impl FnMut(&[u8])) {
    for number in (0..=OLD_FILES_MAX).rev() {
        let mut bytes = Vec::new();
        // A file that cannot be read is treated as missing: the log is for people.
        let Ok(file) = File::open(old(path, number)) else { continue };
        let _ = file.take(bytes_max.saturating_mul(2)).read_to_end(&mut bytes);
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).for_each(&mut take);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &Path) -> Vec<String> {
        let mut found = Vec::new();
        each_line(path, 100, |line| found.push(String::from_utf8_lossy(line).into_owned()));
        found
    }

    #[test]
    fn a_full_file_becomes_an_old_one_and_the_oldest_goes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut file = RotatedFile::new(path.clone(), 20);
        for number in 0..12 {
            file.append(format!("line {number:02}\n").as_bytes()).unwrap();
        }
        let kept: Vec<String> = (4..12).map(|number| format!("line {number:02}")).collect();
        assert_eq!(lines(&path), kept);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 4);
    }

    #[test]
    fn half_a_line_is_ignored_and_ended_by_the_next_writer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        fs::write(&path, "whole\nhal").unwrap();
        assert_eq!(lines(&path), ["whole"]);
        RotatedFile::new(path.clone(), 100).append(b"next\n").unwrap();
        assert_eq!(lines(&path), ["whole", "hal", "next"]);
    }

    #[test]
    fn a_file_that_was_deleted_is_created_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut file = RotatedFile::new(path.clone(), 100);
        file.append(b"one\n").unwrap();
        fs::remove_file(&path).unwrap();
        file.append(b"two\n").unwrap();
        assert_eq!(lines(&path), ["two"]);
    }
}
