//! The interface of a store's index, and an index in memory.

use std::collections::{BTreeSet, HashMap};

use super::entry::{ConversationState, Entry, LostCalls, Run, Spending};
use super::error::StoreError;
use super::fold::{IndexView, fold};
use super::origins::{KeptRunId, Origins, join};
use super::place::{Place, Position};
use super::start::{FrameId, StartId};
use crate::conversation::{ConversationKey, Fingerprint};

/// Entries that were committed together, with their places.
pub type CommitGroup = Vec<(Place, Entry)>;

/// Maximum entries of one batch for the index.
pub const INDEX_BATCH_ENTRIES: usize = 4_096;

/// The reading half of an index.
pub trait IndexReader: Send + Sync {
    /// Returns the place of an answer.
    fn place(&self, fingerprint: &Fingerprint) -> Result<Option<Place>, StoreError>;
    /// Returns a conversation's state.
    fn state(&self, key: &ConversationKey) -> Result<Option<ConversationState>, StoreError>;
    /// Visits every conversation's state.
    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), StoreError>;
    /// Returns a question's lost calls.
    fn lost(&self, fingerprint: &Fingerprint) -> Result<LostCalls, StoreError>;
    /// Visits every question's lost calls.
    fn for_each_lost(&self, visit: &mut dyn FnMut(Fingerprint, LostCalls)) -> Result<(), StoreError>;
    /// Returns runs and starts, with what was spent.
    fn origins(&self) -> Result<Origins, StoreError>;
    /// Returns the answers to a question that are kept and not used.
    fn unused(&self, fingerprint: &Fingerprint) -> Result<BTreeSet<FrameId>, StoreError>;
    /// Returns whether there is any such answer.
    fn has_unused(&self) -> Result<bool, StoreError>;
    /// Returns whether conversations may have been built on another answer to this question than the one that is used.
    fn is_unsettled(&self, fingerprint: &Fingerprint) -> Result<bool, StoreError>;
    /// Returns whether there is any such question.
    fn has_unsettled(&self) -> Result<bool, StoreError>;

    /// Returns the runs, oldest first.
    fn runs(&self) -> Result<Vec<Run>, StoreError> {
        Ok(self.origins()?.runs())
    }
}

/// Derived state: everything here can be rebuilt from the journal.
pub trait StoreIndex: IndexReader {
    /// Folds entries in, in journal order. The last one's place becomes the checkpoint.
    fn apply(&self, entries: &[(Place, Entry)]) -> Result<(), StoreError>;
    /// Returns the checkpoint: the last entry of the journal that is folded in.
    fn checkpoint(&self) -> Result<Option<Place>, StoreError>;
    /// Returns how far the index covers the journal.
    fn covered(&self) -> Result<Position, StoreError> {
        Ok(self.checkpoint()?.map_or(Position::default(), |last| last.end()))
    }
    /// Replaces a place that turned out to be damaged, or drops it; unless another one has replaced it already.
    fn replace(&self, fingerprint: &Fingerprint, old: Place, new: Option<Place>) -> Result<(), StoreError>;
}

/// An index in memory, for reading a store whose index cannot be copied.
#[derive(Clone, Default)]
pub struct MemoryIndex {
    pub places: HashMap<Fingerprint, Place>,
    pub states: HashMap<ConversationKey, ConversationState>,
    pub lost: HashMap<Fingerprint, LostCalls>,
    pub origins: Origins,
    pub unused: BTreeSet<(Fingerprint, FrameId)>,
    pub unsettled: BTreeSet<Fingerprint>,
}

impl MemoryIndex {
    /// Folds one entry in.
    pub fn add(&mut self, place: Place, entry: &Entry) {
        match fold(self, place, entry) {
            Ok(()) => {}
            Err(never) => match never {},
        }
    }

    fn current(&self) -> Option<StartId> {
        self.origins.begun.values().next_back().copied()
    }
}

impl IndexView for MemoryIndex {
    type WriteError = std::convert::Infallible;

    fn put_place(&mut self, fingerprint: Fingerprint, place: Place) -> Result<(), Self::WriteError> {
        self.places.entry(fingerprint).or_insert(place);
        Ok(())
    }

    fn update_state(
        &mut self,
        key: ConversationKey,
        change: impl FnOnce(&mut ConversationState),
    ) -> Result<(), Self::WriteError> {
        change(self.states.entry(key).or_default());
        Ok(())
    }

