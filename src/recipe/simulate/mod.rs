//! A model plays the user: dialogues are continued turn by turn, a teacher answering as in distillation.
//!
//! The user has a goal (one call, [`Goal`]), a persona, and before each turn a [`Move`] that is thrown by dice. What it says
//! is checked by code, asked for again at most twice, and ends the conversation where it stays bad: no end is left to
//! the good will of a model.

mod direction;
mod goal;
mod part;
mod simulated;
mod walk;

pub use direction::Move;
pub use goal::Goal;
pub use simulated::{Simulated, SimulatedEnd, UserTurn};

use std::sync::Arc;

use super::screen::Screen;
use super::{Answered, Recipe, Step};
use crate::conversation::{Dialogue, Outcome, Question, Seed, Settings, Target};
use crate::quality::Gate;

/// Continues each conversation until it has so many user turns.
///
/// What the source's users say is kept and answered anew by the teacher, as `distill` does (where it has done so already, the
/// store has the answers); what comes behind is simulated.
pub struct Simulate {
    teacher: Arc<Target>,
    user: Arc<Target>,
    turns: u32,
    personas: Vec<String>,
    screen: Screen,
    settings: Settings,
}

impl Simulate {
    /// Makes the recipe. The seed of the user's sampling decides the dice as well. `turns` is the number of user turns, `system` the text that replaces every row's own
    /// system message: the caller has put it into the seeds.
    pub fn new(
        teacher: Arc<Target>,
        user: Arc<Target>,
        turns: u32,
        personas: Vec<String>,
        gate: Option<Gate>,
        system: Option<&str>,
    ) -> Self {
        let gate_name = gate.as_ref().map_or("off".to_owned(), ToString::to_string);
        let settings = Settings::default()
            .with("recipe", "simulate")
            .with("model", &teacher)
            .with("user", &user)
            .with("turns", turns)
            .with("personas", personas.join("\n"))
            .with("gate", gate_name)
            .with("system", system.unwrap_or("from the rows"));
        Self { teacher, user, turns, personas, screen: Screen { gate, ..Screen::default() }, settings }
    }

    /// Returns the conversation as far as there are answers.
    pub fn simulated(&self, seed: &Seed, answered: &Answered) -> Simulated {
        self.walk(seed, answered).0
    }
}

/// Where a walk pauses or ends.
enum Pause {
    Ask(Vec<Question>),
    End(SimulatedEnd),
}

impl Recipe for Simulate {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    /// All answers, the messages of the simulated user, and its goal.
    fn turn_count(&self, seed: &Seed) -> u32 {
        let source = seed.turns.len() as u32;
        let simulated = self.turns.saturating_sub(source);
        source + 2 * simulated + u32::from(simulated > 0)
    }

    fn next(&self, seed: &Seed, answered: &Answered) -> Step {
        let (Simulated { dialogue, .. }, pause) = self.walk(seed, answered);
        match pause {
            Pause::Ask(questions) => Step::Ask(questions),
            Pause::End(end) => Step::Finish(Outcome::of(dialogue, end.stop())),
        }
    }

    fn so_far(&self, seed: &Seed, answered: &Answered) -> Dialogue {
        self.walk(seed, answered).0.dialogue
    }
}
