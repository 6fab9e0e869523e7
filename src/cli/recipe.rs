use std::sync::Arc;

use super::CliError;
use super::judged::{find_judge, judge};
use super::model::{Found, find_scorer};
use super::options::{Options, OrphanRule};
use crate::recipe::{BestOf, Distill, Orphans, Ranker, Scale};

/// Answers to one turn.
const SAMPLES_MAX: u32 = 64;

/// Returns the recipe that `distill`, `plan`, `export` and `verify` share: the same options make the same questions.
pub fn distill(
    found: &Found,
    ranker: Option<&Found>,
    options: &Options,
    system: Option<&str>,
) -> Result<Distill, CliError> {
    let mut recipe = Distill::new(Arc::clone(&found.target), system);
    if options.history_reasoning.unwrap_or(false) {
        recipe = recipe.with_reasoning_in_history();
    }
    if let Some(gate) = options.gate()? {
        recipe = recipe.with_gate(gate);
    }
    if let Some(orphans) = options.orphans {
        recipe = recipe.with_orphans(match orphans {
            OrphanRule::Keep => Orphans::Keep,
            OrphanRule::Truncate => Orphans::Truncate,
            OrphanRule::Rewrite => Orphans::Rewrite,
        });
    }
    if let Some(ranker) = ranker {
        let samples = options.samples.unwrap_or(1);
        let ranker = match options.scorer {
            Some(_) => Ranker::Scorer(Arc::clone(&ranker.target)),
            None => Ranker::Judge(judge(ranker, Scale::Score, options)?),
        };
        recipe = recipe.with_best_of(BestOf { samples, ranker });
    }
    Ok(recipe)
}

/// Finds who says which of several answers is best, where several are asked for.
pub fn find_ranker(options: &Options) -> Result<Option<Found>, CliError> {
    match (options.samples.unwrap_or(1), &options.scorer, &options.judge) {
        (0 | SAMPLES_MAX.., ..) => {
            let hint = format!("give it a number from 1 to {}", SAMPLES_MAX - 1);
            Err(CliError::usage("--samples is out of range", hint))
        }
        (1, Some(_), _) => Err(CliError::usage("--scorer has nothing to choose from", "add --samples 4")),
        // The configuration may name a judge for other commands.
        (1, None, _) => Ok(None),
        (_, Some(scorer), _) => find_scorer(scorer, options).map(Some),
        (_, None, Some(_)) => find_judge(options).map(Some),
        (_, None, None) => Err(CliError::usage(
            "--samples asks for several answers, and nobody says which is best",
            "add --judge MODEL, or --scorer NAME@URL",
        )),
    }
}
