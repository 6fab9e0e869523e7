use std::path::Path;

use super::entry::{ConversationState, Entry, KeptStanding};
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

    /// Returns the answer to a question that is used, of those at these places, in the order of the journal: the first one, unless
    /// a later one was kept in its place. An answer of another store has the number of its run there.
    ///
    /// `is_gone` is called where a place holds no entry any more.
    pub fn answer(
        &self,
        places: &[Place],
        fingerprint: &Fingerprint,
        is_gone: &mut dyn FnMut(),
    ) -> Result<Option<Stored>, StoreError> {
        let mut used = None;
        for place in places {
            match self.entry(*place)? {
                None => is_gone(),
                Some(entry) if entry.used_question() == Some(fingerprint) => {
                    let replaces =
                        matches!(&entry, Entry::Kept(kept) if matches!(kept.standing, KeptStanding::InPlaceOf(_)));
                    if used.is_none() || replaces {
                        used = Stored::from_entry(&entry);
                    }
                }
                Some(_) => {}
            }
        }
        Ok(used)
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

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::disk::DiskStore;
    use super::super::index::IndexReader;
    use super::super::samples::{conversation, entries, question};
    use crate::store::Store;

    #[test]
    fn a_journal_is_followed_in_steps_and_read_again_by_place() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(Follower::open(directory.path()), Err(StoreError::Missing { .. })));
        let medium = std::sync::Arc::new(crate::store::Disk);
        let (store, _) = DiskStore::open_with(directory.path(), 300, medium, &mut |_, _| {}).unwrap();
        for entry in entries() {
            store.commit(vec![entry]).unwrap();
        }
        let follower = Follower::open(directory.path()).unwrap();
        let read = |last, bytes_max| {
            let mut found = Vec::new();
            let visit = &mut |place, entry| {
                found.push((place, entry));
                Ok(())
            };
            let reached = follower.read(last, bytes_max, visit).unwrap();
            (reached, found)
        };
        let (all, found) = read(None, u64::MAX);
        assert!(segment_numbers(&directory.path().join("journal")).unwrap().len() > 2);
        assert_eq!(found.iter().map(|(_, entry)| entry.clone()).collect::<Vec<_>>(), entries());
        assert_eq!(all, Followed { last: found.last().map(|(place, _)| *place), is_at_end: true });
        // One step for each entry, then none.
        let mut last = None;
        for (place, entry) in &found {
            let (reached, step) = read(last, u64::from(place.length));
            assert_eq!((step, reached.is_at_end), (vec![(*place, entry.clone())], false));
            last = reached.last;
            assert_eq!(last, Some(*place));
            assert_eq!(follower.entry(*place).unwrap().as_ref(), Some(entry));
        }
        assert_eq!(read(last, 1), (Followed { last, is_at_end: true }, Vec::new()));
        let second = found[2].0;
        let journal = directory.path().join("journal");
        let length = |number: u32| std::fs::metadata(segment_path(&journal, number)).unwrap().len();
        let lengths: Vec<(u32, u64)> =
            segment_numbers(&journal).unwrap().into_iter().map(|number| (number, length(number))).collect();
        let total: u64 = lengths.iter().map(|(_, length)| length).sum();
        let read_already: u64 =
            lengths.iter().filter(|(number, _)| *number < second.segment).map(|(_, length)| length).sum();
        let left = total - read_already - second.end().offset;
        assert_eq!(follower.bytes(Some(second)).unwrap(), (total, left));
        assert_eq!(follower.bytes(None).unwrap(), (total, total));
        let answer = |place, number| {
            follower
                .answer(&[place], &question(number), &mut || {})
                .unwrap()
                .map(|stored| stored.answer.text().to_owned())
        };
        assert_eq!(answer(second, 2).as_deref(), Some("answer 2"));
        assert_eq!((answer(second, 1), answer(found[0].0, 2)), (None, None));
        assert_eq!(follower.entry(Place { offset: second.offset + 1, ..second }).unwrap(), None);
        let mut expected = MemoryIndex::default();
        for (place, entry) in &found {
            expected.add(*place, entry);
        }
        let places: Vec<Place> = found.iter().map(|(place, _)| *place).collect();
        for number in 1..=3 {
            let key = conversation(number);
            assert_eq!(follower.state(&key, &places).unwrap(), expected.state(&key).unwrap(), "{number}");
        }
        assert_eq!(follower.state(&conversation(1), &places[4..5]).unwrap(), None);
    }
}
