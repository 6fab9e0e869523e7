use std::collections::BTreeMap;

use super::{MergeSource, MergeTarget};
use crate::conversation::{ConversationKey, Fingerprint, Price};
use crate::store::error::StoreError;

/// What a merge asks a target next, so that all of it can be looked up at once.
#[derive(Clone, Copy, Debug)]
pub enum Ahead<'a> {
    /// The answers that are used for these questions, and those that are not.
    Answers(&'a [Fingerprint]),
    /// The answers to these questions that are not used.
    Unused(&'a [Fingerprint]),
    /// The states of these conversations.
    States(&'a [ConversationKey]),
}

/// A store that is not a directory, as a merge uses it.
pub trait MergeStore: Send + Sync {
    /// Returns a text that only this store has, by whatever address it is reached.
    fn identity(&self) -> Result<String, StoreError>;
    /// Returns the store as it is at this moment.
    fn source(&self) -> Result<Box<dyn MergeSource + '_>, StoreError>;
    /// Returns the store as one that others are merged into. `prices` are those of models, as far as they are known: they say what
    /// the merged spending counts for a cap on dollars.
    fn target(&self, prices: &BTreeMap<String, Price>) -> Result<Box<dyn MergeTarget + '_>, StoreError>;
}
