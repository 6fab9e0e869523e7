//! A worker opens its store, and joins a run.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::access::SharedAccess;
use super::fleet::SharedFleet;
use super::openings::Openings;
use crate::job::{Context, JobError, JobEvent};
use crate::recipe::{Recipe, keys_of};
use crate::report::words::{counted, money};
use crate::store::shared::{Caps, Joined, JoinedRun, NANO, RunRequest, SharedSettings, SharedStore, WorkerStart, nano};
use crate::store::{Prefetch, Reader, Run, Unsettled};
use crate::worker::{BudgetLimits, RowOrder, Seeds};

impl SharedAccess {
    /// Opens the store of a worker, whose directory is below `base`, and reports what an earlier start has left there.
    pub fn open(
        &self,
        base: &Path,
        budget: &BudgetLimits,
        models: &[String],
        context: &Context,
    ) -> Result<SharedStore, JobError> {
        let start = WorkerStart {
            id: (self.new_id)(),
            host: self.host.clone(),
            process: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let settings = SharedSettings {
            base: base.to_owned(),
            start,
            prices: budget.prices.clone(),
            lease: self.lease,
            defences: self.defences,
        };
        let name_of = |request: &Unsettled| {
            let named = models.iter().find(|name| request.is_for(name)).or(models.first());
            named.cloned().unwrap_or_default()
        };
        let (store, opened) = SharedStore::open(Arc::clone(&self.database), settings, &name_of)?;
        if let Some(caution) = opened.caution {
            context.report(JobEvent::Caution(caution));
        }
        if opened.uploaded > 0 {
            let text = format!("uploaded {} that an earlier start had left here", counted(opened.uploaded, "record"));
            context.report(JobEvent::Caution(text));
        }
        for damage in &opened.damages {
            context.report(JobEvent::SegmentDamaged { segment: damage.path.clone(), bytes: damage.bytes.clone() });
        }
        if !opened.unknown.is_empty() {
            let cost_of = |request: &Unsettled| {
                let price = budget.prices.get(&name_of(request)).filter(|_| request.completion_tokens > 0)?;
                Some(price.worst_cost(request.prompt_tokens, request.completion_tokens))
            };
            let cost_max = opened.unknown.iter().map(cost_of).sum();
            context.report(JobEvent::CallsUnknown { calls: opened.unknown.len() as u64, cost_max });
        }
        Ok(store)
    }
}

/// The run of a worker that shares it.
pub struct SharedRun {
    /// The part of this worker.
    pub fleet: SharedFleet,
    /// The run's record.
    pub run: Run,
    /// What the worker may spend before anything is granted: nothing of what is capped.
    pub budget: BudgetLimits,
}

/// What a worker works on.
pub struct SharedWork<'a> {
    /// The recipe.
    pub recipe: Arc<dyn Recipe>,
    /// The conversations by row.
    pub seeds: Arc<dyn Seeds>,
    /// All rows of the run.
    pub rows: RowOrder,
    /// The caps that this worker was given, with the prices.
    pub budget: &'a BudgetLimits,
    /// The name of the run, where it has one.
    pub name: Option<String>,
}

/// Begins a run of a shared store, or joins it.
pub fn join(store: &Arc<SharedStore>, work: SharedWork<'_>, context: &Context) -> Result<SharedRun, JobError> {
    let SharedWork { recipe, seeds, rows, budget, name } = work;
    let openings = Openings::of(rows, &*seeds, &*recipe, store.directory())?;
    let slots = openings.slots().map_err(|error| JobError::unexpected(format!("cannot read the rows: {error}")))?;
    let caps =
        Caps { cost_nano: budget.cost.map(nano), requests: budget.requests, output_tokens: budget.output_tokens };
    let request = RunRequest {
        name: name.as_deref(),
        settings: recipe.settings(),
        rows: openings.rows.0,
        slots: &slots,
        caps,
        started_ms: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64),
    };
    let JoinedRun { run, name, is_new, caps: held, .. } = match store.join_run(&request)? {
        Joined::Run(joined) => joined,
        Joined::Differs { settings, same_rows } => {
            // Nobody counts a worker that asks nothing. Where that cannot be told, its lease passes.
            let _ = store.close();
            return Err(differs(&request, &settings, same_rows));
        }
    };
    let how = if is_new { "began" } else { "joined" };
    context.report(JobEvent::PartDone(format!("{how} run {name}, number {}", run.number)));
    if let Some(line) = other_caps(&caps, &held) {
        context.report(JobEvent::Caution(line));
    }
    let reader = Arc::clone(store);
    let asked = Arc::clone(&recipe);
    seeds.look_ahead(Box::new(move |digests| {
        let keys: Vec<_> = digests.iter().flat_map(|digest| keys_of(&*asked, digest)).collect();
        // What could not be read ahead is asked one by one, and fails there.
        let _ = reader.prefetch(&keys, Prefetch::Answers);
    }));
    let fleet = SharedFleet::begin(Arc::clone(store), openings, (recipe, seeds), context)?;
    let budget = BudgetLimits {
        cost: held.cost_nano.map(|_| 0.0),
        requests: held.requests.map(|_| 0),
        output_tokens: held.output_tokens.map(|_| 0),
        prices: budget.prices.clone(),
    };
    Ok(SharedRun { fleet, run, budget })
}

/// Says which caps hold that this worker was not given.
fn other_caps(given: &Caps, held: &Caps) -> Option<String> {
    let caps = [
        (given.cost_nano.is_none(), held.cost_nano.map(|cap| format!("--max-cost {}", money(cap as f64 / NANO)))),
        (given.requests.is_none(), held.requests.map(|cap| format!("--max-requests {cap}"))),
        (given.output_tokens.is_none(), held.output_tokens.map(|cap| format!("--max-output-tokens {cap}"))),
    ];
    let others: Vec<String> = caps.into_iter().filter(|(is_other, _)| *is_other).filter_map(|(_, cap)| cap).collect();
    (!others.is_empty()).then(|| format!("{} holds for all workers of this run", others.join(", ")))
}

fn differs(request: &RunRequest<'_>, there: &crate::conversation::Settings, same_rows: bool) -> JobError {
    let name = request.name.unwrap_or_default();
    let settings = request.settings.differences(there);
    let mut what: Vec<String> =
        settings.into_iter().map(|(name, now, then)| format!("{name} is {now} here and {then} there")).collect();
    if !same_rows {
        what.push("the rows of the input are others".to_owned());
    }
    JobError::usage(
        format!("the run {name} of the shared store asks something else: {}", what.join("; ")),
        "give every worker of a run the same input and options; or leave out --run, and a new run begins over the same answers",
    )
}
