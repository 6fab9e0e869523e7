//! Folds journal entries into the index. Only this file defines the meaning of an entry.
//!
//! | entry | index |
//! |---|---|
//! | start | what follows is spent by this start |
//! | run | appended to the runs |
//! | answered | fingerprint → place, unless a place is known: the first answer is kept. Always spending of the start and the run's count. Then as linked |
//! | linked | the slot joins the conversation's history and the cursor moves past it. If the slot held another question, everything later in that lane is dropped, because its history was built on that question |
//! | closed | the conversation's status |
//! | unknown | spending, as requests of unknown outcome |
//! | lost | the question's lost calls |
//!
//! Of other stores:
//!
//! | entry | index |
//! |---|---|
//! | kept | fingerprint → place where it is used; the answer that it replaces, or itself, is an unused one. Where it replaces one, its question is unsettled. Always the kept run's count; neither spending nor a state |
//! | kept run | a run, unless it is known |
//! | kept spending | each larger count of the start |
//! | kept state | takes the place of the conversation's state |
//! | settled | no question is unsettled |

use super::entry::{ConversationState, Entry, KeptStanding, LostCalls, Run, Spending, Status};
use super::identity::frame_of;
use super::origins::KeptRunId;
use super::place::Place;
use super::start::{FrameId, StartId};
use crate::conversation::{ConversationKey, Fingerprint, Lane, Slot};

/// The part of an index that the fold reads and writes.
pub trait IndexView {
    type WriteError;
    /// Stores the place unless there is one.
    fn put_place(&mut self, fingerprint: Fingerprint, place: Place) -> Result<(), Self::WriteError>;
    /// Changes a conversation's state.
    fn update_state(
        &mut self,
        key: ConversationKey,
        change: impl FnOnce(&mut ConversationState),
    ) -> Result<(), Self::WriteError>;
    /// Stores the place, whatever was there.
    fn replace_place(&mut self, fingerprint: Fingerprint, place: Place) -> Result<(), Self::WriteError>;
    /// Stores that there is another answer, which is not used.
    fn put_unused(&mut self, fingerprint: Fingerprint, frame: FrameId) -> Result<(), Self::WriteError>;
    /// Stores that conversations may have been built on an answer that was replaced.
    fn put_unsettled(&mut self, fingerprint: Fingerprint) -> Result<(), Self::WriteError>;
    /// Forgets all of those.
    fn settle(&mut self) -> Result<(), Self::WriteError>;
    /// Begins a start at this place.
    fn begin_start(&mut self, place: Place, start: StartId) -> Result<(), Self::WriteError>;
    /// Adds a run of the current start.
    fn put_run(&mut self, run: &Run) -> Result<(), Self::WriteError>;
    /// Counts an answer for a run, if the run is known.
    fn count_answer(&mut self, run: u32) -> Result<(), Self::WriteError>;
    /// Adds a run of another store, unless it is known.
    fn put_kept_run(&mut self, start: StartId, run: &Run) -> Result<(), Self::WriteError>;
    /// Counts an answer for a run of another store, if the run is known.
    fn count_kept(&mut self, run: KeptRunId) -> Result<(), Self::WriteError>;
    /// Takes each larger count of a start's spending in another store.
    fn join_kept_spending(&mut self, start: StartId, spending: &Spending) -> Result<(), Self::WriteError>;
    /// Stores a question's lost calls.
    fn put_lost(&mut self, fingerprint: Fingerprint, lost: &LostCalls) -> Result<(), Self::WriteError>;
    /// Returns the spending of the current start so far, to be added to.
    fn spending(&mut self) -> Result<&mut Spending, Self::WriteError>;
}

/// Folds one entry into `view`.
pub fn fold<V: IndexView>(view: &mut V, place: Place, entry: &Entry) -> Result<(), V::WriteError> {
    match entry {
        Entry::Run(run) => view.put_run(run),
        Entry::Answered { run, conversation, slot, fingerprint, model, answer } => {
            view.put_place(*fingerprint, place)?;
            view.count_answer(*run)?;
            view.spending()?.entry(model.clone()).or_default().add(&answer.usage);
            view.update_state(*conversation, |state| state.record_answer(*slot, *fingerprint))
        }
        Entry::Linked { conversation, slot, fingerprint } => {
            view.update_state(*conversation, |state| state.record_answer(*slot, *fingerprint))
        }
        Entry::Unknown { model, calls, prompt_tokens, completion_tokens } => {
            let spent = view.spending()?.entry(model.clone()).or_default();
            spent.unknown_calls = spent.unknown_calls.saturating_add(*calls);
            spent.unknown_prompt_tokens = spent.unknown_prompt_tokens.saturating_add(*prompt_tokens);
            spent.unknown_completion_tokens = spent.unknown_completion_tokens.saturating_add(*completion_tokens);
            Ok(())
        }
        Entry::Lost { fingerprint, lost } => view.put_lost(*fingerprint, lost),
        Entry::Closed { conversation, status } => {
            view.update_state(*conversation, |state| state.status = status.clone())
        }
        Entry::Start(start) => view.begin_start(place, *start),
        Entry::Kept(kept) => {
            match kept.standing {
                KeptStanding::Unused => {
                    if let Some(frame) = frame_of(entry, kept.start) {
                        view.put_unused(kept.fingerprint, frame)?;
                    }
                }
                KeptStanding::Used => view.put_place(kept.fingerprint, place)?,
                KeptStanding::InPlaceOf(replaced) => {
                    view.put_unused(kept.fingerprint, replaced)?;
                    view.put_unsettled(kept.fingerprint)?;
                    view.replace_place(kept.fingerprint, place)?;
                }
            }
            view.count_kept((kept.start, kept.run))
        }
        Entry::KeptRun { start, run } => view.put_kept_run(*start, run),
        Entry::KeptSpending { start, spending } => view.join_kept_spending(*start, spending),
        Entry::KeptState { conversation, state } => view.update_state(*conversation, |known| known.clone_from(state)),
        Entry::Settled => view.settle(),
    }
}

impl ConversationState {
    /// Puts an answered question into the history.
    pub(super) fn record_answer(&mut self, slot: Slot, fingerprint: Fingerprint) {
        match self.history.binary_search_by_key(&slot, |(slot, _)| *slot) {
            Ok(at) if self.history[at].1 == fingerprint => return,
            Ok(at) => {
                self.history[at].1 = fingerprint;
                self.history.retain(|(other, _)| other.lane != slot.lane || *other <= slot);
            }
            Err(at) => self.history.insert(at, (slot, fingerprint)),
        }
        self.status = Status::Open;
        self.cursor = self.next_turn();
    }

    /// True if the cursor is past the last turn of the history.
    pub(super) fn is_cursor_consistent(&self) -> bool {
        self.cursor == self.next_turn()
    }

    /// Returns the cursor for the history.
    pub(super) fn next_turn(&self) -> u32 {
        let main = self.history.iter().filter(|(slot, _)| slot.lane == Lane::Main);
        main.map(|(slot, _)| slot.turn.saturating_add(1)).max().unwrap_or(0)
    }
}
