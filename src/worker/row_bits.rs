use std::sync::atomic::{AtomicU64, Ordering};

const BITS: u64 = u64::BITS as u64;

/// One bit for each row of a run, set by several threads.
#[derive(Debug, Default)]
pub struct RowBits(Vec<AtomicU64>);

impl RowBits {
    /// None is set of this many rows.
    pub fn new(rows: u64) -> Self {
        Self::of_words(vec![0; rows.div_ceil(BITS) as usize])
    }

    /// Takes the bits as [`words`](Self::words) returns them.
    pub fn of_words(words: Vec<u64>) -> Self {
        Self(words.into_iter().map(AtomicU64::new).collect())
    }

    /// Sets a row's bit. Returns true for the first one who does; `None` for a row that has no bit here.
    pub fn set(&self, row: u64) -> Option<bool> {
        let bit = 1 << (row % BITS);
        Some(self.word(row)?.fetch_or(bit, Ordering::AcqRel) & bit == 0)
    }

    /// True if a row's bit is set.
    pub fn has(&self, row: u64) -> bool {
        self.word(row).is_some_and(|word| word.load(Ordering::Acquire) & (1 << (row % BITS)) != 0)
    }

    /// Returns the bits, 64 rows a word.
    pub fn words(&self) -> Vec<u64> {
        self.0.iter().map(|word| word.load(Ordering::Acquire)).collect()
    }

    fn word(&self, row: u64) -> Option<&AtomicU64> {
        self.0.get((row / BITS) as usize)
    }
}
