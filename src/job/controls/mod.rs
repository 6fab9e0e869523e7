//! Controls: what a judge makes of answers that are known to be right or wrong, before anybody relies on its verdicts.
//!
//! They are asked first, of the answers that the program ships ([`KnownAnswer`](crate::conversation::KnownAnswer)), and stored like
//! any verdict: a judge is asked once, however many comparisons it judges. `pairs` are for a judge that compares, `marks` for one
//! that marks.

mod marks;
mod pairs;
mod seeds;

pub use marks::MarkControls;
pub use pairs::PairControls;

use std::sync::Arc;

use super::JobError;
use super::counting::{Stored, row_of};
use super::engine::Assignment;
use super::judge::JudgeSettings;
use super::models::ModelChoice;
use super::stored::begun_in;
use crate::model::Simulated;
use crate::quality::RulesVersion;
use crate::recipe::{Begun, Recipe};
use crate::report::Totals;
use crate::store::Reader;
use crate::worker::{self, Seeds};
use seeds::ControlSeeds;

/// What controls ask, in words.
pub const CONTROLS_FIRST: &str =
    "the judge is shown answers that are known to be right or wrong first; --no-controls leaves that out";

/// True if controls are asked where nobody has said: the judge is a model, and something is asked of it in the newest words. Who
/// only finishes what was begun under older prompts is not asked more than was asked then.
pub fn are_usual(judge: &JudgeSettings, is_all_older: bool) -> bool {
    let is_older = is_all_older || judge.version.is_some_and(|version| version < RulesVersion::NEWEST);
    !is_simulated(&judge.model) && !is_older
}

/// True for the built-in model, whose verdicts mean nothing.
pub fn is_simulated(judge: &ModelChoice) -> bool {
    judge.target.dialect() == Simulated::DIALECT
}

/// Says that a judge is the built-in model, where it is.
pub fn caution_about(judge: &ModelChoice) -> Option<String> {
    is_simulated(judge).then(|| "the judge is simulated: its verdicts mean nothing".to_owned())
}

/// Returns the run that asks about these conversations.
fn assignment(recipe: &Arc<dyn Recipe>, seeds: &Arc<ControlSeeds>, store: &dyn Reader) -> Result<Assignment, JobError> {
    let (mut known, mut calls) = (Vec::new(), 0);
    for (row, seed) in (0..).zip(seeds.all()) {
        let Begun { state, .. } = begun_in(store, &**recipe, &seed.digest())?;
        let count = u64::from(recipe.turn_count(seed));
        calls += count;
        known.push((row, count, row_of(state, &**recipe)));
    }
    let rows = known.len() as u64;
    Ok(Assignment {
        recipe: Arc::clone(recipe),
        seeds: Arc::clone(seeds) as Arc<dyn Seeds>,
        totals: Totals { conversations: rows, turns: calls },
        stored: Stored::counted(known, rows),
        rows: Box::new((0..rows).map(|row| Ok(worker::Admit::Row(row)))),
        ahead_of: None,
    })
}
