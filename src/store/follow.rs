use std::path::Path;

use super::entry::{ConversationState, Entry};
use super::error::StoreError;
use super::fold::fold;
use super::index::MemoryIndex;
use super::journal::{Journal, read_record};
use super::place::{Place, Position};
use super::scan::{Scan, ScanItem};
use super::segment::{segment_numbers, segment_path};
use crate::conversation::{ConversationKey, Fingerprint};
use crate::store::Stored;

/// Reads a journal as it grows, while another process may write it. It takes no lock and writes nothing.
///
/// An entry is seen as soon as it is written, which may be a moment before it is durable.
pub struct Follower {
    journal: Journal,
    directory: std::path::PathBuf,
}

/// How far a follower has read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// The last frame that was read.
    pub last: Option<Place>,
    /// True where nothing further was there.
    pub is_at_end: bool,
}

impl Follower {
    /// Follows the journal of the store in `store`.
    pub fn open(store: &Path) -> Result<Self, StoreError> {
        let directory = store.join("journal");
        if !directory.is_dir() {
            return Err(StoreError::Missing { path: store.to_owned() });
        }
        Ok(Self { journal: Journal::open_read_only(&directory), directory })
    }

    /// Passes the entries after `last` to `visit`, until about `bytes_max` bytes are read. Damage is skipped; an unfinished
    /// frame at the end is read when it is whole.
    pub fn read(
        &self,
        last: Option<Place>,
        bytes_max: u64,
        visit: &mut dyn FnMut(Place, Entry) -> Result<(), StoreError>,
    ) -> Result<Followed, StoreError> {
        let from = last.map_or(Position::default(), |last| last.end());
        let (mut last, mut bytes) = (last, 0);
        for segment in segment_numbers(&self.directory)?.into_iter().filter(|number| *number >= from.segment) {
            let path = segment_path(&self.directory, segment);
            let mut scan = Scan::open(&path, segment, if segment == from.segment { from.offset } else { 0 })?;
            while let Some(found) = scan.next()? {
                let ScanItem::Record { place, record, .. } = found else { continue };
                if let Some(entry) = read_record(&record, &path)? {
                    visit(place, entry)?;
                }
                last = Some(place);
                bytes += u64::from(place.length);
                if bytes >= bytes_max {
                    return Ok(Followed { last, is_at_end: false });
                }
            }
        }
        Ok(Followed { last, is_at_end: true })
    }

    /// Returns the entry at a place; `None` where something else is there now: the journal was repaired.
    pub fn entry(&self, place: Place) -> Result<Option<Entry>, StoreError> {
        self.journal.read(place)
    }

    /// Returns the answer at a place, where it is the one to this question.
    pub fn answer(&self, place: Place, fingerprint: &Fingerprint) -> Result<Option<Stored>, StoreError> {
        Ok(match self.entry(place)? {
            Some(entry @ Entry::Answered { fingerprint: found, .. }) if found == *fingerprint => {
                Stored::from_entry(&entry)
            }
            _ => None,
        })
    }

    /// Folds the entries at these places, in the order of the journal, into the state of their conversation.
    pub fn state(&self, key: &ConversationKey, places: &[Place]) -> Result<Option<ConversationState>, StoreError> {
        let mut index = MemoryIndex::default();
        for place in places {
            if let Some(entry) = self.entry(*place)? {
                match fold(&mut index, *place, &entry) {
                    Ok(()) => {}
                    Err(never) => match never {},
                }
            }
        }
        Ok(index.states.remove(key))
    }

    /// Returns how many bytes the journal has, and how many of them are after `last`.
    pub fn bytes(&self, last: Option<Place>) -> Result<(u64, u64), StoreError> {
        let end = last.map_or(Position::default(), |last| last.end());
        Ok((self.journal.bytes_from(Position::default())?, self.journal.bytes_from(end)?))
    }
}
