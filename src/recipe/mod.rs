//! A recipe is a pure function from the answers so far to the next questions.
//!
//! Resuming is not a feature of a recipe: a fresh run replays nothing, a resumed one replays the stored answers, and
//! both go through [`Replay`]. A new recipe is a file here and a line in the test list that
//! crashes every recipe at every commit (`tests/it/crash_at_every_commit.rs`).

mod answer_check;
mod attempt;
mod begun;
mod best;
mod calls;
mod compare;
mod distill;
mod evaluate;
mod fill;
mod judge;
mod object;
mod opening;
mod orphan;
mod replay;
mod simulate;
mod tolerant;
mod tutor;
mod walked;

pub use begun::{Begun, OlderRules, begun, keys_of};
pub use best::{BestOf, Ranker};
pub use calls::CallRules;
pub use compare::{Compare, ComparedHistory, NoAnswer, Side, System};
pub use distill::Distill;
pub use evaluate::{Evaluate, JudgedHistory, JudgedScope};
pub use judge::{Judge, Prompt, PromptError, Ruling, Scale};
pub use opening::opening_hash;
pub use orphan::{OrphanCheck, Orphans};
pub use replay::{Replay, ReplayEnd};
pub use simulate::{Goal, Move, Simulate, SimulatedDialogue, SimulatedEnd, UserTurn};
pub use tutor::{Cast, History, ParseHistoryError, Party, PassPurpose, Tutor, Tutored, TutoredEnd};
pub use walked::Walked;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::conversation::{Answer, Dialogue, Outcome, Question, Seed, Settings, Slot, Unit};
use crate::quality::{GateVerdict, OrphanLevel, RulesVersion};

/// One way to process a conversation.
///
/// Two promises hold for every recipe, and a property test crashes each at every commit to prove it:
/// a resumed run ends where an uninterrupted one ends; a committed question is never asked again.
/// A recipe keeps them by being pure: the same seed and answers always give the same step.
///
/// # Examples
///
/// A recipe that asks only the first turn, replayed with a closure in place of a store:
///
/// ```
/// use std::convert::Infallible;
/// use std::sync::Arc;
///
/// use cohobate::conversation::{
///     Answer, Dialogue, Finish, Message, Outcome, Question, Role, Sampling, Seed, Settings, Slot, Spoken, Target, Turn,
///     Usage,
/// };
/// use cohobate::recipe::{Answered, Recipe, Replay, ReplayEnd, Step};
///
/// struct FirstTurn {
///     target: Arc<Target>,
///     settings: Settings,
/// }
///
/// impl Recipe for FirstTurn {
///     fn settings(&self) -> &Settings {
///         &self.settings
///     }
///
///     fn turn_count(&self, _: &Seed) -> u32 {
///         1
///     }
///
///     fn next(&self, seed: &Seed, answered: &Answered) -> Step {
///         let slot = Slot::main(0);
///         if answered.get(slot).is_some() {
///             return Step::Finish(Outcome::Complete(self.so_far(seed, answered)));
///         }
///         let (target, messages) = (Arc::clone(&self.target), seed.turns[0].messages.clone());
///         Step::Ask(vec![Question { slot, target, sample: 0, messages: messages.into() }])
///     }
///
///     fn so_far(&self, seed: &Seed, answered: &Answered) -> Dialogue {
///         let mut dialogue = Dialogue::default();
///         if let Some(answer) = answered.get(Slot::main(0)) {
///             dialogue.spoken.extend(seed.turns[0].messages.iter().cloned().map(Spoken::of_source));
///             let message = Arc::clone(&answer.message);
///             let answer = Some(Arc::clone(answer));
///             dialogue.spoken.push(Spoken { message, answer, flags: Vec::new(), score: None });
///         }
///         dialogue
///     }
/// }
///
/// let target = Target::new("my-model", "openai", Sampling::default());
/// let settings = Settings::default().with("recipe", "first-turn").with("model", &target);
/// let recipe = FirstTurn { target, settings };
/// let turn = Turn { messages: vec![Message::new(Role::User, "Hi")], replaced: None, given: Vec::new(), follows: Vec::new(), ends_in_calls: false };
/// let seed = Seed {
///     id: "row-1".to_owned(),
///     turns: vec![turn],
///     tools: None,
///     columns: Default::default(),
///     counts_replaced: false,
///     criteria: Vec::new(),
/// };
///
/// // Without a stored answer the replay ends at the open question.
/// let end = Replay::new(&recipe, &seed).advance(|_, _| Ok::<_, Infallible>(None))?;
/// assert!(matches!(end, ReplayEnd::Open(questions) if questions.len() == 1));
///
/// // With one it ends with the dialogue.
/// let stored = Arc::new(Answer {
///     message: Message::new(Role::Assistant, "Hello!"),
///     reasoning: None,
///     finish: Finish::Complete,
///     finish_reason: "stop".to_owned(),
///     model: "my-model".to_owned(),
///     system_fingerprint: None,
///     usage: Usage::default(),
///     attempts: 1,
///     dropped: Vec::new(),
///     tokens: None,
/// });
/// let end = Replay::new(&recipe, &seed).advance(|_, _| Ok::<_, Infallible>(Some(Arc::clone(&stored))))?;
/// let ReplayEnd::Done(Outcome::Complete(dialogue)) = end else { panic!("the answer is stored") };
/// assert_eq!(dialogue.spoken.last().map(|spoken| spoken.message.content()), Some("Hello!"));
/// # Ok::<(), Infallible>(())
/// ```
pub trait Recipe: Send + Sync {
    /// Returns all settings that the answers depend on.
    fn settings(&self) -> &Settings;

