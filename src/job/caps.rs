use std::path::Path;

use super::JobError;
use super::control::KeptLimits;
use super::models::{ModelChoice, prices};
use super::settings::RunSettings;
use crate::model::profile_table;
use crate::worker::BudgetLimits;

/// Returns the settings and caps that hold for a run over `store`: its own, lowered to what `cohobate ctl set` has kept
/// there, where the store is a directory. Says what is lowered.
pub fn caps_over(store: Option<&Path>, run: &RunSettings, models: &[&ModelChoice]) -> Result<CapsOver, JobError> {
    let mut run = run.clone();
    let lowered = match store {
        Some(store) => KeptLimits::read(store)?.lower(&mut run),
        None => Vec::new(),
    };
    let budget = caps(&run, models).map_err(|error| of_kept(error, &lowered))?;
    let caution = (!lowered.is_empty()).then(|| {
        let lowered = lowered.join(", ");
        format!("{lowered}, as `cohobate ctl set` has set it for this store; set it again to change that")
    });
    Ok(CapsOver { run, budget, caution })
}

/// What holds for a run over a store.
pub struct CapsOver {
    /// Its settings, lowered.
    pub run: RunSettings,
    /// Its caps.
    pub budget: BudgetLimits,
    /// What was lowered, in words.
    pub caution: Option<String>,
}

/// Says where a cap comes from that the settings do not name.
fn of_kept(error: JobError, lowered: &[String]) -> JobError {
    if lowered.is_empty() {
        return error;
    }
    let message = format!("{} ({}, as `cohobate ctl set` has set it)", error.message, lowered.join(", "));
    let hint = error.hint.map(|hint| format!("{hint}; `cohobate ctl set max-cost=none` removes that cap"));
    JobError { message, hint, ..error }
}

/// Returns the caps of a run. A cap that cannot be kept is refused: the worst case of every call must be known.
pub fn caps(run: &RunSettings, models: &[&ModelChoice]) -> Result<BudgetLimits, JobError> {
    let needs_length = run.max_cost.is_some() || run.max_output_tokens.is_some();
    if needs_length && models.iter().any(|model| model.writes() && model.target.sampling().max_tokens.is_none()) {
        return Err(JobError::usage(
            "--max-cost and --max-output-tokens need --max-tokens: without it an answer may have any length",
            "add --max-tokens N",
        ));
    }
    if run.max_cost.is_some()
        && let Some(model) = models.iter().find(|model| model.price.is_none())
    {
        let model = model.target.model();
        return Err(JobError::usage(
            format!("--max-cost is given, but the price of `{model}` is unknown"),
            format!(
                "add to cohobate.toml, with the dollars for a million tokens:\n{}\nprice = {{ input = 0.10, output = 0.40 }}",
                profile_table(model)
            ),
        ));
    }
    if let Some(cost) = run.max_cost.filter(|cost| !cost.is_finite() || *cost < 0.0) {
        return Err(JobError::usage(format!("--max-cost is {cost}"), "give it an amount of dollars"));
    }
    Ok(BudgetLimits {
        cost: run.max_cost,
        requests: run.max_requests,
        output_tokens: run.max_output_tokens,
        prices: prices(models),
    })
}
