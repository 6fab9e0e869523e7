//! What the store knows of a conversation.

use std::collections::HashSet;
use std::sync::Arc;

use super::JobError;
use super::left_out::LeftOut;
use crate::conversation::{Answer, ConversationKey, FailureCode, Fingerprint, Seed, Slot};
use crate::recipe::Recipe;
use crate::store::{Reader, Status};

/// Looks answers up for a replay.
pub fn answers_in(store: &dyn Reader) -> impl Fn(&Fingerprint, Slot) -> Result<Option<Arc<Answer>>, JobError> {
    move |fingerprint, _| Ok(store.answer(fingerprint)?.map(|stored| stored.answer))
}

/// Returns how far a conversation has come, where the store knows.
pub fn status_of(store: &dyn Reader, recipe: &dyn Recipe, seed: &Seed) -> Result<Option<Status>, JobError> {
    let key = ConversationKey::new(recipe.settings(), &seed.digest());
    Ok(store.state(&key)?.map(|state| state.status))
}

/// Returns why a conversation has open questions: its context is full, something else failed, or `stop`.
pub fn why_open(store: &dyn Reader, recipe: &dyn Recipe, seed: &Seed, stop: &LeftOut) -> Result<LeftOut, JobError> {
    Ok(match status_of(store, recipe, seed)? {
        Some(Status::Failed { reason, .. }) if reason.has(&FailureCode::Context) => LeftOut::Context(reason),
        Some(Status::Failed { reason, permanent, .. }) => LeftOut::Failed { turn: None, reason, permanent },
        _ => stop.clone(),
    })
}

/// Recognises the first of several rows that share an answer, by eight bytes of the question's hash: some 16 bytes an
/// answer.
#[derive(Default)]
pub struct PaidAnswers(HashSet<u64>);

impl PaidAnswers {
    /// True where no earlier row has this answer.
    pub fn is_first(&mut self, fingerprint: &Fingerprint) -> bool {
        self.0.insert(fingerprint.prefix())
    }
}
