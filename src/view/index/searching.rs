use std::io;
use std::sync::{Arc, PoisonError};

use memchr::memmem::Finder;

use super::ViewIndex;
use super::folded::{Voice, folded, occurs};

/// Searches that are remembered, so that the pages of a list, and looking again during a run, read only what is new.
const SEARCHES_MAX: usize = 4;

/// Items, a bit for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemSet(Vec<u64>);

impl ItemSet {
    /// True where an item is in the set.
    pub fn has(&self, item: u64) -> bool {
        self.0.get((item / 64) as usize).is_some_and(|word| word >> (item % 64) & 1 == 1)
    }

    /// True where one of these items is in the set.
    pub fn has_any(&self, items: std::ops::Range<u64>) -> bool {
        let (first, last) = ((items.start / 64) as usize, (items.end.div_ceil(64)) as usize);
        self.0.get(first..last.min(self.0.len())).is_some_and(|words| words.iter().any(|word| *word != 0))
    }

    fn set(&mut self, item: u64, is_in: bool) {
        let (word, bit) = ((item / 64) as usize, 1 << (item % 64));
        if is_in && self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(word) = self.0.get_mut(word) {
            *word = if is_in { *word | bit } else { *word & !bit };
        }
    }
}

/// Searches and what they found, the last one first.
#[derive(Default)]
pub struct Searches(Vec<Search>);

struct Search {
    needle: Vec<u8>,
    voice: Option<Voice>,
    /// The end of the texts that were searched.
    end: u64,
    found: Arc<ItemSet>,
}

impl ViewIndex {
    /// Returns the items in which a text occurs. One search works at a time.
    pub fn search(&self, text: &str, voice: Option<Voice>) -> io::Result<Arc<ItemSet>> {
        let needle = folded(text);
        let end = self.state().text_bytes;
        let mut searches = self.searches.lock().unwrap_or_else(PoisonError::into_inner);
        let Searches(known) = &mut *searches;
        let at = known.iter().position(|search| search.needle == needle && search.voice == voice);
        let mut search = match at {
            Some(at) => known.remove(at),
            None => Search { needle, voice, end: 0, found: Arc::default() },
        };
        if search.end < end {
            let mut found = ItemSet::clone(&search.found);
            let finder = Finder::new(&search.needle);
            self.texts.for_each(search.end..end, |text| {
                // An older text of the item may have had it.
                found.set(text.item, occurs(&finder, text.text, voice));
                Ok(())
            })?;
            search.end = end;
            search.found = Arc::new(found);
        }
        let found = Arc::clone(&search.found);
        known.insert(0, search);
        known.truncate(SEARCHES_MAX);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_grows_and_forgets() {
        let mut set = ItemSet::default();
        set.set(130, true);
        set.set(5, false);
        assert!(set.has(130) && !set.has(129) && !set.has(9_999));
        assert!(set.has_any(128..192) && !set.has_any(0..128) && !set.has_any(192..256));
        set.set(130, false);
        assert!(!set.has(130) && !set.has_any(0..192));
    }
}