    fn replace_place(&mut self, fingerprint: Fingerprint, place: Place) -> Result<(), Self::WriteError> {
        self.places.insert(fingerprint, place);
        Ok(())
    }

    fn put_unused(&mut self, fingerprint: Fingerprint, frame: FrameId) -> Result<(), Self::WriteError> {
        self.unused.insert((fingerprint, frame));
        Ok(())
    }

    fn put_unsettled(&mut self, fingerprint: Fingerprint) -> Result<(), Self::WriteError> {
        self.unsettled.insert(fingerprint);
        Ok(())
    }

    fn settle(&mut self) -> Result<(), Self::WriteError> {
        self.unsettled.clear();
        Ok(())
    }

    fn begin_start(&mut self, place: Place, start: StartId) -> Result<(), Self::WriteError> {
        self.origins.begun.insert(place.end(), start);
        Ok(())
    }

    fn put_run(&mut self, run: &Run) -> Result<(), Self::WriteError> {
        let start = self.current();
        self.origins.own_runs.insert(run.number, (start, run.clone()));
        Ok(())
    }

    fn count_answer(&mut self, run: u32) -> Result<(), Self::WriteError> {
        self.origins.own_runs.entry(run).and_modify(|(_, run)| run.answers += 1);
        Ok(())
    }

    fn put_kept_run(&mut self, start: StartId, run: &Run) -> Result<(), Self::WriteError> {
        self.origins.kept_runs.entry((start, run.number)).or_insert_with(|| run.clone());
        Ok(())
    }

    fn count_kept(&mut self, run: KeptRunId) -> Result<(), Self::WriteError> {
        self.origins.kept_runs.entry(run).and_modify(|run| run.answers += 1);
        Ok(())
    }

    fn join_kept_spending(&mut self, start: StartId, spending: &Spending) -> Result<(), Self::WriteError> {
        join(self.origins.kept.entry(start).or_default(), spending);
        Ok(())
    }

    fn put_lost(&mut self, fingerprint: Fingerprint, lost: &LostCalls) -> Result<(), Self::WriteError> {
        self.lost.insert(fingerprint, lost.clone());
        Ok(())
    }

    fn spending(&mut self) -> Result<&mut Spending, Self::WriteError> {
        let start = self.current();
        Ok(self.origins.own.entry(start).or_default())
    }
}

impl IndexReader for MemoryIndex {
    fn place(&self, fingerprint: &Fingerprint) -> Result<Option<Place>, StoreError> {
        Ok(self.places.get(fingerprint).copied())
    }

