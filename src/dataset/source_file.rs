use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Inputs whose files are kept open. Of further ones only the identity is kept: such a file is opened again for its rows,
/// and has to be the same file then.
const HELD_FILES_MAX: usize = 64;

/// A file of the input, opened once. What is appended to it, or takes its name, does not change what is read.
#[derive(Clone, Debug)]
pub struct SourceFile {
    path: PathBuf,
    /// What the file was when it was opened.
    stamp: Stamp,
    device: u64,
    held: Option<Arc<File>>,
    /// The last opening of a file that is not held.
    last: Arc<Mutex<Option<Arc<File>>>>,
}

/// A file's metadata, by which a modification is detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    bytes: u64,
    modified: (i64, i64),
    /// These two detect a copy that keeps the old modification time.
    changed: (i64, i64),
    inode: u64,
}

impl Stamp {
    /// Returns the stamp of a file.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }
}

impl Stamp {
    /// Returns the length of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Length, modification, change and inode, to be compared with another stamp.
impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, modified, changed, inode } = self;
        write!(f, "{bytes} {}.{:09} {}.{:09} {inode}", modified.0, modified.1, changed.0, changed.1)
    }
}

/// What became of an input's file since it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileChange {
    /// It is longer.
    Appended,
    /// It is shorter.
    Truncated,
    /// It was written to.
    Written,
    /// Another file has its name.
    Replaced,
    /// Nothing has its name.
    Deleted,
}

impl FileChange {
    /// Says what happened to the file `name`, and what follows.
    pub fn words(self, name: &str) -> String {
        let (what, then) = match self {
            Self::Appended => ("appended to", "the run kept to what it had found; the next run takes what is new"),
            Self::Replaced => ("replaced", "the run kept to the old file; the next run takes the new one"),
            Self::Deleted => ("deleted", "the run kept to what it had found"),
            Self::Truncated => ("cut short", "rows that are gone are left out"),
            Self::Written => ("written to", "rows that are not what they were are left out"),
        };
        format!("{name} was {what} while the run was at work; {then}")
    }
}

impl SourceFile {
    /// Opens a file; `number` counts the inputs.
    pub fn open(path: &Path, number: usize) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let held = (number < HELD_FILES_MAX).then(|| Arc::new(file));
        let (stamp, device) = (Stamp::of(&metadata), metadata.dev());
        Ok(Self { path: path.to_owned(), stamp, device, held, last: Arc::default() })
    }

    /// Returns where the file was.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns what the file was when it was opened.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Returns the file. Fails where it is not held and its name leads elsewhere by now.
    pub fn file(&self) -> io::Result<Arc<File>> {
        if let Some(file) = &self.held {
            return Ok(Arc::clone(file));
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &*last {
            return Ok(Arc::clone(file));
        }
        let file = File::open(&self.path)?;
        if !self.is_same(&file.metadata()?) {
            let words = format!("another file has its name, and only the first {HELD_FILES_MAX} inputs are kept open");
            return Err(io::Error::new(io::ErrorKind::NotFound, words));
        }
        let file = Arc::new(file);
        *last = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Closes a file that is not held, because the rows of another one are read.
    pub fn release(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns a reader from the first byte on.
    pub fn reader(&self) -> io::Result<SourceReader> {
        Ok(SourceReader { file: self.file()?, offset: 0 })
    }

    /// True where nothing about the file has changed since it was opened.
    pub fn is_unchanged(&self) -> bool {
        self.file().and_then(|file| file.metadata()).is_ok_and(|now| Stamp::of(&now) == self.stamp)
    }

    /// Returns what became of the file.
    pub fn change(&self) -> Option<FileChange> {
        let now = match std::fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(FileChange::Deleted),
            Err(_) => return None,
            Ok(now) => now,
        };
        if !self.is_same(&now) {
            return Some(FileChange::Replaced);
        }
        match now.len().cmp(&self.stamp.bytes) {
            std::cmp::Ordering::Greater => Some(FileChange::Appended),
            std::cmp::Ordering::Less => Some(FileChange::Truncated),
            std::cmp::Ordering::Equal if self.stamp.modified != Stamp::of(&now).modified => Some(FileChange::Written),
            std::cmp::Ordering::Equal => None,
        }
    }

    fn is_same(&self, metadata: &Metadata) -> bool {
        metadata.dev() == self.device && metadata.ino() == self.stamp.inode
    }
}

/// Reads a file with an offset of its own.
#[derive(Debug)]
pub struct SourceReader {
    file: Arc<File>,
    offset: u64,
}

impl Read for SourceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read_at(buffer, self.offset)?;
        self.offset += length as u64;
        Ok(length)
    }
}

/// True if a file system has lost its file or cannot be reached at present: it may be back later.
pub fn is_lost(error: &io::Error) -> bool {
    const LOST: [i32; 9] = [
        libc::EIO,
        libc::ENXIO,
        libc::ENODEV,
        libc::ENOTCONN,
        libc::ETIMEDOUT,
        libc::EHOSTDOWN,
        libc::EHOSTUNREACH,
        libc::ESTALE,
        libc::EREMOTEIO,
    ];
    error.raw_os_error().is_some_and(|code| LOST.contains(&code))
        || matches!(error.kind(), io::ErrorKind::StaleNetworkFileHandle | io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &SourceFile) -> String {
        let mut text = String::new();
        file.reader().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_held_file_is_read_whatever_becomes_of_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let (path, other) = (directory.path().join("a"), directory.path().join("b"));
        std::fs::write(&path, "one").unwrap();
        let file = SourceFile::open(&path, 0).unwrap();
        assert_eq!((file.change(), file.is_unchanged()), (None, true));
        std::fs::write(&path, "one more").unwrap();
        assert_eq!(file.change(), Some(FileChange::Appended));
        std::fs::write(&path, "o").unwrap();
        assert_eq!(file.change(), Some(FileChange::Truncated));
        std::fs::write(&other, "two").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!((file.change(), read(&file)), (Some(FileChange::Replaced), "o".to_owned()));
        std::fs::remove_file(&path).unwrap();
        assert_eq!((file.change(), read(&file)), (Some(FileChange::Deleted), "o".to_owned()));
    }

    #[test]
    fn beyond_the_files_that_are_held_another_file_is_not_taken_for_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let (path, other) = (directory.path().join("a"), directory.path().join("b"));
        std::fs::write(&path, "one").unwrap();
        let file = SourceFile::open(&path, HELD_FILES_MAX).unwrap();
        assert_eq!(read(&file), "one");
        file.release();
        std::fs::write(&other, "two").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!(file.file().unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
