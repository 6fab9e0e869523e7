//! The store: keeps every answer that was paid for.
//!
//! ```text
//! .cohobate/
//!   lock               held by one writing process at a time; names it
//!   journal/           the source of truth: append-only segments of checksummed frames
//!     00000001.journal
//!   index/             sled: derived from the journal, may be deleted at any time
//!   index.state        whether the index was closed cleanly, or in which boot it is open; how far the journal was durable
//!   accepted-losses    what is missing of the journal, and accepted by --accept-loss
//!   in-flight          the requests in flight, so that a crash can be accounted for
//!   rows/              results of first passes over the input; may be deleted at any time
//!   spool/             inputs that cannot be read twice, copies of the index; emptied by each run
//! ```
//!
//! Every event is an [`Entry`]. The journal keeps entries; the index is a fold over them (`fold.rs`): fingerprint →
//! place in the journal, conversation → [`ConversationState`], runs, spending. [`DiskStore`] combines the two;
//! [`MemoryStore`] does the same in memory and is the oracle in tests.
//!
//! An entry is durable when [`Store::commit`] returns: written to the journal and synced with `fdatasync`. sled need
//! not be durable: after a crash the journal's tail is replayed into it. An index that is missing, damaged, or was left
//! open in an earlier boot is moved aside and rebuilt.

mod accept;
mod accepted;
mod aside;
mod codec;
mod continuity;
mod disk;
mod entry;
mod error;
mod fold;
mod follow;
mod frame;
#[cfg(fuzzing)]
pub mod fuzzing;
mod identity;
mod index;
mod index_copy;
mod index_state;
mod journal;
mod ledger;
mod lock;
mod loss;
mod medium;
mod memory;
pub mod merge;
mod open_index;
mod origins;
mod place;
#[cfg(feature = "postgres")]
pub mod postgres;
mod record;
mod repair;
mod rewrite;
mod scan;
mod segment;
mod sequences;
pub mod shared;
mod sled_index;
mod snapshot;
mod start;
mod torn;
mod verify;
mod writer;

pub use accept::accept_losses;
pub use disk::DiskStore;
pub use entry::{
    ConversationState, Entry, KeptAnswer, KeptStanding, LostCalls, Run, Spending, Spent, SpentFlex, Status, Stored,
};
pub use error::StoreError;
pub use follow::{Followed, Follower};
pub use ledger::{Ledger, Unsettled};
pub use lock::writer_of;
pub use loss::Loss;
pub use medium::{Appendable, Disk, Medium};
pub use memory::MemoryStore;
pub use open_index::Opened;
pub use place::{Damage, Place, Position};
pub use repair::{repair, repair_with};
pub use sequences::Sequences;
pub use snapshot::{OnLoss, Snapshot, SnapshotFindings};
pub use start::{FrameId, StartId};
pub use verify::{Verification, verify};

use std::sync::Arc;

use crate::conversation::{Answer, ConversationKey, Fingerprint};

/// A store that takes entries. Synchronous and batch-oriented: one thread commits, any thread reads.
///
/// An answer can be read, and counts in its conversation's state, once its entry is committed:
///
/// ```
/// use cohobate::conversation::{
///     Answer, ConversationKey, Finish, Message, Question, Role, Sampling, Slot, Target, Usage,
/// };
/// use cohobate::store::{Entry, MemoryStore, Reader, Status, Store, StoreError};
///
/// let target = Target::new("teacher", "openai", Sampling::default());
/// let messages = vec![Message::new(Role::User, "Is water wet?")];
/// let question = Question { slot: Slot::main(0), target, sample: 0, messages: messages.into() };
/// let answer = Answer {
///     message: Message::new(Role::Assistant, "Yes."),
///     reasoning: None,
///     finish: Finish::Complete,
///     finish_reason: "stop".to_owned(),
///     model: "teacher".to_owned(),
///     system_fingerprint: None,
///     usage: Usage::default(),
///     attempts: 1,
///     dropped: Vec::new(),
///     tokens: None,
/// };
///
/// let store = MemoryStore::new();
/// let (conversation, fingerprint) = (ConversationKey([7; 32]), question.fingerprint());
/// assert!(store.answer(&fingerprint)?.is_none());
/// store.commit(vec![
///     Entry::Answered {
///         run: 1,
///         conversation,
///         slot: question.slot,
///         fingerprint,
///         model: "teacher".to_owned(),
///         answer: answer.into(),
///     },
///     Entry::Closed { conversation, status: Status::Complete },
/// ])?;
///
/// let stored = store.answer(&fingerprint)?.expect("the answer is committed");
/// assert_eq!((stored.answer.text(), stored.run), ("Yes.", 1));
/// let state = store.state(&conversation)?.expect("the conversation has an answer");
/// assert_eq!((state.cursor, state.status), (1, Status::Complete));
/// assert_eq!(state.history, [(Slot::main(0), fingerprint)]);
/// # Ok::<(), StoreError>(())
/// ```
pub trait Store: Reader {
    /// Makes all of `entries` durable before it returns. After an error nothing more can be committed.
    fn commit(&self, entries: Vec<Entry>) -> Result<(), StoreError>;

