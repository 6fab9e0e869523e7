//! Opens the index, and rebuilds it if it cannot be trusted.

use std::fs;
use std::path::{Path, PathBuf};

use super::entry::Entry;
use super::error::StoreError;
use super::index::{CommitGroup, INDEX_BATCH_ENTRIES, StoreIndex};
use super::journal::Journal;
use super::place::{Damage, Position};
use super::sled_index::{SledIndex, seal};

/// The findings of opening a store, for the user.
#[derive(Debug, Default)]
pub struct Opened {
    /// The reason why the index was rebuilt, if it was.
    pub rebuilt: Option<String>,
    /// A torn tail of the journal that was truncated.
    pub cut: Option<Damage>,
    /// Frames that cannot be read; each loses only its own answer.
    pub damages: Vec<Damage>,
}

/// Opens the index and replays the journal's entries after its checkpoint. An untrusted index is first moved aside.
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
    // The order matters: an untrusted index is out of the way before a marker says that the index is open.
    move_aside(directory, &path)?;
    mark_open(directory, &path)?;
    open_and_catch_up(&path, journal, opened, progress)
}

/// Writes the marker that the index is open, with the current boot.
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
            let reason = "it was built from another journal, or from more entries than this one has".to_owned();
            return Err(StoreError::Index { path: path.to_owned(), reason });
        }
    };
    let bytes_total = journal.bytes_from(covered)?;
    let mut bytes_done = 0;
    let mut batch = Vec::new();
    let flush = |batch: &mut CommitGroup| index.apply(batch).inspect(|()| batch.clear());
    opened.damages = journal.for_each(covered, |place, entry| {
        // The index may still hold the place of a damaged answer that was replaced later.
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

/// Writes the marker that the index was closed cleanly, with its checksum.
pub(super) fn mark_closed(directory: &Path, seal: u32) -> Result<(), StoreError> {
    write_index_state(directory, &closed_marker(seal))
}

/// True if the index was closed cleanly.
pub(super) fn is_closed(directory: &Path) -> bool {
    fs::read_to_string(index_state_path(directory)).is_ok_and(|state| state.starts_with("closed "))
}

/// The contents of `index.state` after a clean close.
fn closed_marker(seal: u32) -> String {
    format!("closed {seal:08x}")
}

/// Returns the reason why the index cannot be trusted. After a clean close it is trusted if its files are unchanged;
/// after a crash only within the same boot, because everything that sled wrote is then still in the page cache.
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
    fs::rename(index, &aside).map_err(StoreError::io("move aside", index))
}

fn index_state_path(directory: &Path) -> PathBuf {
    directory.join("index.state")
}

fn write_index_state(directory: &Path, state: &str) -> Result<(), StoreError> {
    let path = index_state_path(directory);
    let written = fs::write(&path, format!("{state}\n")).and_then(|()| fs::File::open(&path)?.sync_all());
    written.map_err(StoreError::io("write", &path))
}

/// The contents of `index.state` while the index is open: the boot and the directory's inode, so that a copy of an open
/// store is not taken for the store.
fn open_marker(index: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    let inode = fs::metadata(index).map_or(0, |metadata| metadata.ino());
    format!("open {} {inode}", boot_id())
}

/// Returns the identifier of the current boot, or a text that no later boot matches if the system has none.
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
