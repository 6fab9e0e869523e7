//! Opens the index, and rebuilds it if it cannot be trusted.

use std::fs;
use std::ops::Range;
use std::path::Path;

use super::accepted::Accepted;
use super::continuity::FoundSegment;
use super::error::StoreError;
use super::index::{CommitGroup, INDEX_BATCH_ENTRIES, IndexReader, StoreIndex};
use super::index_state::{IndexState, StateKind};
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
    /// A caution about locks on this file system.
    pub caution: Option<String>,
}

/// Opens the index, makes the journal ready to be appended to, and replays its entries after the index's checkpoint. An
/// untrusted index is first moved aside. Stops if a part of the journal is gone.
pub(super) fn open_index(
    directory: &Path,
    journal: &Journal,
    opened: &mut Opened,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<SledIndex, StoreError> {
    let path = directory.join("index");
    let state = IndexState::read(directory);
    let segments = journal.found_segments(false)?;
    refuse_losses(directory, &segments, state.durable)?;
    let is_fresh = !path.exists() && journal.bytes_from(Position::default())? == 0;
    opened.rebuilt = if is_fresh { None } else { distrust_reason(&state, &path) };
    let mut durable = state.durable;
    let mut trusted = None;
    if opened.rebuilt.is_none() {
        mark_open(directory, &path, durable)?;
        match open_with_checkpoint(&path) {
            Ok((index, covered)) => {
                durable = durable.max(covered);
                if let Err(loss) = refuse_losses(directory, &segments, durable) {
                    // The next open must find this out as well, in whatever boot.
                    let kind = StateKind::Closed { seal: index.close()? };
                    IndexState { kind, durable }.write(directory)?;
                    return Err(loss);
                }
                trusted = Some((index, covered));
            }
            Err(error) => opened.rebuilt = Some(error.to_string()),
        }
    }
    opened.cut = journal.recover(durable)?;
    if let Some((index, covered)) = trusted {
        match catch_up(&path, &index, covered..Position::MAX, journal, opened, progress) {
            Ok(()) => return Ok(index),
            Err(error) => opened.rebuilt = Some(error.to_string()),
        }
    }
    // The order matters: an untrusted index is out of the way before a marker says that the index is open.
    move_aside(directory, &path)?;
    mark_open(directory, &path, durable)?;
    let index = without_panic_output(|| SledIndex::open(&path))?;
    catch_up(&path, &index, Position::default()..Position::MAX, journal, opened, progress)?;
    Ok(index)
}

/// Stops where a part of the journal is gone that nobody has accepted as lost.
pub(super) fn refuse_losses(directory: &Path, segments: &[FoundSegment], durable: Position) -> Result<(), StoreError> {
    let losses = Accepted::read(directory).losses_among(segments, durable);
    if losses.is_empty() { Ok(()) } else { Err(StoreError::Lost { path: directory.to_owned(), losses }) }
}

/// Writes the marker that the index is open, with the current boot.
fn mark_open(directory: &Path, index: &Path, durable: Position) -> Result<(), StoreError> {
    crate::files::create_directories(index, false).map_err(StoreError::io("create", index))?;
    IndexState::opened(index, durable).write(directory)
}

pub(super) fn open_with_checkpoint(path: &Path) -> Result<(SledIndex, Position), StoreError> {
    let index = without_panic_output(|| SledIndex::open(path))?;
    let covered = index.covered()?;
    Ok((index, covered))
}

/// Folds the journal's entries from the start of `unread` on into the index. Everything up to its end is known to have been
/// acknowledged.
pub(super) fn catch_up(
    path: &Path,
    index: &SledIndex,
    unread: Range<Position>,
    journal: &Journal,
    opened: &mut Opened,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), StoreError> {
    if let Some(last) = index.checkpoint()?
        && journal.read(last)?.is_none()
    {
        let reason = "it was built from another journal, or its last entry is damaged".to_owned();
        return Err(StoreError::Index { path: path.to_owned(), reason });
    }
    let bytes_total = journal.bytes_from(unread.start)?;
    let mut bytes_done = 0;
    let mut batch = Vec::new();
    let flush = |batch: &mut CommitGroup| index.apply(batch).inspect(|()| batch.clear());
    opened.damages = journal.for_each(unread.start, unread.end, |place, entry| {
        // The index may still hold the place of a damaged answer that was replaced later.
        if let Some(fingerprint) = entry.question()
            && let Some(known) = index.place(fingerprint)?
            && journal.read(known)?.is_none()
        {
            index.replace(fingerprint, known, None)?;
        }
        batch.push((place, entry));
        bytes_done += u64::from(place.length);
        if batch.len() < INDEX_BATCH_ENTRIES {
            return Ok(());
        }
        progress(bytes_done, bytes_total);
        flush(&mut batch)
    })?;
    flush(&mut batch)
}

/// Returns the reason why the index cannot be trusted. After a clean close it is trusted if its files are unchanged;
/// after a crash only within the same boot, because everything that sled wrote is then still in the page cache.
pub(super) fn distrust_reason(state: &IndexState, index: &Path) -> Option<String> {
    let reason = distrust_before_reading(state, index);
    reason.or_else(|| match (&state.kind, seal(index)) {
        (StateKind::Closed { seal: closed }, Ok(found)) => (found != *closed).then(|| CHANGED.to_owned()),
        (StateKind::Closed { .. }, Err(error)) => Some(error.to_string()),
        _ => None,
    })
}

/// Why a closed index with another checksum is not trusted.
pub(super) const CHANGED: &str = "its files have changed since it was closed";

/// Returns the reason why the index cannot be trusted, whatever its files hold.
pub(super) fn distrust_before_reading(state: &IndexState, index: &Path) -> Option<String> {
    if !index.is_dir() {
        return Some("it is missing".to_owned());
    }
    match &state.kind {
        StateKind::Closed { .. } => None,
        StateKind::Open { .. } if IndexState::opened(index, state.durable) == *state => None,
        StateKind::Distrusted => Some("the journal was repaired".to_owned()),
        StateKind::Open { .. } | StateKind::Unknown => {
            Some("it was not closed before the machine went down".to_owned())
        }
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

/// Runs `action` without the panic messages that sled prints about damaged files.
fn without_panic_output<T>(action: impl FnOnce() -> T) -> T {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let value = action();
    std::panic::set_hook(hook);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_trusted_only_where_its_state_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let index = directory.path().join("index");
        let of = |kind| IndexState { kind, durable: Position::default() };
        let before = |state: &IndexState| distrust_before_reading(state, &index);
        let reason = |kind| distrust_reason(&of(kind), &index);
        assert_eq!(before(&of(StateKind::Closed { seal: 0 })).as_deref(), Some("it is missing"));
        fs::create_dir(&index).unwrap();
        fs::write(index.join("db"), "words").unwrap();
        let down = Some("it was not closed before the machine went down".to_owned());
        let opened = IndexState::opened(&index, Position { segment: 2, offset: 3 });
        assert_eq!(opened.durable, Position { segment: 2, offset: 3 });
        assert_eq!((before(&opened), distrust_reason(&opened, &index)), (None, None));
        let StateKind::Open { boot, inode } = opened.kind else { panic!("it is open") };
        assert_eq!(reason(StateKind::Open { boot: boot.clone(), inode: inode + 1 }), down, "a copy");
        assert_eq!(reason(StateKind::Open { boot: "another".to_owned(), inode }), down);
        assert!(!boot.is_empty() && boot != "another");
        assert_eq!(reason(StateKind::Unknown), down);
        assert_eq!(reason(StateKind::Distrusted).as_deref(), Some("the journal was repaired"));
        let sealed = seal(&index).unwrap();
        assert_eq!(reason(StateKind::Closed { seal: sealed }), None);
        assert_eq!(reason(StateKind::Closed { seal: sealed ^ 1 }).as_deref(), Some(CHANGED));
        assert_eq!(before(&of(StateKind::Closed { seal: sealed ^ 1 })), None, "nothing was read");
    }

    #[test]
    fn an_untrusted_index_is_moved_aside_and_the_one_before_it_is_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let (index, aside) = (directory.path().join("index"), directory.path().join("index.aside"));
        move_aside(directory.path(), &index).unwrap();
        assert!(!aside.exists(), "no file was set aside");
        for text in ["one", "two"] {
            fs::create_dir(&index).unwrap();
            fs::write(index.join("db"), text).unwrap();
            move_aside(directory.path(), &index).unwrap();
            assert!(!index.exists());
            assert_eq!(fs::read_to_string(aside.join("db")).unwrap(), text);
        }
    }
}
