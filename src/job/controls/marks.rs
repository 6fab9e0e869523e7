use std::sync::Arc;

use super::assignment;
use super::seeds::{ControlSeeds, seed};
use crate::conversation::{KnownAnswer, Seed};
use crate::job::JobError;
use crate::job::engine::Assignment;
use crate::job::plan::Planner;
use crate::job::stored::{answers_in, replay_in};
use crate::recipe::{Evaluate, Judge, JudgedHistory, JudgedScope, Recipe, Scale};
use crate::report::{ControlReport, ControlsReport, KnownVerdict};
use crate::statistics::mean;
use crate::store::Reader;

/// What a check looks for in a known answer.
const CRITERION: &str = "The answer to the user's question is correct.";
/// The rubric for a known answer.
const RUBRIC: &str = "Is the answer to the user's question correct?\n1: it is wrong\n2: it is mostly wrong\n3: it is half \
                      right\n4: it is mostly right\n5: it is right";

/// Controls of a judge that marks: the right and the wrong answer to each question, by themselves.
pub struct MarkControls {
    recipe: Arc<Evaluate>,
    seeds: Arc<ControlSeeds>,
}

impl MarkControls {
    /// The controls of a judge; it is asked once about each answer.
    pub fn of(judge: Judge) -> Self {
        let criteria = match judge.prompt.scale() {
            Scale::Score | Scale::Pair => Vec::new(),
            Scale::Check => vec![CRITERION.to_owned()],
            Scale::Rubric => vec![RUBRIC.to_owned()],
        };
        let judge = Judge { repeats: 1, ..judge };
        let both =
            |known: &KnownAnswer| [&known.right, &known.wrong].map(|answer| seed("known", known, Some(answer), &[]));
        let seeds: Vec<Seed> = KnownAnswer::all().iter().flat_map(both).collect();
        let recipe = Arc::new(Evaluate::new(judge, JudgedScope::Turns, JudgedHistory::Own, criteria));
        Self { recipe, seeds: Arc::new(ControlSeeds(seeds)) }
    }

    /// Returns the run that asks them.
    pub fn assignment(&self, store: &dyn Reader) -> Result<Assignment, JobError> {
        assignment(&(Arc::clone(&self.recipe) as Arc<dyn Recipe>), &self.seeds, store)
    }

    /// Adds them to a plan.
    pub fn plan(&self, planner: &mut Planner<'_>) -> Result<(), JobError> {
        self.seeds.all().iter().try_for_each(|seed| planner.add(&*self.recipe, seed))
    }

    /// Returns what the judge made of them: a question is decided if its two answers have different marks.
    pub fn report(&self, store: &dyn Reader) -> Result<ControlsReport, JobError> {
        let mut marks = Vec::new();
        for seed in self.seeds.all() {
            let mut replay = replay_in(store, &*self.recipe, seed)?;
            replay.advance(answers_in(store))?;
            let values: Vec<f64> =
                self.recipe.marks(seed, replay.answered()).iter().filter_map(|mark| mark.value).collect();
            marks.push(mean(&values));
        }
        let verdict = |(known, marks): (&KnownAnswer, &[Option<f64>])| {
            let both = marks.first().copied().flatten().zip(marks.get(1).copied().flatten());
            let decided = both.filter(|(right, wrong)| (right - wrong).abs() > 1e-9);
            KnownVerdict { language: known.language, is_right: decided.map(|(right, wrong)| right > wrong) }
        };
        let known: Vec<KnownVerdict> = KnownAnswer::all().iter().zip(marks.chunks(2)).map(verdict).collect();
        let expected = "the right answer has the higher mark in at least 90 % of the decided pairs";
        Ok(ControlsReport::of(ControlReport::known(&known, expected), None, None))
    }
}
