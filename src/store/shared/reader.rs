use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::cache::{KnownState, LookupCache};
use super::database::{Database, DatabaseError};
use super::store::stored_of;
use crate::conversation::{ConversationKey, Fingerprint};
use crate::store::entry::{ConversationState, LostCalls, Run, Spending, Stored};
use crate::store::error::StoreError;
use crate::store::{Prefetch, Reader};

/// How long a database that is away is waited for.
const WAIT_MAX: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_millis(500);
/// Fingerprints and conversations of one look-up.
const LOOK_UP_MAX: usize = 1_000;

/// A shared store for reading only: no worker, no directory.
pub struct SharedReader {
    database: Arc<dyn Database>,
    cache: Mutex<LookupCache>,
}

impl SharedReader {
    /// Reads from a database.
    pub fn new(database: Arc<dyn Database>) -> Self {
        Self { database, cache: Mutex::default() }
    }

    fn ask<T>(question: impl Fn() -> Result<T, DatabaseError>) -> Result<T, StoreError> {
        let began = Instant::now();
        loop {
            match question() {
                Err(DatabaseError::Away(_)) if began.elapsed() < WAIT_MAX => std::thread::sleep(RETRY),
                other => return Ok(other?),
            }
        }
    }

    fn cache(&self) -> MutexGuard<'_, LookupCache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader for SharedReader {
    fn answer(&self, fingerprint: &Fingerprint) -> Result<Option<Stored>, StoreError> {
        if let Some(stored) = self.cache().answer(fingerprint) {
            return Ok(Some(stored));
        }
        let found = Self::ask(|| self.database.answers(&[*fingerprint]))?;
        found.into_iter().next().map(|(_, frame)| stored_of(&frame, fingerprint)).transpose()
    }

    fn prefetch(&self, keys: &[ConversationKey], what: Prefetch) -> Result<(), StoreError> {
        for keys in keys.chunks(LOOK_UP_MAX) {
            let states = Self::ask(|| self.database.states(keys))?;
            let histories = states.iter().flat_map(|(_, state)| &state.history);
            let mut questions: Vec<Fingerprint> = histories.map(|(_, question)| *question).collect();
            {
                let mut cache = self.cache();
                for key in keys {
                    cache.put_state(*key, None);
                }
                for (key, state) in states {
                    cache.put_state(key, Some(state));
                }
                questions.retain(|question| cache.answer(question).is_none());
            }
            if what == Prefetch::States {
                continue;
            }
            questions.sort_unstable();
            questions.dedup();
            for questions in questions.chunks(LOOK_UP_MAX) {
                for (question, frame) in Self::ask(|| self.database.answers(questions))? {
                    let stored = stored_of(&frame, &question)?;
                    self.cache().put_answer(question, stored);
                }
            }
        }
        Ok(())
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn state(&self, key: &ConversationKey) -> Result<Option<ConversationState>, StoreError> {
        let known = self.cache().state(key);
        match known {
            KnownState::Absent => return Ok(None),
            KnownState::Present(state) => return Ok(Some(state)),
            KnownState::Unasked => {}
        }
        let state = Self::ask(|| self.database.states(&[*key]))?.pop().map(|(_, state)| state);
        self.cache().put_state(*key, state.clone());
        Ok(state)
    }

    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), StoreError> {
        Ok(self.database.for_each_state(visit)?)
    }

    fn runs(&self) -> Result<Vec<Run>, StoreError> {
        Ok(Self::ask(|| self.database.runs())?.into_iter().map(|seen| seen.run).collect())
    }

    fn lost(&self, fingerprint: &Fingerprint) -> Result<LostCalls, StoreError> {
        Self::ask(|| self.database.lost(fingerprint))
    }

    fn spending(&self) -> Result<Spending, StoreError> {
        Self::ask(|| self.database.spending())
    }
}