    fn state(&self, key: &ConversationKey) -> Result<Option<ConversationState>, StoreError> {
        Ok(self.states.get(key).cloned())
    }

    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), StoreError> {
        self.states.iter().for_each(|(key, state)| visit(*key, state.clone()));
        Ok(())
    }

    fn lost(&self, fingerprint: &Fingerprint) -> Result<LostCalls, StoreError> {
        Ok(self.lost.get(fingerprint).cloned().unwrap_or_default())
    }

    fn for_each_lost(&self, visit: &mut dyn FnMut(Fingerprint, LostCalls)) -> Result<(), StoreError> {
        self.lost.iter().for_each(|(fingerprint, lost)| visit(*fingerprint, lost.clone()));
        Ok(())
    }

    fn origins(&self) -> Result<Origins, StoreError> {
        Ok(self.origins.clone())
    }

    fn unused(&self, fingerprint: &Fingerprint) -> Result<BTreeSet<FrameId>, StoreError> {
        let (least, most) = FrameId::BOUNDS;
        let of_question = (*fingerprint, least)..=(*fingerprint, most);
        Ok(self.unused.range(of_question).map(|(_, frame)| *frame).collect())
    }

    fn has_unused(&self) -> Result<bool, StoreError> {
        Ok(!self.unused.is_empty())
    }

    fn is_unsettled(&self, fingerprint: &Fingerprint) -> Result<bool, StoreError> {
        Ok(self.unsettled.contains(fingerprint))
    }

    fn has_unsettled(&self) -> Result<bool, StoreError> {
        Ok(!self.unsettled.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::conversation::{Answer, Settings, Slot, Usage};
    use crate::store::entry::{Spent, Status};

    fn answered(run: u32, slot: Slot, number: u8, tokens: u64) -> Entry {
        let mut answer = Answer::complete("m", "text");
        answer.usage = Usage { completion_tokens: Some(tokens), ..Usage::default() };
        Entry::Answered {
            run,
            conversation: ConversationKey([9; 32]),
            slot,
            fingerprint: Fingerprint([number; 32]),
            model: "m".to_owned(),
            answer: Arc::new(answer),
        }
    }

    #[test]
    fn each_entry_changes_what_it_is_about() {
        let mut index = MemoryIndex::default();
        let place = |offset| Place { segment: 1, offset, length: 1, checksum: 0 };
        let add = |index: &mut MemoryIndex, entry: &Entry, offset| index.add(place(offset), entry);
        let run = Run { number: 3, started_ms: 5, settings: Settings::default(), answers: 0 };
        add(&mut index, &Entry::Run(run.clone()), 0);
        let (first, second) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
        add(&mut index, &answered(3, Slot::main(0), 1, 10), 1);
        add(&mut index, &answered(3, Slot::main(1), 2, 20), 2);
        add(&mut index, &answered(3, Slot::main(1), 2, 30), 3);
        add(&mut index, &answered(4, Slot::main(1), 2, 40), 4);
        assert_eq!((index.place(&first).unwrap(), index.place(&second).unwrap()), (Some(place(1)), Some(place(2))));
        assert_eq!(index.place(&Fingerprint([3; 32])).unwrap(), None);
        // An answer of a run that is not known is counted for none.
        assert_eq!(index.runs().unwrap(), [Run { answers: 3, ..run }]);
        let lost = LostCalls { calls: 2, reason: "http_504: gave up".to_owned() };
        add(&mut index, &Entry::Lost { fingerprint: first, lost: lost.clone() }, 5);
        assert_eq!((index.lost(&first).unwrap(), index.lost(&second).unwrap()), (lost, LostCalls::default()));
        let unknown = Entry::Unknown { model: "m".to_owned(), calls: 2, prompt_tokens: 7, completion_tokens: 8 };
        (6..8).for_each(|offset| add(&mut index, &unknown, offset));
        let spent = Spent {
            calls: 4,
            completion_tokens: 100,
            unknown_calls: 4,
            unknown_prompt_tokens: 14,
            unknown_completion_tokens: 16,
            ..Spent::default()
        };
        assert_eq!(index.origins.spending(None), Spending::from([("m".to_owned(), spent)]));
        let key = ConversationKey([9; 32]);
        add(&mut index, &Entry::Closed { conversation: key, status: Status::Complete }, 8);
        let state = ConversationState {
            history: vec![(Slot::main(0), first), (Slot::main(1), second)],
            cursor: 2,
            status: Status::Complete,
        };
        assert_eq!(index.state(&key).unwrap(), Some(state.clone()));
        let mut seen = Vec::new();
        index.for_each_state(&mut |key, state| seen.push((key, state))).unwrap();
        assert_eq!(seen, [(key, state)]);
        assert_eq!(index.state(&ConversationKey([8; 32])).unwrap(), None);
    }

    #[test]
    fn another_question_in_a_slot_drops_what_came_after_it_in_its_lane() {
        let slot = |lane, turn| Slot { lane, ..Slot::main(turn) };
        let mut state = ConversationState::default();
        let lanes = [crate::conversation::Lane::Main, crate::conversation::Lane::User];
        for (lane, turn) in [(0, 0), (1, 0), (0, 2), (0, 1), (1, 1)] {
            state.record_answer(slot(lanes[lane], turn), Fingerprint([turn as u8; 32]));
        }
        assert_eq!((state.history.len(), state.cursor, state.is_cursor_consistent()), (5, 3, true));
        state.status = Status::Complete;
        let before = state.clone();
        state.record_answer(slot(lanes[0], 1), Fingerprint([1; 32]));
        assert_eq!(state, before, "the same answer again changes nothing");
        state.record_answer(slot(lanes[0], 1), Fingerprint([7; 32]));
        let expected = [(0, 0, 0), (0, 1, 7), (1, 0, 0), (1, 1, 1)];
        let expected = expected.map(|(lane, turn, number)| (slot(lanes[lane], turn), Fingerprint([number; 32])));
        assert_eq!((&state.history[..], state.cursor, &state.status), (&expected[..], 2, &Status::Open));
        state.cursor = 9;
        assert!(!state.is_cursor_consistent());
    }
}