    /// Begins a commit: after it, nothing of `entries` can be lost any longer. What it returns is handed to
    /// [`Store::publish`], in order, before anybody hears of it.
    fn stage(&self, entries: Vec<Entry>) -> Result<Staged, StoreError> {
        self.commit(entries).map(|()| Staged::Committed)
    }

    /// Ends commits that were staged, all at once.
    fn publish(&self, staged: Vec<Staged>) -> Result<(), StoreError> {
        let _ = staged;
        Ok(())
    }

    /// Waits no longer for what is staged: it is published by the next run.
    fn stop_publishing(&self) {}

    /// A run has ended, and everything is published: what comes next may wait for a server again.
    fn resume_publishing(&self) {}

    /// Returns the answer that counts, where another worker's answer was stored before one that was committed here.
    fn winner(&self, fingerprint: &Fingerprint) -> Option<Arc<Answer>> {
        let _ = fingerprint;
        None
    }
}

/// What is read ahead of conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefetch {
    /// Their states alone.
    States,
    /// Their states and answers.
    Answers,
}

/// Entries between the two halves of a commit.
#[derive(Debug)]
pub enum Staged {
    /// The first half was all of it.
    Committed,
    /// They are in this process's own journal, and not shared yet: the entries with the journal's frames, and where each one
    /// ends.
    Pending(Vec<(Entry, Vec<u8>, Position)>),
}

/// The reading half of a store.
///
/// Readers see committed entries only:
///
/// ```
/// use cohobate::conversation::{ConversationKey, Fingerprint, Settings};
/// use cohobate::store::{Entry, MemoryStore, Reader, Run, Store, StoreError};
///
/// let store = MemoryStore::new();
/// let run = Run { number: 1, started_ms: 0, settings: Settings::default(), answers: 0 };
/// store.commit(vec![Entry::Run(run.clone())])?;
/// assert_eq!(store.runs()?, [run]);
/// assert!(store.answer(&Fingerprint([0; 32]))?.is_none());
/// assert!(store.state(&ConversationKey([0; 32]))?.is_none(), "no entry names this conversation");
/// assert!(store.spending()?.is_empty());
/// # Ok::<(), StoreError>(())
/// ```
pub trait Reader: Send + Sync {
    /// Returns the answer to the question with this fingerprint.
    fn answer(&self, fingerprint: &Fingerprint) -> Result<Option<Stored>, StoreError>;

    /// Returns the same, if this process has it at hand: it has committed or read it lately. Never waits for a server.
    fn answer_at_hand(&self, fingerprint: &Fingerprint) -> Result<Option<Stored>, StoreError> {
        self.answer(fingerprint)
    }

    /// Reads the states and answers of conversations that are looked at next. Where every look-up is a question to a server,
    /// one question then serves for all.
    fn prefetch(&self, keys: &[ConversationKey], what: Prefetch) -> Result<(), StoreError> {
        let _ = (keys, what);
        Ok(())
    }

    /// True where a look-up asks a server: what is not needed at once is better looked up together.
    fn is_remote(&self) -> bool {
        false
    }

    /// Returns a conversation's state; it may lag briefly behind the last commit.
    fn state(&self, key: &ConversationKey) -> Result<Option<ConversationState>, StoreError>;

    /// Calls `visit` with every conversation's state, in arbitrary order.
    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), StoreError>;

    /// Calls `visit` with every conversation's status, in arbitrary order. Where a look-up asks a server, it reads no answer.
    fn for_each_status(&self, visit: &mut dyn FnMut(ConversationKey, Status)) -> Result<(), StoreError> {
        self.for_each_state(&mut |key, state| visit(key, state.status))
    }

    /// Returns the runs so far, oldest first.
    fn runs(&self) -> Result<Vec<Run>, StoreError>;

    /// Returns a question's calls that were probably paid for and brought no answer; it may lag briefly behind the last
    /// commit.
    fn lost(&self, fingerprint: &Fingerprint) -> Result<LostCalls, StoreError>;

    /// Returns the same, as far as this process has committed or read it. Never waits for a server.
    fn lost_at_hand(&self, fingerprint: &Fingerprint) -> Result<LostCalls, StoreError> {
        self.lost(fingerprint)
    }

    /// Returns the spending so far, over all runs.
    fn spending(&self) -> Result<Spending, StoreError>;
}

#[cfg(test)]
mod samples;
