//! Counts beside the run what earlier runs have stored for its rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::finished_file::FinishedFile;
use super::input::Rows;
use super::stored::begun_in;
use super::{Context, JobError, JobEvent};
use crate::conversation::ConversationKey;
use crate::recipe::{Recipe, keys_of};
use crate::report::StoredSum;
use crate::store::{ConversationState, Prefetch, Reader};
use crate::worker::{FinishedMarks, FinishedSum, StoredCount, StoredRow};

/// How often a count that is not finished is reported.
const REPORT_INTERVAL: Duration = Duration::from_millis(100);
/// How often a run records which rows are finished; a kill loses the marks since then.
const RECORD_INTERVAL: Duration = Duration::from_secs(30);
/// Rows whose states are read at once where the store is on a server.
const PREFETCH_ROWS: u64 = 512;
/// How long a run waits for the count before its first words: that of a small input is exact by then.
const BEGIN_MAX: Duration = Duration::from_millis(50);
/// How long a run that has stopped waits for the count, so that its summary can be exact.
const FINISH_MAX: Duration = Duration::from_secs(1);

/// What earlier runs have stored for the rows of a run.
pub enum Stored {
    /// Counted already.
    Counted(Arc<StoredCount>),
    /// To be counted beside the run, by the states of the rows' conversations.
    OfRows {
        /// What is counted so far: what earlier runs have recorded.
        count: Arc<StoredCount>,
        /// Where that is recorded.
        file: Option<FinishedFile>,
        /// The rows.
        rows: Arc<Rows>,
        /// The run's totals as a share of those in the row index, as a fraction.
        share: (u64, u64),
    },
}

impl Stored {
    /// Counts the rows of an input whose index holds the totals of the run's recipe.
    pub fn of(rows: &Arc<Rows>, recipe: &dyn Recipe) -> Self {
        Self::share_of(rows, recipe, (1, 1))
    }

    /// Counts the rows of an input whose index holds other totals: the recipe's are this share of them, as a fraction.
    pub fn share_of(rows: &Arc<Rows>, recipe: &dyn Recipe, share: (u64, u64)) -> Self {
        let file = rows.finished_file(recipe);
        let finished = file.as_ref().and_then(FinishedFile::read).unwrap_or_else(|| FinishedMarks::new(rows.len()));
        let count = Arc::new(StoredCount::with_finished(rows.len(), finished));
        Self::OfRows { count, file, rows: Arc::clone(rows), share }
    }

    /// Returns the count.
    pub fn count(&self) -> Arc<StoredCount> {
        match self {
            Self::Counted(count) | Self::OfRows { count, .. } => Arc::clone(count),
        }
    }

    /// The count of rows whose states were looked up before: row, total, and what is stored.
    pub fn counted(rows: impl IntoIterator<Item = (u64, u64, StoredRow)>, row_count: u64) -> Self {
        let count = StoredCount::new(row_count);
        rows.into_iter().for_each(|(row, total, stored)| count.add(row, stored, total));
        count.finish();
        Self::Counted(Arc::new(count))
    }
}

