//! The file `index.state`: whether the index can be trusted, and how far the journal was durable at that moment.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::place::Position;
use crate::files;

/// The contents of `index.state`: `KIND DETAILS SEGMENT OFFSET CRC-32`. Version 0.1.0 wrote neither a position nor a checksum.
/// Where the checksum is wrong, nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexState {
    pub kind: StateKind,
    /// Everything before this position of the journal has been acknowledged.
    pub durable: Position,
}

/// What is known of the index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StateKind {
    /// Nothing.
    #[default]
    Unknown,
    /// It is open in this boot, or was when its process died. A copy of the directory has another inode.
    Open { boot: String, inode: u64 },
    /// It was closed, and its files have this checksum.
    Closed { seal: u32 },
    /// The journal was changed in another way than by appending.
    Distrusted,
}

impl IndexState {
    /// Reads the file of the store in `directory`.
    pub fn read(directory: &Path) -> Self {
        fs::read_to_string(path_of(directory)).ok().and_then(|text| Self::parse(&text)).unwrap_or_default()
    }

    /// Replaces the file, durably.
    pub fn write(&self, directory: &Path) -> Result<(), StoreError> {
        let path = path_of(directory);
        files::replace_file(&path, format!("{self}\n").as_bytes()).map_err(StoreError::io("write", &path))
    }

    /// Returns the state of an index that is opened now.
    pub fn opened(index: &Path, durable: Position) -> Self {
        use std::os::unix::fs::MetadataExt;
        let inode = fs::metadata(index).map_or(0, |metadata| metadata.ino());
        Self { kind: StateKind::Open { boot: this_boot(), inode }, durable }
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let [kind, details @ ..] = &text.split(' ').collect::<Vec<_>>()[..]
            && let Some(kind) = StateKind::parse(kind, details)
        {
            // Version 0.1.0.
            return Some(Self { kind, durable: Position::default() });
        }
        let (text, checksum) = text.rsplit_once(' ')?;
        if checksum != checksum_of(text) {
            return None;
        }
        let words: Vec<&str> = text.split(' ').collect();
        let [kind, details @ .., segment, offset] = &words[..] else { return None };
        let durable = Position { segment: segment.parse().ok()?, offset: offset.parse().ok()? };
        Some(Self { kind: StateKind::parse(kind, details)?, durable })
    }
}

impl StateKind {
    fn parse(kind: &str, details: &[&str]) -> Option<Self> {
        match (kind, details) {
            ("open", [boot, inode]) => Some(Self::Open { boot: (*boot).to_owned(), inode: inode.parse().ok()? }),
            ("closed", [seal]) => Some(Self::Closed { seal: u32::from_str_radix(seal, 16).ok()? }),
            ("distrusted", []) => Some(Self::Distrusted),
            _ => None,
        }
    }
}

impl fmt::Display for IndexState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { segment, offset } = self.durable;
        let text = match &self.kind {
            StateKind::Unknown => format!("unknown {segment} {offset}"),
            StateKind::Open { boot, inode } => format!("open {boot} {inode} {segment} {offset}"),
            StateKind::Closed { seal } => format!("closed {seal:08x} {segment} {offset}"),
            StateKind::Distrusted => format!("distrusted {segment} {offset}"),
        };
        write!(f, "{text} {}", checksum_of(&text))
    }
}

fn checksum_of(text: &str) -> String {
    format!("{:08x}", crc32fast::hash(text.as_bytes()))
}

fn path_of(directory: &Path) -> PathBuf {
    directory.join("index.state")
}

/// Returns the identifier of the current boot, or a text that no later boot matches if the system has none.
fn this_boot() -> String {
    Some(files::boot_id()).filter(|boot| !boot.is_empty()).unwrap_or_else(|| format!("unknown-{}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_comes_back_and_an_old_one_is_understood() {
        let durable = Position { segment: 3, offset: 99 };
        let kinds = [
            StateKind::Open { boot: "b-1".to_owned(), inode: 12 },
            StateKind::Closed { seal: 0xab },
            StateKind::Distrusted,
        ];
        for kind in kinds {
            let state = IndexState { kind, durable };
            assert_eq!(IndexState::parse(&state.to_string()), Some(state));
        }
        let old = |text| IndexState::parse(text).map(|state| (state.kind, state.durable));
        let open = StateKind::Open { boot: "b-1".to_owned(), inode: 12 };
        assert_eq!(old("open b-1 12\n"), Some((open, Position::default())));
        assert_eq!(old("closed 000000ab\n"), Some((StateKind::Closed { seal: 0xab }, Position::default())));
        for text in ["", "open", "closed", "closed x", "distrusted 1", "another boot"] {
            assert_eq!(IndexState::parse(text), None, "{text}");
        }
        let whole = IndexState { kind: StateKind::Closed { seal: 0xab }, durable }.to_string();
        for bit in 0..whole.len() * 8 {
            let mut changed = whole.clone().into_bytes();
            changed[bit / 8] ^= 1 << (bit % 8);
            let found = String::from_utf8(changed).ok().and_then(|changed| IndexState::parse(&changed));
            assert_eq!(found, None, "bit {bit}");
        }
    }

    #[test]
    fn an_index_is_opened_in_this_boot() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!files::boot_id().is_empty(), "Linux tells it");
        assert_eq!(this_boot(), files::boot_id());
        assert_eq!(IndexState::read(directory.path()), IndexState::default());
        let state = IndexState::opened(directory.path(), Position { segment: 3, offset: 99 });
        state.write(directory.path()).unwrap();
        assert_eq!(IndexState::read(directory.path()), state);
        assert_eq!(IndexState::opened(directory.path(), state.durable), state);
        assert_ne!(IndexState::opened(&directory.path().join("missing"), state.durable), state);
    }
}
