use std::sync::Arc;

use super::CliError;
use super::model::Found;
use super::options::{Options, OrphanRule};
use crate::recipe::{Distill, Orphans};

/// Returns the recipe that `distill`, `plan`, `export` and `verify` share: the same options make the same questions.
pub fn distill(found: &Found, options: &Options, system: Option<&str>) -> Result<Distill, CliError> {
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
    Ok(recipe)
}
