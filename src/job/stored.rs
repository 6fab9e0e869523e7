//! What the store knows of a conversation.

use std::collections::HashSet;
use std::sync::Arc;

use super::JobError;
use super::left_out::LeftOut;
use crate::conversation::{Answer, Digest, FailureCode, FailureReason, Fingerprint, Lane, Seed, Slot};
use crate::recipe::{Begun, Recipe, Replay, begun};
use crate::store::{ConversationState, Reader, Status, StoreError};

/// Looks answers up for a replay.
pub fn answers_in(store: &dyn Reader) -> impl Fn(&Fingerprint, Slot) -> Result<Option<Arc<Answer>>, JobError> {
    move |fingerprint, _| Ok(store.answer(fingerprint)?.map(|stored| stored.answer))
}

/// Returns how a conversation was begun, with its state where the store knows it.
pub fn begun_in(
    store: &dyn Reader,
    recipe: &dyn Recipe,
    seed: &Digest,
) -> Result<Begun<ConversationState>, StoreError> {
    begun(recipe, seed, |key| store.state(key))
}

/// Begins a replay of a conversation under the rules under which it was begun.
pub fn replay_in<'a>(store: &dyn Reader, recipe: &'a dyn Recipe, seed: &'a Seed) -> Result<Replay<'a>, JobError> {
    // A recipe without older rules needs no look at the store.
    let rules = if recipe.older().is_empty() { None } else { begun_in(store, recipe, &seed.digest())?.rules };
    Ok(Replay::under(recipe, seed, rules))
}

/// Returns how far a conversation has come, where the store knows.
pub fn status_of(store: &dyn Reader, recipe: &dyn Recipe, seed: &Seed) -> Result<Option<Status>, JobError> {
    Ok(begun_in(store, recipe, &seed.digest())?.state.map(|state| state.status))
}

/// Returns why a conversation has open questions: its context is full, something else failed, or `stop`.
pub fn why_open(store: &dyn Reader, recipe: &dyn Recipe, seed: &Seed, stop: &LeftOut) -> Result<LeftOut, JobError> {
    Ok(match status_of(store, recipe, seed)? {
        Some(Status::Failed { reason, .. }) if reason.has(&FailureCode::Context) => LeftOut::Context(reason),
        Some(Status::Failed { reason, permanent, .. }) => LeftOut::Failed { turn: None, reason, permanent },
        _ => stop.clone(),
    })
}

/// Returns why the judge has not given every verdict on a conversation: what it said, where it failed.
pub fn why_not_judged(store: &dyn Reader, recipe: &dyn Recipe, seed: &Seed) -> Result<LeftOut, JobError> {
    let Some(Status::Failed { reason, permanent, .. }) = status_of(store, recipe, seed)? else {
        return Ok(LeftOut::NotJudged);
    };
    let judge = reason.of(Lane::Judge).map(|cause| FailureReason::new([cause.clone()]));
    Ok(judge.map_or(LeftOut::NotJudged, |reason| LeftOut::Failed { turn: None, reason, permanent }))
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
