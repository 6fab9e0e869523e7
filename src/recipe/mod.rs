//! A recipe is a pure function from what is already answered to what to ask next.
//!
//! Resuming is not a feature of a recipe: a fresh run replays nothing, a resumed one replays the stored answers, and
//! both go through [`Replay`]. A new recipe is a file here and a line in the test list
//! that crashes every recipe at every commit (`tests/it/crash_at_every_commit.rs`).

mod answer_check;
mod attempt;
mod best;
mod compare;
mod distill;
mod evaluate;
mod judge;
mod object;
mod replay;
mod simulate;
mod tutor;

pub use answer_check::Orphans;
pub use best::{BestOf, Ranker};
pub use compare::{Compare, ComparedHistory, NoAnswer, Side, System};
pub use distill::Distill;
pub use evaluate::{Evaluate, JudgedHistory, JudgedScope};
pub use judge::{Judge, Prompt, PromptError, Ruling, Scale};
pub use replay::{Replay, ReplayEnd};
pub use simulate::{Goal, Move, Simulate, SimulatedDialogue, SimulatedEnd, UserTurn};
pub use tutor::{Cast, History, ParseHistoryError, Party, PassPurpose, Tutor, Tutored, TutoredEnd};

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

    /// Returns the next step, given the answers so far.
    fn next(&self, seed: &Seed, answered: &Answered) -> Step;

    /// Returns the dialogue as far as it is good; an empty one where the recipe writes none.
    fn so_far(&self, seed: &Seed, answered: &Answered) -> Dialogue;
}

/// The next step of a recipe.
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
    by_slot: BTreeMap<Slot, ExaminedAnswer>,
}

/// An answer with the recipe's cached findings: pure functions of it and of the history before it, computed once however
/// often the recipe replays the conversation.
#[derive(Clone, Debug)]
struct ExaminedAnswer {
    pub answer: Arc<Answer>,
    pub verdict: OnceCell<GateVerdict>,
    pub is_followed_by_orphan: OnceCell<bool>,
    /// The fault that makes it invalid as a user's message.
    pub user_fault: OnceCell<Option<&'static str>>,
    pub tutored: tutor::TutorFindings,
}

impl ExaminedAnswer {
    fn new(answer: Arc<Answer>) -> Self {
        Self {
            answer,
            verdict: OnceCell::new(),
            is_followed_by_orphan: OnceCell::new(),
            user_fault: OnceCell::new(),
            tutored: tutor::TutorFindings::default(),
        }
    }
}

impl Answered {
    /// Returns the answer in `slot`.
    pub fn get(&self, slot: Slot) -> Option<&Arc<Answer>> {
        self.by_slot.get(&slot).map(|seen| &seen.answer)
    }

    /// Returns the answer in `slot` with its cached findings.
    fn examined(&self, slot: Slot) -> Option<&ExaminedAnswer> {
        self.by_slot.get(&slot)
    }

    /// Puts `answer` into `slot`.
    pub fn insert(&mut self, slot: Slot, answer: Arc<Answer>) {
        self.by_slot.insert(slot, ExaminedAnswer::new(answer));
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
