use std::collections::BTreeMap;

/// What was done to a row to make turns of it, with how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes(BTreeMap<&'static str, u64>);

impl Notes {
    /// Counts something that was done, or seen.
    pub fn note(&mut self, what: &'static str, count: u64) {
        if count > 0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// Adds what was done to another row.
    pub fn add(&mut self, other: &Notes) {
        other.counts().for_each(|(what, count)| self.note(what, count));
    }

    /// Returns what was done, with how often.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(what, count)| (*what, *count))
    }
}
