//! What every command that asks models shares: the store, the models, the caps, the signals, and one run after the other.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::error::exit_code;
use super::limits::{Limits, limits};
use super::model::{Found, connect_all, prices};
use super::options::Options;
use super::signals::Signals;
use super::{CliError, CliResult, store};
use crate::conversation::{Price, Settings};
use crate::model::PaceLimits;
use crate::recipe::Recipe;
use crate::report::{Progress, Tally, Totals, words};
use crate::store::{DiskStore, Entry, Ledger, Reader, Run, Store};
use crate::worker::{self, Committing, Ended, RowOrder, Served, StopReason, Work};

/// Ready to ask.
pub struct Engine<'a> {
    options: &'a Options,
    pub store: Arc<DiskStore>,
    pub signals: Signals,
    models: HashMap<String, Served>,
    prices: BTreeMap<String, Price>,
    limits: Limits,
    pace: PaceLimits,
}

/// One run.
pub struct Job {
    pub recipe: Arc<dyn Recipe>,
    pub seeds: Arc<dyn worker::Seeds>,
    pub rows: RowOrder,
    pub totals: Totals,
    pub retry_failed: bool,
}

/// How a run went.
pub struct Asked {
    pub ended: Ended,
    pub tally: Tally,
    pub elapsed: Duration,
    pub run: Run,
}

/// Runs a command that asks models, on a worker thread beside the calls: the dispatcher is woken for each of them.
pub fn block_on(command: impl Future<Output = CliResult> + Send + 'static) -> CliResult {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CliError::failure(format!("cannot start: {error}")))?;
    let result = runtime.block_on(async { tokio::spawn(command).await });
    let result = result.unwrap_or_else(|error| Err(CliError::failure(format!("a task died: {error}"))));
    // Connections and timers may go as they are.
    runtime.shutdown_background();
    result
}

impl<'a> Engine<'a> {
    /// Checks the caps, connects to the models, listens for signals and opens the store.
    pub fn open(options: &'a Options, found: &[&Found]) -> Result<Self, CliError> {
        let limits = limits(options, found)?;
        let pace = options.pace()?;
        let models = connect_all(found)?;
        let signals = Signals::listen(options.stop_signal)?;
        let store = Arc::new(store::open(options)?);
        Ok(Self { options, store, signals, models, prices: prices(found), limits, pace })
    }

    /// Returns what tokens cost, by model.
    pub fn prices(&self) -> &BTreeMap<String, Price> {
        &self.prices
    }

    /// Asks until everything is answered or the run is stopped.
    pub async fn ask(&self, job: Job) -> Result<Asked, CliError> {
        let ledger = self.settle_ledger(job.recipe.settings())?;
        let run = begin(&self.store, job.recipe.settings())?;
        let tally = Tally { totals: job.totals, prices: self.prices.clone(), ..Tally::default() };
        let progress = Progress::start(tally, self.options.progress(), self.options.verbose.unwrap_or(false));
        let work = Work {
            recipe: job.recipe,
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            models: self.models.clone(),
            seeds: job.seeds,
            rows: job.rows,
            run: run.number,
            pace: self.pace,
            budget: self.limits.budget.clone(),
            ledger: Some(ledger),
            give_up_after: self.limits.give_up_after,
            deadline: self.limits.deadline.clone(),
            committing: Committing::Thread,
            retry_failed: job.retry_failed,
        };
        let ended = worker::run(work, self.signals.begin_asking(), &mut progress.watcher()).await;
        self.signals.end_asking();
        let (tally, elapsed) = progress.finish();
        let ended = ended?;
        self.store.settle();
        Ok(Asked { ended, tally, elapsed, run })
    }

    /// Closes the store.
    pub fn close(self) -> Result<(), CliError> {
        if let Some(store) = Arc::into_inner(self.store) {
            store.close()?;
        }
        Ok(())
    }

    /// Opens the ledger and tells what the run before left in the air.
    fn settle_ledger(&self, settings: &Settings) -> Result<Ledger, CliError> {
        let (ledger, left) = Ledger::open(&self.options.store_path())?;
        let mut unknown = Vec::new();
        for request in left {
            if self.store.answer(&request.fingerprint)?.is_none() {
                unknown.push(request);
            }
        }
        if !unknown.is_empty() {
            let calls = words::counted(unknown.len() as u64, "request");
            let mut known: Vec<String> = self.models.keys().cloned().collect();
            known.extend(self.store.spending()?.into_keys());
            let last = self.store.runs()?.pop();
            let fallback = last.and_then(|run| run.settings.get("model").map(str::to_owned));
            let fallback = fallback.or_else(|| settings.get("model").map(str::to_owned)).unwrap_or_default();
            let mut by_model: BTreeMap<String, (u64, u64, u64)> = BTreeMap::new();
            let mut most = Some(0.0);
            for request in unknown {
                let model = known.iter().find(|name| request.is_for(name)).unwrap_or(&fallback).clone();
                let price = self.prices.get(&model).filter(|_| request.completion_tokens > 0);
                let worst = price.map(|price| price.worst_cost(request.prompt_tokens, request.completion_tokens));
                most = most.zip(worst).map(|(sum, worst)| sum + worst);
                let sums = by_model.entry(model).or_default();
                *sums = (sums.0 + 1, sums.1 + request.prompt_tokens, sums.2 + request.completion_tokens);
            }
            let most = most.map_or(String::new(), |most| format!(", at most {}", words::money(most)));
            self.options.say(&format!(
                "the run before ended with {calls} in the air; whether they were answered and billed is unknown{most}"
            ));
            let entry = |(model, (calls, prompt_tokens, completion_tokens))| Entry::Unknown {
                model,
                calls,
                prompt_tokens,
                completion_tokens,
            };
            self.store.commit(by_model.into_iter().map(entry).collect())?;
        }
        ledger.clear();
        Ok(ledger)
    }

    /// Returns the exit code of a run that stopped before its end, and what to do next.
    pub fn stopped(&self, reason: &StopReason) -> (u8, String) {
        let again = "run the same command again";
        match reason {
            StopReason::Asked => (self.signals.exit_code(), format!("{again} to go on")),
            StopReason::Budget(cap) => (exit_code::RESUMABLE, format!("{cap}; raise it and {again} to go on")),
            StopReason::GaveUp(gone) => {
                let gone = words::duration(*gone);
                (exit_code::RESUMABLE, format!("the server has not answered for {gone}; {again} when it is back"))
            }
            StopReason::Refused { model, failure } => {
                let model = words::quoted(model);
                words::tell(format!("error: {model} refuses every request: {failure}"));
                let hint = match failure.code.as_str() {
                    "auth" | "forbidden" => {
                        format!("set COHOBATE_API_KEY or OPENAI_API_KEY to a key that the server takes, then {again}")
                    }
                    "quota" => format!("the account has no credit left; add some, then {again}"),
                    "tls" => "install the server's certificate authority, or name its file in SSL_CERT_FILE".to_owned(),
                    "http_404" => format!("check the address and that the server has the model {model}"),
                    _ => format!("mend what the server complains of, then {again}"),
                };
                (exit_code::RESUMABLE, hint)
            }
        }
    }
}

/// Writes down that a run begins, and with which settings.
fn begin(store: &DiskStore, settings: &Settings) -> Result<Run, CliError> {
    let number = store.runs()?.last().map_or(1, |run| run.number + 1);
    let started_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    let run = Run { number, started_ms, settings: settings.clone(), answers: 0 };
    store.commit(vec![Entry::Run(run.clone())])?;
    Ok(run)
}