/// A count at work. It ends with its owner, finished or not.
pub struct Counting {
    /// What is counted so far.
    pub count: Arc<StoredCount>,
    /// The count has ended, or was given up.
    is_over: Arc<AtomicBool>,
    is_cancelled: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Counting {
    /// Begins to count. The run waits for it for a moment only: a million turns take seconds.
    pub fn begin(
        stored: Stored,
        store: Arc<dyn Reader>,
        recipe: Arc<dyn Recipe>,
        context: &Context,
    ) -> Result<Self, JobError> {
        let is_cancelled: Arc<AtomicBool> = Arc::default();
        let (count, file, rows, share) = match stored {
            Stored::Counted(count) => {
                return Ok(Self { count, is_over: Arc::new(true.into()), is_cancelled, thread: None });
            }
            Stored::OfRows { count, file, rows, share } => (count, file, rows, share),
        };
        let is_over: Arc<AtomicBool> = Arc::default();
        let counter = Counter {
            file,
            // Before the run adds to it.
            recorded: count.finished().sum(),
            is_over: Arc::clone(&is_over),
            rows,
            share,
            store,
            recipe,
            count: Arc::clone(&count),
            is_cancelled: Arc::clone(&is_cancelled),
            context: context.clone(),
        };
        let thread = std::thread::Builder::new().name("count".to_owned()).spawn(move || counter.run());
        let thread = thread.map_err(|error| JobError::unexpected(format!("cannot start a thread: {error}")))?;
        let counting = Self { count, is_over, is_cancelled, thread: Some(thread) };
        counting.wait(BEGIN_MAX);
        Ok(counting)
    }
}

impl Counting {
    /// Waits until the count has ended, at most for a time.
    fn wait(&self, time_max: Duration) {
        let until = Instant::now() + time_max;
        while !self.is_over.load(Ordering::Acquire) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends the count, and returns the sum. One that is nearly done may finish; a run that has `seen_all` rows has taken what
    /// was not counted.
    pub fn end(self, seen_all: bool) -> StoredSum {
        if !seen_all {
            self.wait(FINISH_MAX);
        }
        let count = Arc::clone(&self.count);
        drop(self);
        let sum = sum_of(&count);
        StoredSum { is_exact: sum.is_exact || seen_all, ..sum }
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.is_cancelled.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The numbers of a count that has died stay a lower bound.
            let _ = thread.join();
        }
    }
}

/// Returns the sum so far.
pub fn sum_of(count: &StoredCount) -> StoredSum {
    StoredSum {
        is_exact: count.is_exact(),
        answers: count.answers(),
        unused: count.unused(),
        conversations: count.conversations(),
    }
}

/// Returns what a conversation's state says; nothing where the store does not know it.
pub fn row_of(state: Option<ConversationState>, recipe: &dyn Recipe) -> StoredRow {
    state.map(|state| StoredRow::of(&state, recipe)).unwrap_or_default()
}

struct Counter {
    file: Option<FinishedFile>,
    /// What the file says.
    recorded: FinishedSum,
    is_over: Arc<AtomicBool>,
    rows: Arc<Rows>,
    share: (u64, u64),
    store: Arc<dyn Reader>,
    recipe: Arc<dyn Recipe>,
    count: Arc<StoredCount>,
    is_cancelled: Arc<AtomicBool>,
    context: Context,
}

impl Counter {
    fn run(mut self) {
        // A store or an index that cannot be read is found by those who need it.
        if self.count_rows().is_some() {
            self.count.finish();
        }
        self.is_over.store(true, Ordering::Release);
        self.context.report(JobEvent::Stored(sum_of(&self.count)));
        self.remember();
    }

    /// Records which rows are finished, now and then and at the end of the run.
    fn remember(&mut self) {
        loop {
            let is_over = self.is_cancelled.load(Ordering::Acquire);
            let sum = self.count.finished().sum();
            if let Some(file) = self.file.as_ref().filter(|_| sum != self.recorded) {
                file.write(self.count.finished());
                self.recorded = sum;
            }
            if is_over {
                return;
            }
            std::thread::park_timeout(RECORD_INTERVAL);
        }
    }

    /// Reads the states of the rows that come next.
    fn prefetch(&self, row: u64) -> Option<()> {
        let rows = row..self.rows.len().min(row + PREFETCH_ROWS);
        let digests = rows.filter_map(|row| self.rows.digest(row).ok().flatten());
        let keys: Vec<ConversationKey> = digests.flat_map(|digest| keys_of(&*self.recipe, &digest)).collect();
        self.store.prefetch(&keys, Prefetch::States).ok()
    }

    fn count_rows(&self) -> Option<()> {
        let (mut reported, (part, whole)) = (Instant::now(), self.share);
        for row in 0..self.rows.len() {
            if self.store.is_remote() && row.is_multiple_of(PREFETCH_ROWS) {
                self.prefetch(row)?;
            }
            if self.is_cancelled.load(Ordering::Relaxed) {
                return None;
            }
            let Some((digest, turns)) = self.rows.conversation(row).ok()? else { continue };
            let state = begun_in(&*self.store, &*self.recipe, &digest).ok()?.state;
            self.count.add(row, row_of(state, &*self.recipe), u64::from(turns) / whole * part);
            if reported.elapsed() >= REPORT_INTERVAL {
                reported = Instant::now();
                self.context.report(JobEvent::Stored(sum_of(&self.count)));
            }
        }
        Some(())
    }
}
