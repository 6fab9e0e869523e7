use std::sync::MutexGuard;

use super::cache::{KnownState, LookupCache};
use super::database::{Database, DatabaseError};
use super::frames::stored_of;
use crate::conversation::{ConversationKey, Fingerprint};
use crate::store::Prefetch;
use crate::store::entry::{ConversationState, Run, Stored};
use crate::store::error::StoreError;

/// Fingerprints and conversations of one look-up.
const LOOK_UP_MAX: usize = 1_000;

/// Looks answers and states up in a database, through a cache. How long one that is away is waited for is the owner's affair.
pub trait LookUp {
    /// Returns the database.
    fn database(&self) -> &dyn Database;

    /// Returns what is at hand.
    fn cache(&self) -> MutexGuard<'_, LookupCache>;

    /// Asks the database until it replies, or the owner waits no longer.
    fn ask<T>(&self, question: impl Fn() -> Result<T, DatabaseError>) -> Result<T, StoreError>;

    /// Returns an answer: the one at hand, else the database's.
    fn look_up_answer(&self, fingerprint: &Fingerprint) -> Result<Option<Stored>, StoreError> {
        if let Some(stored) = self.cache().answer(fingerprint) {
            return Ok(Some(stored));
        }
        let found = self.ask(|| self.database().answers(&[*fingerprint]))?;
        let Some((_, frame)) = found.into_iter().next() else { return Ok(None) };
        let stored = stored_of(&frame, fingerprint)?;
        self.cache().put_answer(*fingerprint, stored.clone());
        Ok(Some(stored))
    }

    /// Reads the states and answers of conversations, as many as possible with one question.
    fn look_up_ahead(&self, keys: &[ConversationKey], what: Prefetch) -> Result<(), StoreError> {
        for keys in keys.chunks(LOOK_UP_MAX) {
            let unknown: Vec<ConversationKey> = {
                let cache = self.cache();
                keys.iter().filter(|key| cache.state(key) == KnownState::Unasked).copied().collect()
            };
            if !unknown.is_empty() {
                let stored = self.ask(|| self.database().conversations(&unknown))?;
                let mut cache = self.cache();
                for key in &unknown {
                    cache.put_state(*key, None);
                }
                for (key, state) in stored.states {
                    cache.put_state(key, Some(state));
                }
                if what == Prefetch::Answers {
                    stored.answers.into_iter().for_each(|(question, answer)| cache.put_answer(question, answer));
                }
            }
            if what == Prefetch::States {
                continue;
            }
            let mut questions: Vec<Fingerprint> = {
                let cache = self.cache();
                let states = keys.iter().filter_map(|key| match cache.state(key) {
                    KnownState::Present(state) => Some(state),
                    _ => None,
                });
                let questions = states.flat_map(|state| state.history).map(|(_, question)| question);
                questions.filter(|question| cache.answer(question).is_none()).collect()
            };
            questions.sort_unstable();
            questions.dedup();
            for questions in questions.chunks(LOOK_UP_MAX) {
                for (question, frame) in self.ask(|| self.database().answers(questions))? {
                    let stored = stored_of(&frame, &question)?;
                    self.cache().put_answer(question, stored);
                }
            }
        }
        Ok(())
    }

    /// Returns a conversation's state: what is at hand, else the database's.
    fn look_up_state(&self, key: &ConversationKey) -> Result<Option<ConversationState>, StoreError> {
        let known = self.cache().state(key);
        match known {
            KnownState::Absent => return Ok(None),
            KnownState::Present(state) => return Ok(Some(state)),
            KnownState::Unasked => {}
        }
        let state = self.ask(|| self.database().states(&[*key]))?.pop().map(|(_, state)| state);
        self.cache().put_state(*key, state.clone());
        Ok(state)
    }

    /// Returns the runs, oldest first.
    fn look_up_runs(&self) -> Result<Vec<Run>, StoreError> {
        Ok(self.ask(|| self.database().runs())?.into_iter().map(|seen| seen.run).collect())
    }
}
