use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The result of trying to lock a file or directory.
#[derive(Debug)]
pub enum Locking {
    /// Locked, until the file is closed or the process ends, however it ends.
    Held(File),
    /// Another process holds it.
    Busy,
    /// This file system cannot lock it, so nothing is known.
    Unsupported(File),
}

/// Tries to lock an open file or directory, without waiting.
pub fn try_lock(file: File) -> io::Result<Locking> {
    let tried = file.try_lock();
    locking(file, tried)
}

/// Tries to lock an open file or directory together with others that share it, without waiting. Works on a file that was
/// opened for reading alone.
pub fn try_lock_shared(file: File) -> io::Result<Locking> {
    let tried = file.try_lock_shared();
    locking(file, tried)
}

fn locking(file: File, tried: Result<(), TryLockError>) -> io::Result<Locking> {
    match tried {
        Ok(()) => Ok(Locking::Held(file)),
        Err(TryLockError::WouldBlock) => Ok(Locking::Busy),
        Err(TryLockError::Error(error)) if is_unsupported(&error) => Ok(Locking::Unsupported(file)),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// True if an open file is the one that stands under `path` now.
pub fn is_same_file(file: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let (open, named) = (file.metadata().map(identity), fs::symlink_metadata(path).map(identity));
    open.is_ok_and(|open| named.is_ok_and(|named| open == named))
}

/// NFS without its lock daemon, Lustre without `flock`, and file systems that lock no directories.
fn is_unsupported(error: &io::Error) -> bool {
    const ERRORS: [i32; 5] = [libc::ENOLCK, libc::ENOSYS, libc::EOPNOTSUPP, libc::EBADF, libc::EINVAL];
    error.raw_os_error().is_some_and(|code| ERRORS.contains(&code))
}
