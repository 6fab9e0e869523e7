//! Opening the index: is it to be trusted, and how far does it reach?

use std::fs;
use std::path::{Path, PathBuf};

use super::entry::Entry;
use super::error::StoreError;
use super::index::{CommitGroup, INDEX_BATCH_ENTRIES, StoreIndex};
use super::journal::Journal;
use super::place::{Damage, Position};
use super::sled_index::{SledIndex, seal};

/// What opening a store found, for the person to see.
#[derive(Debug, Default)]
pub struct Opened {
    /// Why the index was built anew, where it was.
    pub rebuilt: Option<String>,
    /// A torn end of the journal that was cut off.
    pub cut: Option<Damage>,
    /// Frames that cannot be read; each costs exactly its own answer.
    pub damages: Vec<Damage>,
}

/// Opens the index and replays what the journal has beyond it; an index that cannot be trusted is set aside first.
pub(super) fn open_index(
    directory: &Path,
    journal: &Journal,
    opened: &mut Opened,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<SledIndex, StoreError> {
    let path = directory.join("index");
    let fresh = !path.exists() && journal.bytes_from(Position::default())? == 0;
    let distrusted = if fresh { None } else { distrust_reason(directory, &path) };
    if distrusted.is_none() {
        mark_open(directory, &path)?;
        match open_and_catch_up(&path, journal, opened, progress) {
            Ok(index) => return Ok(index),
            Err(error) => opened.rebuilt = Some(error.to_string()),
        }
    } else {
        opened.rebuilt = distrusted;
    }
    // In this order: what is not trusted is out of the way before anything says that the index is at work.
    move_aside(directory, &path)?;
    mark_open(directory, &path)?;
    open_and_catch_up(&path, journal, opened, progress)
}

/// Writes down that the index is at work, and in which boot.
fn mark_open(directory: &Path, index: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(index).map_err(StoreError::io("create", index))?;
    write_index_state(directory, &open_marker(index))
}

fn open_and_catch_up(
    path: &Path,
    journal: &Journal,
    opened: &mut Opened,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<SledIndex, StoreError> {
    let index = without_panic_output(|| SledIndex::open(path))?;
    let covered = match index.checkpoint()? {
        None => Position::default(),
        Some(last) if journal.read(last)?.is_some() => last.end(),
        Some(_) => {
            let reason = "it was made of another journal, or of more than this one holds".to_owned();
            return Err(StoreError::Index { path: path.to_owned(), reason });
        }
    };
    let bytes_total = journal.bytes_from(covered)?;
    let mut bytes_done = 0;
    let mut batch = Vec::new();
    let flush = |batch: &mut CommitGroup| index.apply(batch).inspect(|()| batch.clear());
    opened.damages = journal.for_each(covered, |place, entry| {
        // An index from before a damaged answer was replaced still names the damaged one.
        if let Entry::Answered { fingerprint, .. } = &entry
            && let Some(known) = index.place(fingerprint)?
            && journal.read(known)?.is_none()
        {
            index.forget(fingerprint, known)?;
        }
        batch.push((place, entry));
        bytes_done += u64::from(place.length);
        if batch.len() < INDEX_BATCH_ENTRIES {
            return Ok(());
        }
        progress(bytes_done, bytes_total);
        flush(&mut batch)
    })?;
    flush(&mut batch)?;
    Ok(index)
}

/// Writes down that the index was closed in order, and what it looked like then.
pub(super) fn mark_closed(directory: &Path, seal: u32) -> Result<(), StoreError> {
    write_index_state(directory, &closed_marker(seal))
}

/// True where the index was closed in order.
pub(super) fn is_closed(directory: &Path) -> bool {
    fs::read_to_string(index_state_path(directory)).is_ok_and(|state| state.starts_with("closed "))
}

/// What stands in `index.state` after a close in order.
fn closed_marker(seal: u32) -> String {
    format!("closed {seal:08x}")
}

/// Returns why the index cannot be trusted. After a close in order it can, if it is as it was then; after a crash
/// only within the same boot, because then everything that sled wrote is still in the page cache.
pub(super) fn distrust_reason(directory: &Path, index: &Path) -> Option<String> {
    if !index.is_dir() {
        return Some("it is missing".to_owned());
    }
    let state = fs::read_to_string(index_state_path(directory)).unwrap_or_default();
    let state = state.trim();
    if state == open_marker(index) {
        return None;
    }
    if !state.starts_with("closed ") {
        return Some("it was not closed before the machine went down".to_owned());
    }
    match seal(index) {
        Ok(seal) if closed_marker(seal) == state => None,
        Ok(_) => Some("its files have changed since it was closed".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

fn move_aside(directory: &Path, index: &Path) -> Result<(), StoreError> {
    if !index.exists() {
        return Ok(());
    }
    let aside = directory.join("index.aside");
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(StoreError::io("delete", &aside))?;
    }
    fs::rename(index, &aside).map_err(StoreError::io("set aside", index))
}

fn index_state_path(directory: &Path) -> PathBuf {
    directory.join("index.state")
}

fn write_index_state(directory: &Path, state: &str) -> Result<(), StoreError> {
    let path = index_state_path(directory);
    let written = fs::write(&path, format!("{state}\n")).and_then(|()| fs::File::open(&path)?.sync_all());
    written.map_err(StoreError::io("write", &path))
}

/// What stands in `index.state` while the index is open: the boot, and which directory it is, so that a copy of a
/// store that is at work is not taken for the store.
fn open_marker(index: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    let inode = fs::metadata(index).map_or(0, |metadata| metadata.ino());
    format!("open {} {inode}", boot_id())
}

/// Returns what names this boot of the machine; where the system does not say, nothing that a later boot would match.
fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| format!("unknown boot, process {}", std::process::id()), |id| id.trim().to_owned())
}

/// Runs `action` without the panic messages that sled prints about damaged files.
fn without_panic_output<T>(action: impl FnOnce() -> T) -> T {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let value = action();
    std::panic::set_hook(hook);
    value
}
