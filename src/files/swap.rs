//! Directories that are replaced as a whole.
//!
//! The new one is written as `DIR.OWNER.partial`, synced, and swapped in by two renames: the old one becomes
//! `DIR.OWNER.old`, the new one gets its name. A process that is killed in between leaves both; the next one finishes.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::durable::sync_directory;
use super::lock::{Locking, try_lock};
use super::owned::{claim, claimed, leftovers, named};
use super::path::parent_of;

const PARTIAL: &str = "partial";
const OLD: &str = "old";

/// A directory that is being written, to replace another one. Deleted when dropped before that.
#[derive(Debug)]
pub struct NewDirectory {
    target: PathBuf,
    partial: PathBuf,
    _lock: File,
}

impl NewDirectory {
    /// Creates the new directory for `target`. Finishes first what a killed process left there.
    pub fn create(target: &Path) -> io::Result<Self> {
        finish_swaps(target)?;
        sweep_directories(target);
        fs::create_dir_all(parent_of(target))?;
        claim(|| {
            let partial = named(target, PARTIAL);
            fs::create_dir(&partial)?;
            let lock = claimed(File::open(&partial)?, &partial)?;
            Ok(lock.map(|lock| Self { target: target.to_owned(), partial, _lock: lock }))
        })
    }

    /// Returns where it is written.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Swaps it in. Its contents must have been synced; its names are.
    pub fn place(self) -> io::Result<()> {
        sync_directory(&self.partial)?;
        let old = self.partial.with_extension(OLD);
        let held = match File::open(&self.target) {
            Ok(directory) => Some(try_lock(directory)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if held.is_some() {
            fs::rename(&self.target, &old)?;
        }
        fs::rename(&self.partial, &self.target)?;
        sync_directory(parent_of(&self.target))?;
        if held.is_some() {
            fs::remove_dir_all(&old)?;
        }
        Ok(())
    }
}

impl Drop for NewDirectory {
    fn drop(&mut self) {
        // After the swap nothing has this name any more.
        let _ = fs::remove_dir_all(&self.partial);
    }
}

/// Finishes the swaps of `target` that were interrupted: the new directory was complete when its swap began.
pub fn finish_swaps(target: &Path) -> io::Result<()> {
    for old in leftovers(target, OLD) {
        let Ok(Locking::Held(_lock)) = File::open(&old).and_then(try_lock) else { continue };
        if !target.exists() {
            let partial = old.with_extension(PARTIAL);
            fs::rename(if partial.exists() { &partial } else { &old }, target)?;
            sync_directory(parent_of(target))?;
        }
        if old.exists() {
            fs::remove_dir_all(&old)?;
        }
    }
    Ok(())
}

fn sweep_directories(target: &Path) {
    for partial in leftovers(target, PARTIAL).into_iter().filter(|path| path.is_dir()) {
        if let Ok(Locking::Held(_lock)) = File::open(&partial).and_then(try_lock) {
            let _ = fs::remove_dir_all(&partial);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(path: &Path, content: &str) {
        fs::create_dir(path).unwrap();
        fs::write(path.join("file"), content).unwrap();
    }

    #[test]
    fn a_swap_that_was_killed_anywhere_is_finished() {
        for (has_target, has_old, has_partial, expected) in [
            (true, false, true, "old"),
            (false, true, true, "new"),
            (true, true, false, "new"),
            (false, true, false, "old"),
        ] {
            let place = tempfile::tempdir().unwrap();
            let target = place.path().join("out");
            let partial = named(&target, PARTIAL);
            let old = partial.with_extension(OLD);
            if has_old {
                directory(&old, "old");
            }
            if has_partial {
                directory(&partial, "new");
            }
            if has_target {
                directory(&target, if has_old { "new" } else { "old" });
            }
            let next = NewDirectory::create(&target).unwrap();
            assert_eq!(fs::read_to_string(target.join("file")).unwrap(), expected);
            fs::write(next.path().join("file"), "newest").unwrap();
            assert!(!old.exists() && !partial.exists());
            next.place().unwrap();
            assert_eq!(fs::read_to_string(target.join("file")).unwrap(), "newest");
            assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "nothing is left over");
        }
    }

    #[test]
    fn a_directory_that_another_process_writes_stays() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("out");
        let first = NewDirectory::create(&target).unwrap();
        let second = NewDirectory::create(&target).unwrap();
        assert!(first.path().exists());
        second.place().unwrap();
        first.place().unwrap();
        assert!(target.exists());
    }
}
