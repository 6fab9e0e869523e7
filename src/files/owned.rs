use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::durable::create_directories;
use super::lock::{Locking, is_same_file, try_lock};
use super::name::name_of;
use super::path::parent_of;
use super::private::create_in;

/// Attempts to create something under a name that another process is sweeping at the same moment.
const ATTEMPTS_MAX: usize = 100;
/// The lock of an owned directory.
const LOCK: &str = "lock";

/// A temporary file that belongs to this process while it is open, and is deleted when dropped. After a rename its name no
/// longer exists.
#[derive(Debug)]
pub struct Owned {
    path: PathBuf,
    _lock: File,
}

impl Owned {
    /// Creates `BASE.OWNER.ENDING` beside `base`, open for writing.
    pub fn create(base: &Path, ending: &str) -> io::Result<(Self, File)> {
        claim(|| {
            let path = named(base, ending);
            // The umask decides over the mode of outputs.
            let file = File::options().read(true).write(true).create_new(true).open(&path)?;
            Ok(claimed(file.try_clone()?, &path)?.map(|lock| (Self { path, _lock: lock }, file)))
        })
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// A temporary directory that belongs to this process, and is deleted when dropped.
#[derive(Debug)]
pub struct OwnedDirectory {
    path: PathBuf,
    _lock: File,
}

impl OwnedDirectory {
    /// Creates a directory of its own in `parent`, which is created if it is missing. Its mode is that of `parent`.
    pub fn create(parent: &Path) -> io::Result<Self> {
        create_directories(parent, false)?;
        Self::create_named(parent, "", false)
    }

    /// Creates a directory for this user alone in a directory that everybody uses.
    pub fn create_temporary(parent: &Path, prefix: &str) -> io::Result<Self> {
        Self::create_named(parent, prefix, true)
    }

    /// Creates a directory of its own in `parent`, or in the system's temporary directory where nothing can be created there.
    /// Deletes what dead processes left in the same place.
    pub fn create_or_temporary(parent: &Path, prefix: &str) -> io::Result<Self> {
        Self::sweep(parent, "");
        Self::create(parent).or_else(|_| {
            let shared = std::env::temp_dir();
            Self::sweep(&shared, prefix);
            Self::create_temporary(&shared, prefix)
        })
    }

    fn create_named(parent: &Path, prefix: &str, is_private: bool) -> io::Result<Self> {
        claim(|| {
            let path = parent.join(format!("{prefix}{}", own_name()));
            create_directories(&path, is_private)?;
            match create_in(&path.join(LOCK)).and_then(|lock| claimed(lock, &path.join(LOCK))) {
                // Another process has deleted the directory while it was empty.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                lock => Ok(lock?.map(|lock| Self { path, _lock: lock })),
            }
        })
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Deletes what dead processes left in `parent` under names that begin with `prefix`: what has a lock that nobody
    /// holds, and what is empty.
    pub fn sweep(parent: &Path, prefix: &str) {
        let begins = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
        for path in paths_in(parent).filter(begins) {
            let mut options = File::options();
            options.read(true).write(true).custom_flags(libc::O_NOFOLLOW);
            match options.open(path.join(LOCK)).and_then(try_lock) {
                // Deleted while the lock is held.
                Ok(Locking::Held(_lock)) => drop(fs::remove_dir_all(&path)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => drop(fs::remove_dir(&path)),
                _ => {}
            }
        }
    }
}

impl Drop for OwnedDirectory {
    fn drop(&mut self) {
        // The next run deletes it otherwise.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Deletes the temporary files `BASE.OWNER.ENDING` beside `base` that dead processes left: those whose lock nobody holds.
pub fn sweep(base: &Path, ending: &str) {
    for path in leftovers(base, ending) {
        let Ok(file) = File::options().read(true).write(true).custom_flags(libc::O_NOFOLLOW).open(&path) else {
            continue;
        };
        if let Ok(Locking::Held(lock)) = try_lock(file)
            && is_same_file(&lock, &path)
        {
            let _ = fs::remove_file(&path);
        }
    }
}

/// Returns what stands beside `base` as `BASE.OWNER.ENDING`.
pub(super) fn leftovers(base: &Path, ending: &str) -> Vec<PathBuf> {
    let Some(name) = base.file_name().map(name_of) else { return Vec::new() };
    let is_leftover = |path: &PathBuf| {
        let other = path.file_name().map(name_of).unwrap_or_default();
        let owner = other.strip_prefix(&name).and_then(|rest| rest.strip_prefix('.'));
        let owner = owner.and_then(|rest| rest.strip_suffix(ending)).and_then(|rest| rest.strip_suffix('.'));
        owner.is_some_and(|owner| {
            owner.contains('-') && owner.chars().all(|letter| letter.is_ascii_digit() || letter == '-')
        })
    };
    paths_in(parent_of(base)).filter(is_leftover).collect()
}

/// Returns `BASE.OWNER.ENDING`.
pub(super) fn named(base: &Path, ending: &str) -> PathBuf {
    let mut name = base.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.{ending}", own_name()));
    base.with_file_name(name)
}

/// Creates something that no other process takes for a leftover. `attempt` returns `None` where one has.
pub(super) fn claim<T>(mut attempt: impl FnMut() -> io::Result<Option<T>>) -> io::Result<T> {
    for _ in 0..ATTEMPTS_MAX {
        if let Some(claimed) = attempt()? {
            return Ok(claimed);
        }
    }
    Err(io::Error::other("another process deletes everything temporary at once"))
}

/// Locks a file or directory that was just created. `None` where another process took it for a leftover first.
pub(super) fn claimed(file: File, path: &Path) -> io::Result<Option<File>> {
    Ok(match try_lock(file)? {
        Locking::Held(file) => is_same_file(&file, path).then_some(file),
        Locking::Busy => None,
        // Nobody deletes what cannot be locked.
        Locking::Unsupported(file) => Some(file),
    })
}

/// Returns a name that nothing else of this or another process has: the process, the moment, and a number.
fn own_name() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{}-{}-{}", std::process::id(), now.as_nanos(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

fn paths_in(parent: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(parent).into_iter().flatten().flatten().map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_stays_and_what_was_left_goes() {
        let place = tempfile::tempdir().unwrap();
        let base = place.path().join("out.jsonl");
        let (held, _file) = Owned::create(&base, "partial").unwrap();
        let left = named(&base, "partial");
        fs::write(&left, "left behind").unwrap();
        let others = ["out.jsonl", "out.jsonl.mine.partial", "other.jsonl.1-2-3.partial"];
        for name in others {
            fs::write(place.path().join(name), "of somebody").unwrap();
        }
        sweep(&base, "partial");
        assert!(held.path().exists() && !left.exists());
        assert!(others.iter().all(|name| place.path().join(name).exists()));
        let spools = place.path().join("spool");
        let live = OwnedDirectory::create(&spools).unwrap();
        let dead = OwnedDirectory::create(&spools).unwrap();
        // As after a kill: the lock is gone, the directory is not.
        let (dead_path, copy) = (dead.path().to_owned(), spools.join("7-7-7"));
        fs::create_dir(&copy).unwrap();
        fs::copy(dead_path.join(LOCK), copy.join(LOCK)).unwrap();
        fs::create_dir(spools.join("from-0.1.0")).unwrap();
        fs::write(spools.join("from-0.1.0/rows"), "").unwrap();
        OwnedDirectory::sweep(&spools, "");
        assert!(live.path().exists() && dead_path.exists() && !copy.exists());
        assert!(spools.join("from-0.1.0").exists(), "nobody can prove that its owner is dead");
        drop(dead);
        assert!(!dead_path.exists());
    }
}
