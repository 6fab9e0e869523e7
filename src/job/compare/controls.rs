use std::sync::Arc;

use super::answers::ComparedRows;
use super::{CompareSettings, RowToCompare};
use crate::conversation::{ConversationKey, Duel, Message, Seed, Turn};
use crate::job::JobError;
use crate::job::counting::{Stored, row_of};
use crate::job::engine::Assignment;
use crate::job::stored::answers_in;
use crate::recipe::{Compare, ComparedHistory, Judge, JudgedScope, Recipe, Replay, System};
use crate::report::{ControlReport, ControlsReport, Totals};
use crate::statistics::Conversations;
use crate::store::Reader;
use crate::worker::{self, Seeds};

/// Conversations of a control.
pub const CONVERSATIONS_MAX: usize = 50;

/// Conversations whose outcome is known.
pub struct Controls {
    recipe: Arc<Compare>,
    seeds: Arc<KnownPairs>,
}

/// Returns how often the judge is asked about a conversation of `turns` turns that is a control of both kinds.
pub fn calls(settings: &CompareSettings, turns: u32) -> u64 {
    let scopes = match settings.scope {
        JudgedScope::Turns => turns,
        JudgedScope::Whole => 1,
        JudgedScope::Both => turns + 1,
    };
    // Two kinds of controls, each in both orders.
    u64::from(scopes) * 4 * u64::from(settings.judge.repeats)
}

/// First those with the same answers on both sides, then those with other conversations' answers on the second.
struct KnownPairs {
    same: Vec<Seed>,
    shuffled: Vec<Seed>,
}

/// Makes controls of the first system's answers to the first conversations.
pub fn prepare(
    compared: &ComparedRows<'_>,
    rows: &[RowToCompare],
    judge: Judge,
    scope: JudgedScope,
) -> Result<(Assignment, Controls), JobError> {
    type Answers = Vec<Option<Arc<Message>>>;
    let mut answered: Vec<(Seed, Answers)> = Vec::new();
    // A few more than are wanted, as some have no answer.
    let rows = &rows[..rows.len().min(2 * CONVERSATIONS_MAX)];
    compared.each(rows, &mut |seed, sides, _| {
        let is_whole = sides[0].answers.iter().all(Option::is_some);
        if is_whole && answered.len() < CONVERSATIONS_MAX {
            answered.push((seed.clone(), sides[0].answers.clone()));
        }
        Ok(())
    })?;
    let given = |seed: &Seed, first: &Answers, second: &Answers| {
        let mut seed = seed.clone();
        // Where the second conversation is shorter, its last answer stands in once more.
        let second = |at: usize| second.get(at).or(second.last()).cloned().flatten();
        for (at, turn) in seed.turns.iter_mut().enumerate() {
            *turn = Turn { given: vec![first[at].clone(), second(at)], ..turn.clone() };
        }
        seed
    };
    let count = answered.len();
    let other = |at: usize| &answered[(at + 1) % count].1;
    let same = answered.iter().map(|(seed, answers)| given(seed, answers, answers)).collect();
    let shuffled = answered.iter().enumerate().map(|(at, (seed, answers))| given(seed, answers, other(at))).collect();
    let seeds = Arc::new(KnownPairs { same, shuffled });

    let side = |name: &str| System { name: name.to_owned(), target: None, system: None };
    let systems = vec![side("control"), side("control again")];
    let recipe = Arc::new(Compare::new(systems, judge, scope, ComparedHistory::Own));
    let mut known = Vec::new();
    for row in 0..2 * count as u64 {
        let seed = seeds.seed(row).map_err(JobError::unexpected)?;
        let state = compared.store.state(&ConversationKey::new(recipe.settings(), &seed.digest()))?;
        known.push((row, u64::from(recipe.turn_count(&seed)), row_of(state, &*recipe)));
    }
    let totals = Totals { conversations: 2 * count as u64, turns: known.iter().map(|(_, calls, _)| calls).sum() };
    let assignment = Assignment {
        recipe: Arc::clone(&recipe) as Arc<dyn Recipe>,
        seeds: Arc::clone(&seeds) as Arc<dyn Seeds>,
        rows: Box::new((0..2 * count as u64).map(|row| Ok(worker::Admit::Row(row)))),
        totals,
        stored: Stored::counted(known, 2 * count as u64),
    };
    Ok((assignment, Controls { recipe, seeds }))
}

impl Controls {
    /// Returns what the judge made of them.
    pub fn report(&self, store: &dyn Reader) -> Result<ControlsReport, JobError> {
        Ok(ControlsReport {
            same: ControlReport::same(&self.scores(&self.seeds.same, store)?),
            shuffled: ControlReport::shuffled(&self.scores(&self.seeds.shuffled, store)?),
        })
    }

    fn scores(&self, seeds: &[Seed], store: &dyn Reader) -> Result<Conversations, JobError> {
        let mut scores = Conversations::default();
        for seed in seeds {
            let mut replay = Replay::new(&*self.recipe, seed);
            replay.advance(answers_in(store))?;
            let sides = self.recipe.sides(seed, replay.answered());
            let duels = self.recipe.duels(seed, &sides, replay.answered());
            scores.push(duels.iter().filter_map(Duel::score));
        }
        Ok(scores)
    }
}

impl Seeds for KnownPairs {
    fn seed(&self, row: u64) -> Result<Seed, String> {
        let row = row as usize;
        let seed = self.same.get(row).or_else(|| self.shuffled.get(row.wrapping_sub(self.same.len())));
        seed.cloned().ok_or_else(|| "there is no such control".to_owned())
    }
}