    /// Returns how many answers `seed` needs when no attempt fails.
    fn turn_count(&self, seed: &Seed) -> u32;

    /// Returns what [`Recipe::turn_count`] counts.
    fn unit(&self) -> Unit {
        Unit::Turn
    }

    /// True if an answer in this slot is one of those that [`Recipe::turn_count`] counts, and no further attempt.
    fn is_counted(&self, slot: Slot) -> bool {
        slot.attempt == 0
    }

    /// Returns how many of the counted answers a conversation has not used that has ended with `answered`.
    fn unused(&self, seed: &Seed, answered: &Answered) -> u32 {
        self.turn_count(seed).saturating_sub(answered.counted(|slot| self.is_counted(slot)))
    }

    /// Returns the next step, given the answers so far.
    fn next(&self, seed: &Seed, answered: &Answered) -> Step;

    /// Returns the same step as [`Recipe::next`], for the next of several steps of one conversation: `walked` is what the
    /// step before has kept. Only answers to questions that were open have been added since, and a question that is still
    /// open is the same question.
    fn advance(&self, seed: &Seed, answered: &Answered, walked: &mut Walked) -> Step {
        let _ = walked;
        self.next(seed, answered)
    }

    /// Returns the older versions of its rules under which conversations may have been begun, newest first, each with the
    /// settings of that time.
    fn older(&self) -> &[OlderRules] {
        &[]
    }

    /// Returns the good part of the dialogue; an empty one where the recipe writes no dialogue.
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
    /// The older rules under which the conversation was begun.
    rules: Option<RulesVersion>,
}

/// An answer with the recipe's cached findings: pure functions of it and of the history before it, computed once however
/// often the recipe replays the conversation.
#[derive(Clone, Debug)]
struct ExaminedAnswer {
    pub answer: Arc<Answer>,
    pub verdict: OnceCell<GateVerdict>,
    /// How certain it is that the user's next message refers to the answer that this one replaces, or to an earlier one.
    pub orphan: OnceCell<Option<OrphanLevel>>,
    /// The fault that makes it invalid as a user's message.
    pub user_fault: OnceCell<Option<&'static str>>,
    pub tutored: tutor::TutorFindings,
    /// Nobody has given it: it stands for one in a plan.
    is_assumed: bool,
}

impl ExaminedAnswer {
    fn new(answer: Arc<Answer>) -> Self {
        Self {
            answer,
            verdict: OnceCell::new(),
            orphan: OnceCell::new(),
            user_fault: OnceCell::new(),
            tutored: tutor::TutorFindings::default(),
            is_assumed: false,
        }
    }
}

impl Answered {
    /// No answers yet, of a conversation that is judged by older rules.
    pub fn under(rules: Option<RulesVersion>) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Returns the answer in `slot`.
    pub fn get(&self, slot: Slot) -> Option<&Arc<Answer>> {
        self.by_slot.get(&slot).map(|seen| &seen.answer)
    }

    /// Returns the answer in `slot` with its cached findings.
    fn examined(&self, slot: Slot) -> Option<&ExaminedAnswer> {
        self.by_slot.get(&slot)
    }

