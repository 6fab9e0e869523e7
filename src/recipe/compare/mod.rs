//! Systems answer the same conversations, and a judge says whose answers are better.
//!
//! Each system's side (`side`) grows turn by turn, and each duel (`duel`) is judged as soon as both sides have an answer.

mod duel;
mod side;

pub use side::{NoAnswer, Side};

use std::sync::Arc;

use super::judge::Judge;
use super::{Answered, JudgedScope, Recipe, Step, Walked};
use crate::conversation::{Dialogue, Duel, Lane, Message, Outcome, Question, Role, Seed, Settings, Slot, Target, Unit};
use duel::OpenDuel;
use side::Path;

/// Has systems answer the same conversations and a judge say whose answers are better, each pair in both orders.
///
/// All systems are asked at the same time, each with its own history; a turn is judged as soon as both sides of a pair have answered it.
pub struct Compare {
    systems: Vec<System>,
    judge: Judge,
    scope: JudgedScope,
    history: ComparedHistory,
    settings: Settings,
}

/// A source of answers that is compared.
#[derive(Clone, Debug)]
pub struct System {
    /// Its name in reports.
    pub name: String,
    /// The model that answers; `None` where the answers are given with the conversation.
    pub target: Option<Arc<Target>>,
    /// The system message that replaces the rows' own.
    pub system: Option<Arc<Message>>,
}

/// The history before each answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ComparedHistory {
    /// Each system's own answers: whole conversations are compared.
    #[default]
    Own,
    /// The dataset's answers, the same for all: turns are compared one by one.
    Shared,
}

/// How far a conversation has been walked.
struct Walk {
    /// Each system's answers, and how to go on with them.
    sides: Vec<Side>,
    paths: Vec<Path>,
    /// The duels that have not ended.
    duels: Vec<OpenDuel>,
}

impl Compare {
    /// Makes the recipe. Systems without a target have their answers among each turn's given ones, under their own number. With a
    /// shared history the seeds must count what they replace into their identity.
    pub fn new(systems: Vec<System>, judge: Judge, scope: JudgedScope, history: ComparedHistory) -> Self {
        let mut settings = judge
            .settings("compare")
            .with("per", scope.name())
            .with("history", if history == ComparedHistory::Own { "own" } else { "shared" });
        for (number, system) in systems.iter().enumerate() {
            let who = match &system.target {
                Some(target) => target.to_string(),
                None => "given".to_owned(),
            };
            let text = system.system.as_ref().map_or("from the rows", |system| system.content());
            settings = settings.with(&format!("system-{number}"), format!("{who}, system message {text}"));
        }
        Self { systems, judge, scope, history, settings }
    }

    /// False where a shared history is wanted and the conversation has none.
    pub fn can_take(&self, seed: &Seed) -> bool {
        let earlier = seed.turns.len().saturating_sub(1);
        self.history == ComparedHistory::Own || seed.turns[..earlier].iter().all(|turn| turn.replaced.is_some())
    }

    /// Returns each system's answers, as far as they are there.
    pub fn sides(&self, seed: &Seed, answered: &Answered) -> Vec<Side> {
        let mut walk = self.begin(seed);
        self.walk_sides(seed, answered, &mut walk);
        walk.sides.iter_mut().for_each(|side| side.answers.resize(seed.turns.len(), None));
        walk.sides
    }

    /// Returns every duel: turn by turn, pair by pair, repeat by repeat.
    pub fn duels(&self, seed: &Seed, sides: &[Side], answered: &Answered) -> Vec<Duel> {
        self.open_duels(seed).iter().map(|open| self.duel(seed, sides, open, answered).0).collect()
    }

    /// Begins a walk at the first turn.
    fn begin(&self, seed: &Seed) -> Walk {
        let (sides, paths) = (0..self.systems.len()).map(|number| self.begin_side(number, seed)).unzip();
        Walk { sides, paths, duels: self.open_duels(seed) }
    }

    fn walk_sides(&self, seed: &Seed, answered: &Answered, walk: &mut Walk) {
        for (side, path) in walk.sides.iter_mut().zip(&mut walk.paths) {
            self.walk_side(seed, answered, side, path);
        }
    }
}

impl System {
    fn heard(&self, turn: usize, messages: &[Arc<Message>]) -> Vec<Arc<Message>> {
        let Some(system) = self.system.as_ref().filter(|_| turn == 0) else { return messages.to_vec() };
        let others = messages.iter().filter(|message| message.role() != Role::System).cloned();
        [Arc::clone(system)].into_iter().chain(others).collect()
    }
}

impl Recipe for Compare {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn turn_count(&self, seed: &Seed) -> u32 {
        let speaking = self.systems.iter().filter(|system| system.target.is_some()).count();
        let pairs = self.systems.len() * (self.systems.len() - 1) / 2;
        let judged = self.scope.scopes(seed.turns.len() as u32).count() * pairs * 2 * self.judge.repeats as usize;
        (speaking * seed.turns.len() + judged) as u32
    }

    fn unit(&self) -> Unit {
        Unit::Answer
    }

    fn is_counted(&self, slot: Slot) -> bool {
        slot.lane != Lane::Judge || Judge::is_first_reply(slot)
    }

    fn next(&self, seed: &Seed, answered: &Answered) -> Step {
        self.advance(seed, answered, &mut Walked::default())
    }

    fn advance(&self, seed: &Seed, answered: &Answered, walked: &mut Walked) -> Step {
        let mut walk = walked.take().unwrap_or_else(|| self.begin(seed));
        self.walk_sides(seed, answered, &mut walk);
        walk.duels.retain_mut(|duel| self.stays_open(seed, &walk.sides, duel, answered));
        let spoken = walk.sides.iter().flat_map(Side::open);
        let open: Vec<Question> = spoken.chain(walk.duels.iter().flat_map(OpenDuel::open)).cloned().collect();
        if open.is_empty() {
            return Step::Finish(Outcome::Complete(Dialogue::default()));
        }
        walked.keep(walk);
        Step::Ask(open)
    }

    fn so_far(&self, _: &Seed, _: &Answered) -> Dialogue {
        Dialogue::default()
    }
}
