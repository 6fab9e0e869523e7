use std::io;
use std::ops::Range;
use std::sync::{Arc, PoisonError};

use memchr::memmem::Finder;

use super::ViewIndex;
use super::folded::{Voice, folded, occurs};
use super::texts::HEADER_BYTES;

/// Searches that are remembered, so that the pages of a list, and looking again during a run, read only what is new.
const SEARCHES_MAX: usize = 4;

/// Threads of one search.
const THREADS_MAX: usize = 8;
/// Bytes of texts that are worth a thread.
const PART_BYTES_MIN: u64 = 8 << 20;

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
            for (item, is_in) in self.search_parts(search.end..end, &finder, voice)? {
                found.set(item, is_in);
            }
            search.end = end;
            search.found = Arc::new(found);
        }
        let found = Arc::clone(&search.found);
        known.insert(0, search);
        known.truncate(SEARCHES_MAX);
        Ok(found)
    }

    /// Searches a part of the texts on several threads. Returns each text's item with whether the needle occurs in it, in the order
    /// of the texts: an older text of an item may have had what a later one has not.
    fn search_parts(
        &self,
        range: Range<u64>,
        finder: &Finder<'_>,
        voice: Option<Voice>,
    ) -> io::Result<Vec<(u64, bool)>> {
        let bounds = self.bounds_of_parts(range)?;
        let search = |part: &[u64]| {
            let mut found = Vec::new();
            let searched = self.texts.for_each(part[0]..part[1], |text| {
                found.push((text.item, occurs(finder, text.text, voice)));
                Ok(())
            });
            searched.map(|()| found)
        };
        if let [_, _] = bounds[..] {
            return search(&bounds);
        }
        std::thread::scope(|scope| {
            let parts: Vec<_> = bounds.windows(2).map(|part| scope.spawn(move || search(part))).collect();
            let mut all = Vec::new();
            for part in parts {
                all.extend(part.join().map_err(|_| io::Error::other("a search has failed"))??);
            }
            Ok(all)
        })
    }

    /// Cuts a part of the texts where texts begin, into parts of about the same length for each processor.
    fn bounds_of_parts(&self, range: Range<u64>) -> io::Result<Vec<u64>> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX) as u64;
        let parts = ((range.end - range.start) / PART_BYTES_MIN).clamp(1, threads);
        let items = self.state().next;
        let mut bounds = vec![range.start, range.end];
        for part in 1..parts {
            // Items are read in order at first, so an item's number says roughly where its text is.
            let record = self.record(items * part / parts)?.filter(|record| record.is_read);
            let begin = record.map_or(0, |record| record.text.offset.saturating_sub(HEADER_BYTES as u64));
            if range.contains(&begin) {
                bounds.push(begin);
            }
        }
        bounds.sort_unstable();
        bounds.dedup();
        Ok(bounds)
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
