use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::finished_marks::{FinishedMarks, FinishedSum};
use super::row_bits::RowBits;
use crate::recipe::Recipe;
use crate::store::ConversationState;

/// Counts what earlier runs have stored for the rows of a run, while the run is at work.
///
/// Each row is counted once: here, from its conversation's state, or by its session, answer by answer. Whoever
/// claims a row first counts it. A counter reads the state before it claims and a session claims before it asks
/// its first question, so no answer of this run is counted as one of an earlier run.
#[derive(Debug, Default)]
pub struct StoredCount {
    claims: RowBits,
    answers: AtomicU64,
    unused: AtomicU64,
    conversations: AtomicU64,
    is_exact: AtomicBool,
    /// Rows that are finished, as far as that is known.
    finished: FinishedMarks,
    /// What the finished rows came to that earlier runs have recorded.
    remembered: FinishedSum,
}

/// What the store holds for one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredRow {
    /// Answers that the run's total counts.
    pub answers: u64,
    /// The conversation has ended in an earlier run.
    pub is_finished: bool,
}

impl StoredRow {
    /// Returns what a conversation's state says.
    pub fn of(state: &ConversationState, recipe: &dyn Recipe) -> Self {
        let answers = state.history.iter().filter(|(slot, _)| recipe.is_counted(*slot)).count() as u64;
        Self { answers, is_finished: state.status.is_finished() }
    }
}

impl StoredCount {
    /// Nothing counted of this many rows.
    pub fn new(rows: u64) -> Self {
        Self::with_finished(rows, FinishedMarks::new(rows))
    }

    /// The same, where an earlier run has recorded which rows are finished.
    pub fn with_finished(rows: u64, finished: FinishedMarks) -> Self {
        Self { claims: RowBits::new(rows), remembered: finished.sum(), finished, ..Self::default() }
    }

    /// Returns the rows that are finished, as far as that is known.
    pub fn finished(&self) -> &FinishedMarks {
        &self.finished
    }

    /// Counts a row, unless its session does; `total` is how many answers it needs.
    pub fn add(&self, row: u64, stored: StoredRow, total: u64) {
        let answers = stored.answers.min(total);
        if stored.is_finished {
            self.finished.add(row, answers, total - answers);
        }
        if !self.claim(row) {
            return;
        }
        self.answers.fetch_add(answers, Ordering::Relaxed);
        if stored.is_finished {
            self.unused.fetch_add(total - answers, Ordering::Relaxed);
            self.conversations.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Records that every row is counted.
    pub fn finish(&self) {
        self.is_exact.store(true, Ordering::Release);
    }

    /// True once every row is counted.
    pub fn is_exact(&self) -> bool {
        self.is_exact.load(Ordering::Acquire)
    }

    /// Returns the counted answers; those of the remembered rows until there are more.
    pub fn answers(&self) -> u64 {
        self.known(&self.answers, self.remembered.answers)
    }

    /// Returns how many answers the counted conversations have done without that have ended.
    pub fn unused(&self) -> u64 {
        self.known(&self.unused, self.remembered.unused)
    }

    /// Returns how many of the counted conversations have ended.
    pub fn conversations(&self) -> u64 {
        self.known(&self.conversations, self.remembered.conversations)
    }

    /// Sessions open the remembered rows last, and count them here: what they report beside is never in both numbers.
    fn known(&self, counted: &AtomicU64, remembered: u64) -> u64 {
        let counted = counted.load(Ordering::Relaxed);
        if self.is_exact() { counted } else { counted.max(remembered) }
    }

    /// True for the first one who asks for a row, and always for a row that is not counted here.
    pub(super) fn claim(&self, row: u64) -> bool {
        self.claims.set(row).unwrap_or(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_the_least_until_the_count_is_exact() {
        let finished = FinishedMarks::new(70);
        (0..60).for_each(|row| finished.add(row, 4, 1));
        let count = StoredCount::with_finished(70, finished);
        assert_eq!((count.answers(), count.unused(), count.conversations()), (240, 60, 60));
        // One of them has lost an answer since.
        (1..60).for_each(|row| count.add(row, StoredRow { answers: 4, is_finished: true }, 5));
        count.add(0, StoredRow { answers: 3, is_finished: false }, 5);
        assert_eq!(count.answers(), 240);
        count.finish();
        assert_eq!((count.answers(), count.unused(), count.conversations()), (239, 59, 59));
        assert!(count.finished().has(59) && !count.finished().has(60));
    }

    #[test]
    fn a_row_is_counted_once_and_never_beyond_its_total() {
        let count = StoredCount::new(130);
        let stored = |answers, is_finished| StoredRow { answers, is_finished };
        count.add(0, stored(3, true), 3);
        count.add(0, stored(3, true), 3);
        count.add(64, stored(9, false), 4);
        count.add(129, stored(1, true), 5);
        assert!(!count.claim(0) && count.claim(1) && !count.claim(1));
        count.add(1, stored(7, true), 7);
        assert_eq!((count.answers(), count.unused(), count.conversations()), (8, 4, 2));
        assert!(count.claim(10_000) && count.claim(10_000), "rows that are not counted here");
        assert!(!count.is_exact());
        count.finish();
        assert!(count.is_exact());
    }

    #[test]
    fn a_row_that_is_finished_is_remembered_with_what_it_has_not_used() {
        let count = StoredCount::new(70);
        count.add(3, StoredRow { answers: 3, is_finished: true }, 8);
        count.add(4, StoredRow { answers: 9, is_finished: true }, 8);
        count.add(5, StoredRow { answers: 2, is_finished: false }, 8);
        let sum = count.finished().sum();
        assert_eq!((sum.answers, sum.unused, sum.conversations), (11, 5, 2));
    }
}
