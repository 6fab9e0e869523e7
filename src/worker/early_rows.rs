use std::collections::HashSet;

/// How many rows are opened early.
pub const SHORT_ROWS: usize = 8;
/// How many opened rows are remembered. A run that has opened more does not open rows out of order.
const OPENED_MAX: usize = 1 << 16;

/// Rows that are opened out of order, to find a short question.
#[derive(Debug, Default)]
pub struct EarlyRows {
    /// Every row that was opened, up to the limit; a row opened early is not opened again in its turn.
    opened: HashSet<u64>,
    /// True once the shortest rows have been opened.
    pub looked: bool,
    /// Their sessions that have not asked anything yet.
    pub silent: HashSet<u64>,
}

impl EarlyRows {
    /// True for a row that was opened early.
    pub fn is_opened(&self, row: u64) -> bool {
        self.opened.contains(&row)
    }

    /// Records that a row is opened.
    pub fn on_opened(&mut self, row: u64) {
        if self.opened.len() < OPENED_MAX {
            self.opened.insert(row);
        }
    }

    /// Records that a session has asked a question, or is over.
    pub fn on_asked(&mut self, session: u64) {
        self.silent.remove(&session);
    }

    /// True while every opened row is remembered, and those opened early will be too.
    pub fn may_open(&self) -> bool {
        self.opened.len() + SHORT_ROWS <= OPENED_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_opened_out_of_order_only_while_every_opened_row_is_remembered() {
        let mut early = EarlyRows::default();
        assert!(early.may_open() && !early.is_opened(0));
        for row in 0..2 * OPENED_MAX as u64 {
            assert!(!early.may_open() || (0..row).rev().take(9).all(|earlier| early.is_opened(earlier)), "{row}");
            early.on_opened(row);
        }
        assert!(!early.may_open() && early.opened.len() == OPENED_MAX);
        early.opened = (0..(OPENED_MAX - SHORT_ROWS) as u64).collect();
        assert!(early.may_open(), "those opened early are the last ones");
        early.on_opened(1 << 40);
        assert!(!early.may_open());
        early.silent.extend([1, 2]);
        early.on_asked(1);
        assert_eq!(early.silent, HashSet::from([2]));
    }
}
