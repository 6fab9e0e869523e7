use std::collections::HashSet;

/// How many rows are opened early.
pub const SHORT_ROWS: usize = 8;

/// Rows that are opened out of order, to find a short question.
#[derive(Debug, Default)]
pub struct EarlyRows {
    /// Every row that was opened before the first answer; a row opened early is not opened again in its turn.
    opened: HashSet<u64>,
    /// True once the shortest rows have been opened.
    pub looked: bool,
    /// Their sessions that have not asked anything yet.
    pub silent: HashSet<u64>,
    /// True once a question of the run has been answered.
    has_answer: bool,
}

impl EarlyRows {
    /// True for a row that was opened early.
    pub fn is_opened(&self, row: u64) -> bool {
        self.opened.contains(&row)
    }

    /// Records that a row is opened.
    pub fn on_opened(&mut self, row: u64) {
        if !self.has_answer {
            self.opened.insert(row);
        }
    }

    /// Records that a session has asked a question, or is over.
    pub fn on_asked(&mut self, session: u64) {
        self.silent.remove(&session);
    }

    /// Records that a question has been answered.
    pub fn on_answer(&mut self) {
        self.has_answer = true;
    }
}
