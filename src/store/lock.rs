use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use super::error::StoreError;
use crate::files::{self, Locking, Owner, is_same_file, try_lock, try_lock_shared};

/// The exclusive right to write to a store. The operating system releases it when the process ends, however it ends.
///
/// Both the file `lock` and the directory itself are locked, so that deleting the file does not let a second process in.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    _directory: File,
}

/// Attempts to lock a file that is being deleted and created again.
const ATTEMPTS_MAX: usize = 10;
/// A reader that asks who writes holds the lock for an instant ([`writer_of`]); a writer that begins in that instant waits.
const WAIT: Duration = Duration::from_millis(10);
const WAITS_MAX: usize = 50;

impl Lock {
    /// Locks the store in `directory`, or returns the holder as an error. Also returns a caution where locks may not hold.
    pub fn take(directory: &Path) -> Result<(Self, Option<String>), StoreError> {
        for _ in 0..WAITS_MAX {
            match Self::take_now(directory) {
                Err(StoreError::Locked { .. }) => std::thread::sleep(WAIT),
                other => return other,
            }
        }
        Self::take_now(directory)
    }

    /// As [`Lock::take`], without waiting for a reader that asks who writes.
    pub fn take_now(directory: &Path) -> Result<(Self, Option<String>), StoreError> {
        let path = directory.join("lock");
        let opened = File::open(directory).map_err(StoreError::io("open", directory))?;
        let (opened, locks_directory) = hold(opened, directory, directory)?;
        for _ in 0..ATTEMPTS_MAX {
            let file = files::open_or_create_in(&path).map_err(StoreError::io("open", &path))?;
            let (mut file, locks_file) = hold(file, &path, directory)?;
            if !is_same_file(&file, &path) {
                continue;
            }
            let has_lock = locks_directory || locks_file;
            if !has_lock {
                refuse_living_owner(directory, &path)?;
            }
            // For messages, and for file systems without locks.
            let written =
                file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", Owner::this()));
            if !has_lock {
                written.map_err(StoreError::io("write", &path))?;
            }
            let caution = if has_lock { files::lock_caution(directory) } else { Some(unlocked(directory)) };
            return Ok((Self { _file: file, _directory: opened }, caution));
        }
        Err(locked(directory, "unknown"))
    }
}

/// Returns the process that writes to the store in `directory`, if one does. Writes nothing and needs no right to write.
pub fn writer_of(directory: &Path) -> Option<String> {
    let path = directory.join("lock");
    let mut has_lock = false;
    for place in [directory, &path] {
        match File::open(place).and_then(try_lock_shared) {
            Ok(Locking::Busy) => return Some(holder(&path)),
            Ok(Locking::Held(_)) => has_lock = true,
            // Without the file, the directory says it alone.
            Ok(Locking::Unsupported(_)) | Err(_) => {}
        }
    }
    owner(&path).filter(|owner| !has_lock && owner.is_alive_here()).map(|owner| owner.place())
}

/// Locks a file or directory of the store in `directory`. Returns whether the file system could.
fn hold(file: File, path: &Path, directory: &Path) -> Result<(File, bool), StoreError> {
    match try_lock(file).map_err(StoreError::io("lock", path))? {
        Locking::Held(file) => Ok((file, true)),
        Locking::Unsupported(file) => Ok((file, false)),
        Locking::Busy => Err(locked(directory, &holder(&directory.join("lock")))),
    }
}

fn locked(directory: &Path, holder: &str) -> StoreError {
    StoreError::Locked { path: directory.to_owned(), holder: holder.to_owned() }
}

/// Returns the process in the lock file.
fn holder(path: &Path) -> String {
    owner(path).map_or_else(|| "unknown".to_owned(), |owner| owner.place())
}

fn owner(path: &Path) -> Option<Owner> {
    const OWNER_BYTES_MAX: u64 = 1_000;
    let mut text = String::new();
    File::open(path).ok()?.take(OWNER_BYTES_MAX).read_to_string(&mut text).ok()?;
    Owner::parse(&text)
}

/// Without locks the process that the lock file names is all that is known. One that is alive here holds the store; one on
/// another host cannot be looked up, and the caution says so.
fn refuse_living_owner(directory: &Path, path: &Path) -> Result<(), StoreError> {
    let holder = owner(path).filter(|owner| owner.is_alive_here() && *owner != Owner::this());
    holder.map_or(Ok(()), |owner| Err(locked(directory, &owner.place())))
}

fn unlocked(directory: &Path) -> String {
    format!(
        "the file system of {} has no locks: run one process on this store at a time; a second one is only noticed when it writes",
        directory.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_waits_for_one_that_looks_and_is_seen() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(writer_of(place.path()), None);
        let Ok(Locking::Held(looking)) = File::open(place.path()).and_then(try_lock_shared) else { panic!() };
        let writer = std::thread::scope(|scope| {
            let writer = scope.spawn(|| Lock::take(place.path()));
            std::thread::sleep(WAIT);
            drop(looking);
            writer.join().unwrap().unwrap()
        });
        let here = Owner::this().place();
        assert_eq!(writer_of(place.path()), Some(here.clone()));
        let refused = Lock::take(place.path()).unwrap_err();
        assert!(matches!(refused, StoreError::Locked { holder, .. } if holder == here));
        drop(writer);
        assert_eq!(writer_of(place.path()), None);
    }

    #[test]
    fn without_locks_a_living_owner_is_refused_and_others_are_not() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lock");
        let refused = || refuse_living_owner(place.path(), &path);
        refused().unwrap();
        let write = |owner: &str| std::fs::write(&path, owner).unwrap();
        write(&Owner::this().to_string());
        refused().unwrap();
        // The parent of this process is alive; no process has the number 0.
        let as_process =
            |process: u32| Owner::this().to_string().replacen(&std::process::id().to_string(), &process.to_string(), 1);
        write(&as_process(std::os::unix::process::parent_id()));
        match refused() {
            Err(StoreError::Locked { path, holder }) => {
                assert_eq!((path.as_path(), holder.is_empty()), (place.path(), false));
            }
            other => panic!("{other:?}"),
        }
        write(&as_process(0));
        refused().unwrap();
        write("no owner");
        refused().unwrap();
        let caution = unlocked(Path::new("/mnt/nfs"));
        assert!(caution.starts_with("the file system of /mnt/nfs has no locks: run one process"), "{caution}");
    }
}
