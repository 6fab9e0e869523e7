use std::sync::Arc;

use super::model::Found;
use super::options::Options;
use crate::recipe::Distill;

/// Returns the recipe that `distill`, `plan`, `export` and `verify` share: the same options make the same questions.
pub fn distill(found: &Found, options: &Options, system: Option<&str>) -> Distill {
    let recipe = Distill::new(Arc::clone(&found.target), system);
    if options.history_reasoning.unwrap_or(false) { recipe.with_reasoning_in_history() } else { recipe }
}
