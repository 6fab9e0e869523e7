//! A model plays the user: dialogues are continued turn by turn, a teacher answering as in distillation.
//!
//! The user has a goal (one call, [`Goal`]), a persona, and before each turn a random [`Move`]. Its message
//! is checked by code and requested again at most twice; the conversation ends where no attempt is valid. Every end is
//! decided by code, not by a model.

mod card_text;
mod copied;
mod direction;
mod goal;
mod part;
mod simulated;
mod task_talk;
mod walk;

pub use direction::Move;
pub use goal::Goal;
pub use simulated::{SimulatedDialogue, SimulatedEnd, UserTurn};

use std::sync::Arc;

use super::answer_check::AnswerCheck;
use super::begun::{OlderRules, older_rules, with_prompts};
use super::{Answered, Recipe, Step, Walked};
use crate::conversation::{Dialogue, Outcome, Question, Seed, Settings, Target, Unit};
use crate::quality::{Gate, RulesVersion};

/// Continues each conversation until it has the wanted number of user turns.
///
/// The messages of the source's users are kept, and the teacher answers them as in `distill` (whose stored answers are
/// reused); all later turns are simulated.
pub struct Simulate {
    teacher: Arc<Target>,
    user: Arc<Target>,
    turns: u32,
    personas: Vec<String>,
    /// That of the prompts under which conversations begin.
    version: RulesVersion,
    answer_check: AnswerCheck,
    settings: Settings,
    older: Vec<OlderRules>,
}

impl Simulate {
    /// Makes the recipe. The seed of the user's sampling also seeds the random choices. `turns` is the number of user
    /// turns. `system` is the text that replaces every row's own system message; the caller has put it into the seeds.
    pub fn new(
        teacher: Arc<Target>,
        user: Arc<Target>,
        turns: u32,
        personas: Vec<String>,
        gate: Option<Gate>,
        system: Option<&str>,
    ) -> Self {
        let answer_check = AnswerCheck::by(gate);
        let settings_under = |version| {
            let settings = Settings::default()
                .with("recipe", "simulate")
                .with("model", &teacher)
                .with("user", &user)
                .with("turns", turns)
                .with("personas", personas.join("\n"))
                .with("gate", answer_check.gate_setting_under(version))
                .with("system", system.unwrap_or("from the rows"));
            with_prompts(settings, version)
        };
        let version = answer_check.gate.as_ref().map_or(RulesVersion::NEWEST, Gate::version);
        let settings = settings_under(version);
        let versions = RulesVersion::ALL.iter().copied().filter(|older| *older < version);
        let versions = versions.filter(|older| answer_check.may_have_begun_under(*older));
        let older = older_rules(versions, settings_under);
        Self { teacher, user, turns, personas, version, answer_check, settings, older }
    }

    /// Has every conversation follow one version of prompts and rules, whatever it was begun under.
    #[must_use]
    pub fn of_version(mut self, version: RulesVersion) -> Self {
        if let Some(older) = self.older.iter().find(|older| older.rules == version) {
            self.settings = older.settings.clone();
            self.version = version;
            self.answer_check.gate = self.answer_check.gate.map(|gate| gate.under(version));
        }
        self.older.clear();
        self
    }

    /// Returns the version of the prompts and rules for a conversation with these answers.
    fn version_of(&self, answered: &Answered) -> RulesVersion {
        answered.rules.unwrap_or(self.version)
    }

    /// Returns the conversation as far as there are answers.
    pub fn simulated(&self, seed: &Seed, answered: &Answered) -> SimulatedDialogue {
        let mut walk = self.begin(seed);
        self.walk(seed, answered, &mut walk);
        walk.state
    }
}

/// Where a walk pauses or ends.
enum SimulatedPause {
    Ask(Vec<Question>),
    End(SimulatedEnd),
}

impl Recipe for Simulate {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn older(&self) -> &[OlderRules] {
        &self.older
    }

    /// All answers, the messages of the simulated user, and its goal.
    fn turn_count(&self, seed: &Seed) -> u32 {
        let source = seed.turns.len() as u32;
        let simulated = self.turns.saturating_sub(source);
        source + 2 * simulated + u32::from(simulated > 0)
    }

    fn unit(&self) -> Unit {
        Unit::Answer
    }

    fn next(&self, seed: &Seed, answered: &Answered) -> Step {
        self.advance(seed, answered, &mut Walked::default())
    }

    fn advance(&self, seed: &Seed, answered: &Answered, walked: &mut Walked) -> Step {
        let mut walk = walked.take().unwrap_or_else(|| self.begin(seed));
        match self.walk(seed, answered, &mut walk) {
            SimulatedPause::Ask(questions) => {
                walked.keep(walk);
                Step::Ask(questions)
            }
            SimulatedPause::End(end) => Step::Finish(Outcome::of(walk.state.dialogue, end.stop())),
        }
    }

    fn so_far(&self, seed: &Seed, answered: &Answered) -> Dialogue {
        self.simulated(seed, answered).dialogue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::conversation::{Columns, Sampling, Turn};

    #[test]
    fn a_conversation_counts_its_answers_its_simulated_messages_and_its_goal() {
        let target = Target::new("m", "openai", Sampling::default());
        let count = |wanted: u32, source: usize| {
            let recipe =
                Simulate::new(Arc::clone(&target), Arc::clone(&target), wanted, vec!["a".to_owned()], None, None);
            let turn = Turn {
                messages: Vec::new(),
                replaced: None,
                given: Vec::new(),
                follows: Vec::new(),
                ends_in_calls: false,
            };
            let seed = Seed {
                id: "one".to_owned(),
                turns: vec![turn; source],
                tools: None,
                columns: Columns::new(),
                counts_replaced: false,
                criteria: Vec::new(),
            };
            (recipe.turn_count(&seed), recipe.unit())
        };
        assert_eq!(count(4, 1), (1 + 2 * 3 + 1, Unit::Answer));
        assert_eq!((count(3, 2).0, count(2, 2).0, count(1, 2).0), (2 + 2 + 1, 2, 2));
    }
}
