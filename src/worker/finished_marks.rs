use std::sync::atomic::{AtomicU64, Ordering};

use super::row_bits::RowBits;

/// Rows whose conversations have ended, one bit for each, and what they come to.
#[derive(Debug, Default)]
pub struct FinishedMarks {
    rows: RowBits,
    answers: AtomicU64,
    unused: AtomicU64,
    conversations: AtomicU64,
}

/// What finished rows come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FinishedSum {
    /// Answers that the run's total counts.
    pub answers: u64,
    /// Answers that they have done without.
    pub unused: u64,
    /// Conversations.
    pub conversations: u64,
}

impl FinishedMarks {
    /// None of this many rows.
    pub fn new(rows: u64) -> Self {
        Self { rows: RowBits::new(rows), ..Self::default() }
    }

    /// Those that an earlier run has recorded.
    pub fn remembered(words: Vec<u64>, sum: FinishedSum) -> Self {
        Self {
            rows: RowBits::of_words(words),
            answers: sum.answers.into(),
            unused: sum.unused.into(),
            conversations: sum.conversations.into(),
        }
    }

    /// Adds a row, once.
    pub fn add(&self, row: u64, answers: u64, unused: u64) {
        if self.rows.set(row) == Some(true) {
            self.answers.fetch_add(answers, Ordering::Relaxed);
            self.unused.fetch_add(unused, Ordering::Relaxed);
            self.conversations.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// True if a row is one of them.
    pub fn has(&self, row: u64) -> bool {
        self.rows.has(row)
    }

    /// Returns what they come to.
    pub fn sum(&self) -> FinishedSum {
        let [answers, unused, conversations] =
            [&self.answers, &self.unused, &self.conversations].map(|sum| sum.load(Ordering::Relaxed));
        FinishedSum { answers, unused, conversations }
    }

    /// Returns the bits.
    pub fn words(&self) -> Vec<u64> {
        self.rows.words()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn marks_are_a_set_of_rows_and_their_sums(rows in 0..200u64, added in prop::collection::vec((0..220u64, 0..9u64, 0..9u64), 0..60)) {
            let marks = FinishedMarks::new(rows);
            let mut naive = std::collections::BTreeMap::new();
            for (row, answers, unused) in added {
                marks.add(row, answers, unused);
                // Rows are kept in words of 64; what lies beyond the last word is not remembered.
                if row < rows.div_ceil(64) * 64 {
                    naive.entry(row).or_insert((answers, unused));
                }
            }
            let sum = FinishedSum {
                answers: naive.values().map(|(answers, _)| answers).sum(),
                unused: naive.values().map(|(_, unused)| unused).sum(),
                conversations: naive.len() as u64,
            };
            prop_assert_eq!(marks.words().len() as u64, rows.div_ceil(64));
            for marks in [&marks, &FinishedMarks::remembered(marks.words(), marks.sum())] {
                prop_assert_eq!(marks.sum(), sum);
                (0..300).for_each(|row| assert_eq!(marks.has(row), naive.contains_key(&row), "{row}"));
            }
        }
    }
}
