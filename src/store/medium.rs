//! The journal's view of a file system, small enough that a test can discard everything that was not synced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::files;

/// A file system for the journal.
pub trait Medium: Send + Sync {
    /// Creates a file that must not exist.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Appendable>>;
    /// Opens a file to append to it.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Appendable>>;
    /// Creates a directory where it is missing, and its ancestors.
    fn create_directory(&self, path: &Path) -> io::Result<()>;
    /// Gives a file a second name, which must not exist.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Renames a file. One that has the new name is replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Deletes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
}

/// A file that is only appended to or truncated.
pub trait Appendable: Send {
    /// Appends bytes.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes everything appended durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Truncates the file.
    fn cut(&mut self, length: u64) -> io::Result<()>;
    /// Returns the file's length, which another process may have changed; an error where the file was deleted.
    fn length(&self) -> io::Result<u64>;
}

/// The real file system.
pub struct Disk;

impl Medium for Disk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Appendable>> {
        drop(files::create_in(path)?);
        self.open(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Appendable>> {
        Ok(Box::new(OpenOptions::new().append(true).custom_flags(libc::O_NOFOLLOW).open(path)?))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        files::create_directories(path, false)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        files::sync_directory(path)
    }
}

impl Appendable for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn length(&self) -> io::Result<u64> {
        let metadata = self.metadata()?;
        if metadata.nlink() == 0 {
            return Err(io::Error::new(io::ErrorKind::NotFound, "it was deleted while it was open"));
        }
        Ok(metadata.len())
    }
}
