//! The worker: sends a recipe's questions and commits every answer.
//!
//! ```text
//! admission ──rows──▶ session ──questions──▶ dispatcher ──calls──▶ model
//!                     (one for each open     (owns all state:      │
//!                      conversation)          slots, waits, flights) ◀┘ answers
//!                        ▲                      │
//!                        └──────answers─────────┤──▶ committer ──▶ store
//!                           once committed      ◀──┘ (one thread, group commit)
//! ```
//!
//! A session replays its conversation from the store and asks for the missing answers. The dispatcher sends identical
//! questions once and delivers an answer only after its commit. There are no barriers: a free slot takes the next
//! question of the conversation that was opened first.

mod acceptance;
mod budget;
mod committer;
mod control;
mod dispatcher;
mod doubts;
mod early;
mod early_rows;
mod event;
mod failures;
mod finished_marks;
mod fleet;
mod flights;
mod haste;
mod model_queue;
mod occupancy;
mod outcomes;
mod probes;
mod prompts;
mod row_bits;
mod sending;
mod session;
mod share;
mod sharing;
mod steering;
mod stop;
mod stored_count;
mod token_trial;
mod wait;
mod waiting;

pub use budget::{Amount, Budget, BudgetLimits, Grant};
pub use committer::CommitMode;
pub use control::{
    COMMANDS_MAX, Command, Control, ControlError, Controls, ModelSnapshot, ReplicaCondition, ReplicaSnapshot, RunLimit,
    RunSnapshot,
};
pub use dispatcher::run;
pub use event::{Event, Observer, Silent};
pub use finished_marks::{FinishedMarks, FinishedSum};
pub use fleet::{Allowed, BudgetNeed, Fleet, FleetShare, RowEnd};
pub use model_queue::Served;
pub use occupancy::LowerBound;
pub use session::{ClosedConversation, ConversationEnd};
pub use stop::{Deadline, RunStop, StopStage};
pub use stored_count::{StoredCount, StoredRow};
pub use wait::{Wait, WaitCause};

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::conversation::{Digest, Seed};
use crate::model::PaceLimits;
use crate::recipe::Recipe;
use crate::store::{Ledger, Store, StoreError};

/// The inputs of a run.
pub struct Work {
    /// The recipe for each conversation.
    pub recipe: Arc<dyn Recipe>,
    /// The store of the answers.
    pub store: Arc<dyn Store>,
    /// The models, by name.
    pub models: HashMap<String, Served>,
    /// The conversations, by row.
    pub seeds: Arc<dyn Seeds>,
    /// The rows in admission order.
    pub rows: RowOrder,
    /// This run's number in the store.
    pub run: u32,
    /// The limit on calls in flight of the whole run, and the pace limits of each model.
    pub pace: PaceLimits,
    /// The spending caps.
    pub budget: BudgetLimits,
    /// The record of requests in flight, if one is kept.
    pub ledger: Option<Ledger>,
    /// Stops the run when a server is down for this long; `None` waits indefinitely.
    pub give_up_after: Option<Duration>,
    /// Stops the run at a time.
    pub deadline: Option<Deadline>,
    /// Where commits run.
    pub commit_mode: CommitMode,
    /// Retries conversations that failed permanently in an earlier run.
    pub retry_failed: bool,
    /// Counts what earlier runs have stored; the default counts nothing, and each session counts what it takes.
    pub stored: Arc<StoredCount>,
    /// What is changed about the run while it is at work.
    pub controls: Controls,
    /// The other workers, where the run is shared. Then `rows` gives this worker's share, and the caps are what it is granted.
    pub fleet: Option<Arc<dyn Fleet>>,
}

impl Work {
    /// A first run without limits, ledger, deadline and anybody who steers it.
    pub fn new(
        recipe: Arc<dyn Recipe>,
        store: Arc<dyn Store>,
        models: HashMap<String, Served>,
        seeds: Arc<dyn Seeds>,
        rows: RowOrder,
    ) -> Self {
        Self {
            recipe,
            store,
            models,
            seeds,
            rows,
            run: 1,
            pace: PaceLimits::default(),
            budget: BudgetLimits::default(),
            ledger: None,
            give_up_after: None,
            deadline: None,
            commit_mode: CommitMode::Thread,
            retry_failed: false,
            stored: Arc::default(),
            controls: Controls::default(),
            fleet: None,
        }
    }
}

/// Rows in admission order.
pub type RowOrder = Box<dyn Iterator<Item = std::io::Result<Admit>> + Send>;

/// The next item of the admission order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admit {
    /// Open this row.
    Row(u64),
    /// No row is ready yet; check again later.
    Later,
    /// No row is free; the fleet reports when one may be.
    Waiting,
}

/// Takes the digests of the conversations that come next.
pub type LookAhead = Box<dyn Fn(&[Digest]) + Send + Sync>;

/// Provides conversations by row.
pub trait Seeds: Send + Sync {
    /// Returns the conversation of a row.
    fn seed(&self, row: u64) -> Result<Seed, String>;

    /// Returns the same, and says more precisely why a row cannot be read.
    fn look(&self, row: u64) -> Result<Seed, SeedError> {
        self.seed(row).map_err(SeedError::Unreadable)
    }

    /// Returns the digest of a row's conversation; `None` where it cannot be read.
    fn digest(&self, row: u64) -> Option<Digest> {
        self.seed(row).ok().map(|seed| seed.digest())
    }

    /// Calls `ahead` with the conversations that a pass over all rows comes to next, before it comes to them.
    fn look_ahead(&self, ahead: LookAhead) {
        let _ = ahead;
    }

    /// Returns the shortest rows, at most `count`, shortest first. Where a server refuses the first questions of a run,
    /// they show whether it refuses everything; none are known by default.
    fn shortest(&self, count: usize) -> Vec<u64> {
        let _ = count;
        Vec::new()
    }
}

/// Why a row cannot be read again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeedError {
    /// It is not what it was when the run began. Its conversation is left out.
    #[error("{0}")]
    Changed(String),
    /// The file system has lost it. The run stops, and may be resumed.
    #[error("{0}")]
    Lost(String),
    /// Another reason, which ends the run with an error.
    #[error("{0}")]
    Unreadable(String),
}

/// The end of a run without an internal error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Every conversation was completed, stopped or failed.
    Finished,
    /// The run stopped early; the same command resumes it.
    Stopped(RunStop),
}

impl Ended {
    /// Returns why the run stopped before its end.
    pub fn stopped(self) -> Option<RunStop> {
        match self {
            Self::Finished => None,
            Self::Stopped(reason) => Some(reason),
        }
    }
}

/// An internal or system error. Everything committed before it is safe.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A row could not be read a second time.
    #[error("row {row} of the input cannot be read again: {reason}")]
    Seed {
        /// The row, from 0.
        row: u64,
        /// Why.
        reason: String,
    },
    /// The admission order could not be read.
    #[error("the admission order cannot be read: {0}")]
    Order(std::io::Error),
    /// The record of requests in flight could not be written, and a cap depends on it.
    #[error("a request cannot be recorded before it is sent, and a cap depends on that record: {0}")]
    Ledger(std::io::Error),
    /// A recipe asked for a model that the run does not have.
    #[error("the recipe asks the model `{0}`, which this run does not have")]
    UnknownModel(String),
    /// A task of the worker panicked or ended early. Such a run is never a success.
    #[error("a task of the worker died: {0}")]
    Died(String),
}
