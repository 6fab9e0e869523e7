use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::names::Names;
use crate::files;
use crate::store::Place;

/// Changed whenever the files of an index, or what is made of a conversation, change.
const VERSION: u32 = 2;
/// Bytes of texts below which nothing is done about garbage.
const GARBAGE_BYTES_MIN: u64 = 256 << 20;

/// How far an index is made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IndexState {
    version: u32,
    identity: String,
    /// Rows of the input; the items after them are conversations without a row.
    pub rows: u64,
    /// Rows whose keys are known.
    pub registered: u64,
    /// Items that were read at least once: all before this one.
    pub next: u64,
    /// The last frame of the journal that is read: segment, offset, length, checksum.
    last: Option<(u32, u64, u32, u32)>,
    /// The names that records have numbers for.
    pub names: Names,
    /// Bytes of texts that a search still needs.
    pub live_text_bytes: u64,
    /// All items; counted from the records when the index is opened.
    #[serde(skip)]
    pub item_count: u64,
    /// Bytes of the file of heads; what is behind them belongs to items that are read again.
    pub head_bytes: u64,
    /// Bytes of the file of texts, likewise.
    pub text_bytes: u64,
}

impl IndexState {
    /// The state of an empty index.
    pub fn new(identity: &str, rows: u64) -> Self {
        Self {
            version: VERSION,
            identity: identity.to_owned(),
            rows,
            registered: 0,
            next: 0,
            last: None,
            names: Names::default(),
            live_text_bytes: 0,
            item_count: rows,
            head_bytes: 0,
            text_bytes: 0,
        }
    }

    /// Reads the state of an index; nothing where it is missing, or of something else.
    pub fn read(path: &Path, identity: &str, rows: u64) -> Option<Self> {
        let state: Self = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        let is_this = state.version == VERSION && state.identity == identity && state.rows == rows;
        is_this.then_some(state)
    }

    /// Writes the state.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        files::replace_file(path, &serde_json::to_vec(self)?)
    }

    /// Returns the last frame that is read.
    pub fn last(&self) -> Option<Place> {
        self.last.map(|(segment, offset, length, checksum)| Place { segment, offset, length, checksum })
    }

    /// Sets the last frame that is read.
    pub fn set_last(&mut self, last: Option<Place>) {
        self.last = last.map(|place| (place.segment, place.offset, place.length, place.checksum));
    }

    /// True where it is better to begin again.
    pub fn is_mostly_garbage(&self) -> bool {
        self.text_bytes > GARBAGE_BYTES_MIN && self.live_text_bytes < self.text_bytes / 3
    }
}
