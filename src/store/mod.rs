//! The store: where a paid answer is safe.
//!
//! ```text
//! .cohobate/
//!   lock               held by one process at a time; says which
//!   journal/           the truth: append-only segments of checksummed frames
//!     00000001.journal
//!   index/             sled: derived from the journal, may be deleted at any time
//!   index.state        says whether the index was closed in order, or in which boot it is at work
//!   in-flight          the requests in the air, so that a crash can be accounted for
//!   rows/              first passes over the input, remembered; may be deleted at any time
//!   spool/             inputs that cannot be read twice; emptied by each run
//! ```
//!
//! Everything that happens is an [`Entry`]. The journal keeps entries; the index is a fold over them
//! (`fold.rs`): fingerprint → place in the journal, conversation → [`ConversationState`], runs, spending.
//! [`DiskStore`] joins the two, [`MemoryStore`] does the same without a disk and is the oracle in tests.
//!
//! An entry is durable when [`Store::commit`] returns: written to the journal and synced with `fdatasync`.
//! sled is asked for no durability: after a crash the journal's end is replayed into it, and an index that
//! is missing, damaged, or was left open in an earlier boot is set aside and built anew.

mod codec;
mod disk;
mod entry;
mod error;
mod fold;
mod frame;
mod index;
mod journal;
mod ledger;
mod lock;
mod medium;
mod memory;
mod open_index;
mod place;
mod record;
mod scan;
mod sled_index;
mod snapshot;
mod verify;

pub use disk::DiskStore;
pub use entry::{ConversationState, Entry, Run, Spending, Spent, Status, Stored};
pub use error::StoreError;
pub use ledger::{Ledger, Unsettled};
pub use medium::{Appendable, Disk, Medium};
pub use memory::MemoryStore;
pub use place::Damage;
pub use open_index::Opened;
pub use snapshot::Snapshot;
pub use verify::{Verification, repair, verify};

use crate::conversation::{ConversationKey, Fingerprint};

/// What the worker needs of a store. Synchronous and batch-shaped: one thread commits, anyone looks up.
pub trait Store: Reader {
    /// Makes `entries` durable, all of them before it returns. After an error nothing more can be committed.
    fn commit(&self, entries: Vec<Entry>) -> Result<(), StoreError>;
}

/// The reading half of a store.
pub trait Reader: Send + Sync {
    /// Returns the answer to the question with this fingerprint.
    fn answer(&self, fingerprint: &Fingerprint) -> Result<Option<Stored>, StoreError>;

    /// Returns a conversation's state; may lag a moment behind what was just committed.
    fn state(&self, key: &ConversationKey) -> Result<Option<ConversationState>, StoreError>;

    /// Calls `visit` with every conversation's state, in no particular order.
    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), StoreError>;

    /// Returns the runs so far, oldest first.
    fn runs(&self) -> Result<Vec<Run>, StoreError>;

    /// Returns what was spent so far, over all runs.
    fn spending(&self) -> Result<Spending, StoreError>;
}
