//! Where the conversations of a page come from: a store with its input, or files that a job has written.

use super::index::{Names, Summary};
use super::shown::Shown;
use crate::conversation::ConversationKey;
use crate::job::{AnswerLookup, Conversations, FinishedRows, JobError};

/// Conversations by their numbers: rows first, then those of the store that no row makes.
pub trait ItemSource: Send + Sync {
    /// Returns a hash of all that decides what the rows are.
    fn identity(&self) -> String;

    /// Returns how many rows there are.
    fn row_count(&self) -> u64;

    /// Returns the keys that a row's conversation may have, its own first.
    fn keys(&self, row: u64) -> Result<Vec<ConversationKey>, JobError>;

    /// Returns the summary of a conversation. `key` finds an item that has no row.
    fn summary(
        &self,
        item: u64,
        key: ConversationKey,
        answers: &dyn AnswerLookup,
        names: &mut Names,
    ) -> Result<Option<Summary>, JobError>;

    /// Shows a conversation.
    fn shown(&self, item: u64, key: ConversationKey, answers: &dyn AnswerLookup) -> Result<Option<Shown>, JobError>;

    /// Returns why user turns and old answers are not shown, where that is so.
    fn missing(&self) -> Option<String>;

    /// Returns what became of the files since they were read, in words.
    fn file_changes(&self) -> Vec<String>;
}

impl ItemSource for Conversations {
    fn identity(&self) -> String {
        Conversations::identity(self)
    }

    fn row_count(&self) -> u64 {
        Conversations::row_count(self)
    }

    fn keys(&self, row: u64) -> Result<Vec<ConversationKey>, JobError> {
        Conversations::keys(self, row)
    }

    fn summary(
        &self,
        item: u64,
        key: ConversationKey,
        answers: &dyn AnswerLookup,
        names: &mut Names,
    ) -> Result<Option<Summary>, JobError> {
        let found =
            if item < Conversations::row_count(self) { self.at(item, answers)? } else { self.of_store(key, answers)? };
        Ok(found.map(|found| Summary::of(&found, names)))
    }

    fn shown(&self, item: u64, key: ConversationKey, answers: &dyn AnswerLookup) -> Result<Option<Shown>, JobError> {
        let found =
            if item < Conversations::row_count(self) { self.at(item, answers)? } else { self.of_store(key, answers)? };
        Ok(found.map(|found| Shown::of(&found, self.gate_of(&found).as_ref())))
    }

    fn missing(&self) -> Option<String> {
        Conversations::missing(self).map(str::to_owned)
    }

    fn file_changes(&self) -> Vec<String> {
        self.input_changes()
    }
}

impl ItemSource for FinishedRows {
    fn identity(&self) -> String {
        FinishedRows::identity(self)
    }

    fn row_count(&self) -> u64 {
        self.len()
    }

    fn keys(&self, _: u64) -> Result<Vec<ConversationKey>, JobError> {
        Ok(Vec::new())
    }

    fn summary(
        &self,
        item: u64,
        _: ConversationKey,
        _: &dyn AnswerLookup,
        names: &mut Names,
    ) -> Result<Option<Summary>, JobError> {
        if item >= self.len() {
            return Ok(None);
        }
        Ok(Some(Summary::of_row(&Shown::of_row(item, &self.row(item)?), names)))
    }

    fn shown(&self, item: u64, _: ConversationKey, _: &dyn AnswerLookup) -> Result<Option<Shown>, JobError> {
        if item >= self.len() { Ok(None) } else { Ok(Some(Shown::of_row(item, &self.row(item)?))) }
    }

    fn missing(&self) -> Option<String> {
        None
    }

    fn file_changes(&self) -> Vec<String> {
        FinishedRows::file_changes(self)
    }
}
