use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::cache::LookupCache;
use super::database::{Database, DatabaseError};
use super::look_up::LookUp;
use crate::conversation::{ConversationKey, Fingerprint};
use crate::store::entry::{ConversationState, LostCalls, Run, Spending, Status, Stored};
use crate::store::error::StoreError;
use crate::store::{Prefetch, Reader};

/// How long a database that is away is waited for.
const WAIT_MAX: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_millis(500);

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
}

impl LookUp for SharedReader {
    fn database(&self) -> &dyn Database {
        &*self.database
    }

    fn cache(&self) -> MutexGuard<'_, LookupCache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask<T>(&self, question: impl Fn() -> Result<T, DatabaseError>) -> Result<T, StoreError> {
        let began = Instant::now();
        loop {
            match question() {
                Err(DatabaseError::Away(_)) if began.elapsed() < WAIT_MAX => std::thread::sleep(RETRY),
                other => return Ok(other?),
            }
        }
    }
}

impl Reader for SharedReader {
    fn answer(&self, fingerprint: &Fingerprint) -> Result<Option<Stored>, StoreError> {
        self.look_up_answer(fingerprint)
    }

    fn prefetch(&self, keys: &[ConversationKey], what: Prefetch) -> Result<(), StoreError> {
        self.look_up_ahead(keys, what)
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn state(&self, key: &ConversationKey) -> Result<Option<ConversationState>, StoreError> {
        self.look_up_state(key)
    }

    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), StoreError> {
        Ok(self.database.for_each_state(visit)?)
    }

    fn for_each_status(&self, visit: &mut dyn FnMut(ConversationKey, Status)) -> Result<(), StoreError> {
        Ok(self.database.for_each_status(visit)?)
    }

    fn runs(&self) -> Result<Vec<Run>, StoreError> {
        self.look_up_runs()
    }

    fn lost(&self, fingerprint: &Fingerprint) -> Result<LostCalls, StoreError> {
        self.ask(|| self.database.lost(fingerprint))
    }

    fn spending(&self) -> Result<Spending, StoreError> {
        self.ask(|| self.database.spending())
    }
}
