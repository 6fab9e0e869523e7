use std::sync::Arc;

use super::assignment;
use super::seeds::{ControlSeeds, seed};
use crate::conversation::{Duel, DuelEnd, KnownAnswer, Seed, Winner};
use crate::job::JobError;
use crate::job::engine::Assignment;
use crate::job::plan::Planner;
use crate::job::stored::{answers_in, replay_in};
use crate::recipe::{Compare, ComparedHistory, Judge, JudgedScope, Recipe, System};
use crate::report::{ControlReport, ControlsReport, KnownVerdict};
use crate::statistics::Conversations;
use crate::store::Reader;

/// Every how many-th known answer is also shown twice, and beside an answer to another question.
const STEP: usize = 2;

/// Controls of a judge that compares.
pub struct PairControls {
    recipe: Arc<Compare>,
    seeds: Arc<ControlSeeds>,
    kinds: Vec<PairKind>,
}

/// What is known of two answers.
#[derive(Clone, Copy)]
enum PairKind {
    /// This one is right, the other wrong.
    Known(Winner, &'static str),
    /// Both are the same.
    Same,
    /// This one is right, the other answers another question.
    Shuffled(Winner),
}

impl PairControls {
    /// The controls of a judge; it is asked once about each pair, in both orders.
    pub fn of(judge: Judge) -> Self {
        let side = |name: &str| System { name: name.to_owned(), target: None, system: None };
        let systems = vec![side("control"), side("control again")];
        let judge = Judge { repeats: 1, ..judge };
        let (mut seeds, mut kinds): (Vec<Seed>, Vec<PairKind>) = (Vec::new(), Vec::new());
        let all = KnownAnswer::all();
        // Half of the right answers are the first system's.
        let placed = |at: usize| if at.is_multiple_of(2) { Winner::First } else { Winner::Second };
        for (at, known) in all.iter().enumerate() {
            let winner = placed(at);
            seeds.push(seed("known", known, None, &in_place(winner, &known.right, &known.wrong)));
            kinds.push(PairKind::Known(winner, known.language));
        }
        for (at, known) in all.iter().enumerate().step_by(STEP) {
            seeds.push(seed("same", known, None, &[&known.right, &known.right]));
            kinds.push(PairKind::Same);
            let (winner, other) = (placed(at / STEP), &all[(at + 1) % all.len()]);
            seeds.push(seed("shuffled", known, None, &in_place(winner, &known.right, &other.right)));
            kinds.push(PairKind::Shuffled(winner));
        }
        let recipe = Arc::new(Compare::new(systems, judge, JudgedScope::Turns, ComparedHistory::Own));
        Self { recipe, seeds: Arc::new(ControlSeeds(seeds)), kinds }
    }

    /// Returns the run that asks them.
    pub fn assignment(&self, store: &dyn Reader) -> Result<Assignment, JobError> {
        assignment(&(Arc::clone(&self.recipe) as Arc<dyn Recipe>), &self.seeds, store)
    }

    /// Adds them to a plan.
    pub fn plan(&self, planner: &mut Planner<'_>) -> Result<(), JobError> {
        self.seeds.all().iter().try_for_each(|seed| planner.add(&*self.recipe, seed))
    }

    /// Returns what the judge made of them.
    pub fn report(&self, store: &dyn Reader) -> Result<ControlsReport, JobError> {
        let (mut known, mut shuffled) = (Vec::new(), Vec::new());
        let mut same = Conversations::default();
        for (kind, seed) in self.kinds.iter().zip(self.seeds.all()) {
            let mut replay = replay_in(store, &*self.recipe, seed)?;
            replay.advance(answers_in(store))?;
            let sides = self.recipe.sides(seed, replay.answered());
            for duel in self.recipe.duels(seed, &sides, replay.answered()) {
                match kind {
                    PairKind::Known(winner, language) => known.push(verdict(&duel, *winner, language)),
                    PairKind::Shuffled(winner) => shuffled.push(verdict(&duel, *winner, "")),
                    PairKind::Same => same.push(first_places(&duel)),
                }
            }
        }
        Ok(ControlsReport::of(
            ControlReport::known(&known, "the right answer wins at least 90 % of the decided pairs"),
            Some(ControlReport::same(&same)),
            Some(ControlReport::known(&shuffled, "the matching answer wins at least 90 % of the decided pairs")),
        ))
    }
}

fn in_place<'a>(winner: Winner, right: &'a str, wrong: &'a str) -> [&'a str; 2] {
    if winner == Winner::First { [right, wrong] } else { [wrong, right] }
}

fn verdict(duel: &Duel, right: Winner, language: &'static str) -> KnownVerdict {
    let is_right = match duel.end {
        DuelEnd::Decided(winner @ (Winner::First | Winner::Second)) => Some(winner == right),
        _ => None,
    };
    KnownVerdict { language, is_right }
}

/// Returns how often the first place is preferred in two verdicts on the same answers: 1, 0, or a half for neither.
fn first_places(duel: &Duel) -> impl Iterator<Item = f64> {
    let [one, other] = duel.orders;
    [one, other.map(Winner::turned)].into_iter().flatten().map(Winner::score)
}