    /// True where nobody has given the answer in `slot`.
    fn is_assumed(&self, slot: Slot) -> bool {
        self.by_slot.get(&slot).is_some_and(|seen| seen.is_assumed)
    }

    /// Puts `answer` into `slot`.
    pub fn insert(&mut self, slot: Slot, answer: Arc<Answer>) {
        self.by_slot.insert(slot, ExaminedAnswer::new(answer));
    }

    /// Puts an answer into `slot` that nobody has given, and that passes every check: a plan knows no answers.
    pub fn assume(&mut self, slot: Slot, answer: Arc<Answer>) {
        let mut seen = ExaminedAnswer::new(answer);
        seen.verdict = OnceCell::from(GateVerdict::default());
        seen.orphan = OnceCell::from(None);
        seen.user_fault = OnceCell::from(None);
        seen.tutored = tutor::TutorFindings::assumed(slot);
        seen.is_assumed = true;
        self.by_slot.insert(slot, seen);
    }

    /// Returns all answers, in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Answer>> {
        self.by_slot.values().map(|seen| &seen.answer)
    }

    /// Returns how many answers are in slots that `is_counted`.
    pub fn counted(&self, is_counted: impl Fn(Slot) -> bool) -> u32 {
        self.by_slot.keys().filter(|slot| is_counted(**slot)).count() as u32
    }

    /// Returns how many answers there are.
    pub fn len(&self) -> usize {
        self.by_slot.len()
    }

    /// True without any answer.
    pub fn is_empty(&self) -> bool {
        self.by_slot.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::conversation::{Columns, Lane, Sampling, Target, Turn};
    use crate::recipe::distill::Distill;

    fn seed(turns: usize) -> Seed {
        let turn =
            Turn { messages: Vec::new(), replaced: None, given: Vec::new(), follows: Vec::new(), ends_in_calls: false };
        Seed {
            id: "one".to_owned(),
            turns: vec![turn; turns],
            tools: None,
            columns: Columns::new(),
            counts_replaced: false,
            criteria: Vec::new(),
        }
    }

    #[test]
    fn first_attempts_are_counted_until_a_conversation_has_them_all() {
        let recipe = Distill::new(Target::new("m", "openai", Sampling::default()), None);
        let answer = Arc::new(Answer::complete("m", "text"));
        let mut answered = Answered::default();
        assert!(answered.is_empty() && answered.iter().next().is_none());
        assert_eq!(answered.len(), 0);
        assert_eq!(
            (recipe.turn_count(&seed(3)), recipe.unused(&seed(3), &answered), recipe.unit()),
            (3, 3, Unit::Turn)
        );
        let again = Slot { attempt: 1, ..Slot::main(0) };
        assert!(recipe.is_counted(Slot::main(0)) && !recipe.is_counted(again));
        for (slot, unused) in [(Slot::main(0), 2), (again, 2), (Slot::main(1), 1), (Slot::main(2), 0)] {
            answered.insert(slot, Arc::clone(&answer));
            assert_eq!(recipe.unused(&seed(3), &answered), unused);
        }
        assert_eq!((recipe.unused(&seed(1), &answered), answered.len(), answered.iter().count()), (0, 4, 4));
        assert_eq!(answered.counted(|slot| slot.turn == 0), 2);
        assert_eq!((answered.get(again), answered.get(Slot::main(3))), (Some(&answer), None));
        assert!(recipe.older().is_empty(), "without a gate there are no older rules");
    }

    #[test]
    fn an_assumed_answer_passes_every_check_and_rules_are_kept() {
        let mut answered = Answered::under(Some(RulesVersion::First));
        assert_eq!((answered.rules, Answered::default().rules), (Some(RulesVersion::First), None));
        let slot = Slot { lane: Lane::Student, ..Slot::main(0) };
        answered.assume(slot, Arc::new(Answer::complete("m", "")));
        let seen = answered.examined(slot).unwrap();
        assert_eq!(seen.verdict.get().map(|verdict| verdict.rejected_by), Some(None));
        assert_eq!((seen.orphan.get(), seen.user_fault.get()), (Some(&None), Some(&None)));
        let mut given = Answered::default();
        given.insert(slot, Arc::new(Answer::complete("m", "")));
        assert!(given.examined(slot).is_some_and(|seen| seen.verdict.get().is_none()));
    }
}
