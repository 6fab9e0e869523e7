//! Whether a run is alive: its log holds a lock of its own, so that looking never takes the lock of the store.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use crate::files::{self, Locking, Owner, try_lock, try_lock_shared};

const NAME: &str = "lock";
/// A reader holds the lock for a moment; the run before may be writing its end.
const ATTEMPTS_MAX: u32 = 100;
const ATTEMPT_EVERY: Duration = Duration::from_millis(20);
const OWNER_BYTES_MAX: u64 = 1_000;

/// Held while a run writes its log.
pub struct Presence {
    _file: Option<File>,
}

impl Presence {
    /// Takes the lock in the log's folder. Without it the log is written all the same.
    pub fn begin(folder: &Path) -> Self {
        for _ in 0..ATTEMPTS_MAX {
            let Ok(file) = files::open_or_create_in(&folder.join(NAME)) else { break };
            match try_lock(file) {
                Ok(Locking::Held(mut file) | Locking::Unsupported(mut file)) => {
                    // For file systems without locks.
                    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", Owner::this()));
                    return Self { _file: Some(file) };
                }
                Ok(Locking::Busy) => std::thread::sleep(ATTEMPT_EVERY),
                Err(_) => break,
            }
        }
        Self { _file: None }
    }
}

/// What is known of the run that wrote last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alive {
    /// It is at work.
    Yes,
    /// It is gone.
    No,
    /// The file system has no locks, and the process is on another machine.
    Unknown,
}

/// Looks whether a run is at work.
pub fn look(folder: &Path) -> Alive {
    let Ok(file) = File::open(folder.join(NAME)) else { return Alive::No };
    match try_lock_shared(file) {
        Ok(Locking::Held(_)) => Alive::No,
        Ok(Locking::Busy) => Alive::Yes,
        Ok(Locking::Unsupported(file)) => owner_state(file),
        Err(_) => Alive::Unknown,
    }
}

fn owner_state(file: File) -> Alive {
    let mut text = String::new();
    let _ = file.take(OWNER_BYTES_MAX).read_to_string(&mut text);
    match Owner::parse(&text) {
        Some(owner) if owner.is_alive_here() => Alive::Yes,
        Some(owner) if owner.is_from_here() => Alive::No,
        _ => Alive::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_alive_while_it_holds_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(look(folder.path()), Alive::No);
        let presence = Presence::begin(folder.path());
        assert_eq!(look(folder.path()), Alive::Yes);
        drop(presence);
        assert_eq!(look(folder.path()), Alive::No);
    }
}
