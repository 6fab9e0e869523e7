//! The worker: asks what a recipe wants asked, and loses nothing on the way.
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
//! A session replays its conversation from the store and asks for what is missing. The dispatcher lets each
//! distinct question fly once, however many sessions wait for it, and hands an answer out only when it is
//! committed. There is no barrier anywhere: a slot that falls free takes the next question of the conversation
//! that was opened first.

mod budget;
mod committer;
mod dispatcher;
mod event;
mod flights;
mod model_queue;
mod occupancy;
mod outcomes;
mod session;
mod stop;

pub use budget::{Amount, Budget, BudgetLimits, Grant};
pub use committer::CommitMode;
pub use dispatcher::run;
pub use event::{Event, Observer, Silent};
pub use model_queue::Served;
pub use occupancy::LowerBound;
pub use session::ConversationEnd;
pub use stop::{RunStop, StopStage};

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::conversation::Seed;
use crate::model::PaceLimits;
use crate::recipe::Recipe;
use crate::store::{Ledger, Store, StoreError};

/// Everything that a run needs.
pub struct Work {
    /// What to do with each conversation.
    pub recipe: Arc<dyn Recipe>,
    /// Where answers are kept.
    pub store: Arc<dyn Store>,
    /// Whom to ask, by the model's name.
    pub models: HashMap<String, Served>,
    /// The conversations.
    pub seeds: Arc<dyn Seeds>,
    /// The rows in the order in which they are to be opened.
    pub rows: RowOrder,
    /// This run's number in the store.
    pub run: u32,
    /// How fast to ask, for each model.
    pub pace: PaceLimits,
    /// What may be spent.
    pub budget: BudgetLimits,
    /// Where requests in the air are written down, if anywhere.
    pub ledger: Option<Ledger>,
    /// Ends the run when a server is gone for that long; `None` waits for ever.
    pub give_up_after: Option<Duration>,
    /// Ends the run at some time.
    pub deadline: Option<Deadline>,
    /// Who commits.
    pub commit_mode: CommitMode,
    /// Asks again what failed for good in an earlier run.
    pub retry_failed: bool,
}

/// When a run is to end.
#[derive(Clone, Debug)]
pub struct Deadline {
    /// From its beginning.
    pub after: Duration,
    /// The option that says so.
    pub name: String,
}

/// Rows in the order in which they are to be opened.
pub type RowOrder = Box<dyn Iterator<Item = std::io::Result<Admit>> + Send>;

/// The next item of an order of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admit {
    /// Open this row.
    Row(u64),
    /// Nothing yet; ask again when there is time.
    Later,
}

/// Gives out conversations by row.
pub trait Seeds: Send + Sync {
    /// Returns the conversation of a row.
    fn seed(&self, row: u64) -> Result<Seed, String>;
}

/// How a run ended when nothing went wrong with the program itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Every conversation came to its end, good or bad.
    Finished,
    /// It stopped before; the same command goes on.
    Stopped(RunStop),
}

/// What went wrong with the program or the machine. Everything committed before it is safe.
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
    /// The order of the rows was lost.
    #[error("the admission order cannot be read: {0}")]
    Order(std::io::Error),
    /// A recipe asked for a model that the run does not have.
    #[error("the recipe asks the model `{0}`, which this run does not have")]
    UnknownModel(String),
    /// A part of the worker died. The run never counts as a success then.
    #[error("a task of the worker died: {0}")]
    Died(String),
}
