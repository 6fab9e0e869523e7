//! A recipe is a pure function from what is already answered to what to ask next.
//!
//! Resuming is no feature of a recipe: a fresh run replays nothing, a resumed one replays what the
//! store holds, and both go through [`Replay`]. A new recipe is a file here and a line in the test list
//! that crashes every recipe at every commit (`tests/it/crash_at_every_commit.rs`).

mod attempt;
mod best;
mod compare;
mod distill;
mod evaluate;
mod judge;
mod object;
mod replay;
mod screen;
mod simulate;
mod tutor;

pub use best::{BestOf, Ranker};
pub use compare::{Compare, ComparedHistory, NoAnswer, Side, System};
pub use distill::Distill;
pub use evaluate::{Evaluate, JudgedHistory, JudgedScope};
pub use judge::{Judge, Prompt, PromptError, Ruling, Scale};
pub use replay::{Progress, Replay};
pub use screen::Orphans;
pub use simulate::{Goal, Move, Simulate, Simulated, SimulatedEnd, UserTurn};
pub use tutor::{Cast, History, ParseHistoryError, Party, Purpose, Tutor, Tutored, TutoredEnd};

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::conversation::{Answer, Dialogue, Outcome, Question, Seed, Settings, Slot};
use crate::quality::GateVerdict;

/// One way of working on a conversation.
///
/// Two promises hold for every recipe, and a property test crashes each at every commit to prove it:
/// a resumed run ends where an uninterrupted one ends; a committed question is never asked again.
/// A recipe keeps them by being pure: the same seed and answers always give the same step.
pub trait Recipe: Send + Sync {
    /// Returns everything about this recipe that makes its answers other answers.
    fn settings(&self) -> &Settings;

    /// Returns how many answers `seed` takes when all goes well.
    fn turn_count(&self, seed: &Seed) -> u32;

    /// Returns what to do, given what is answered.
    fn next(&self, seed: &Seed, answered: &Answered) -> Step;

    /// Returns the dialogue as far as it is good; an empty one where the recipe writes none.
    fn so_far(&self, seed: &Seed, answered: &Answered) -> Dialogue;
}

/// What a recipe wants done.
#[derive(Debug)]
pub enum Step {
    /// These questions are open; each has its own slot, none of them answered yet.
    Ask(Vec<Question>),
    /// The conversation is done.
    Finish(Outcome),
}

/// The answers that a conversation has so far.
#[derive(Clone, Debug, Default)]
pub struct Answered {
    by_slot: BTreeMap<Slot, Seen>,
}

/// An answer, with what a recipe has made of it: pure functions of it and of what stands before it, so that they need be
/// worked out once only, however often the recipe goes over its conversation.
#[derive(Clone, Debug)]
struct Seen {
    pub answer: Arc<Answer>,
    pub verdict: OnceCell<GateVerdict>,
    pub is_followed_by_orphan: OnceCell<bool>,
    /// What keeps it from being a user's message.
    pub user_fault: OnceCell<Option<&'static str>>,
    pub tutored: tutor::Notes,
}

impl Seen {
    fn new(answer: Arc<Answer>) -> Self {
        Self {
            answer,
            verdict: OnceCell::new(),
            is_followed_by_orphan: OnceCell::new(),
            user_fault: OnceCell::new(),
            tutored: tutor::Notes::default(),
        }
    }
}

impl Answered {
    /// Returns the answer in `slot`.
    pub fn get(&self, slot: Slot) -> Option<&Arc<Answer>> {
        self.by_slot.get(&slot).map(|seen| &seen.answer)
    }

    /// Returns the answer in `slot` with what was made of it.
    fn seen(&self, slot: Slot) -> Option<&Seen> {
        self.by_slot.get(&slot)
    }

    /// Puts `answer` into `slot`.
    pub fn insert(&mut self, slot: Slot, answer: Arc<Answer>) {
        self.by_slot.insert(slot, Seen::new(answer));
    }

    /// Returns all answers, in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Answer>> {
        self.by_slot.values().map(|seen| &seen.answer)
    }

    /// Returns how many answers there are.
    pub fn len(&self) -> usize {
        self.by_slot.len()
    }

    /// True where nothing is answered.
    pub fn is_empty(&self) -> bool {
        self.by_slot.is_empty()
    }
}
