//! What every job that sends calls shares: the store, the models, the caps, and one run after the other.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::caps::{CapsOver, caps_over};
use super::control::{AttachedJob, ControlSocket};
use super::counting::{Counting, Stored, sum_of};
use super::models::{ModelChoice, connect_all};
use super::offered::add_offered_models;
use super::older::OlderConversations;
use super::rejected::RejectedReplies;
use super::run_log::{EndKind, LogModel, LoggedEvents};
use super::settings::RunSettings;
use super::shared::{SharedFleet, SharedRun, SharedWork, join};
use super::{Context, JobError, JobEvent, RunStart, open_store};
use crate::conversation::{Price, Settings};
use crate::files;
use crate::model::RequestLane;
use crate::recipe::Recipe;
use crate::report::words::{counted, duration, money};
use crate::report::{InputRows, Party, RateWindow, RunHeader, StoredSum, Tally, Totals};
use crate::store::shared::{SharedStore, Writer};
use crate::store::{DiskStore, Entry, Ledger, Reader, Run, StartId, Store, Unsettled};
use crate::worker::{self, BudgetLimits, CommitMode, Ended, Event, Observer, RowOrder, RunStop, Served, Work};

/// Ready to send calls.
pub struct Engine {
    /// The store, open for writing.
    pub store: Arc<dyn Store>,
    opened: OpenedStore,
    /// Goes before the store, whose lock it needs.
    socket: Option<ControlSocket>,
    context: Context,
    directory: PathBuf,
    settings: RunSettings,
    models: HashMap<String, Served>,
    /// The servers' addresses by their names in messages.
    addresses: HashMap<String, String>,
    budget: BudgetLimits,
    /// True if a model is asked at its flex tier.
    asks_flex: bool,
    /// What is shown before the first call.
    header: RunHeader,
    runs: AtomicU64,
    /// This worker's part of the last run of a shared store.
    fleet: Mutex<Option<SharedFleet>>,
    /// This worker writes the output.
    is_writer: AtomicBool,
    /// This start of the program has been recorded.
    has_started: AtomicBool,
}

/// What the store is.
enum OpenedStore {
    /// A directory of its own.
    Directory(Arc<DiskStore>),
    /// A database, and this worker's directory.
    Shared(Arc<SharedStore>),
}

impl OpenedStore {
    /// Waits until states and spending are current.
    fn settle(&self) {
        if let Self::Directory(store) = self {
            store.settle();
        }
    }
}

/// The work of one run.
pub struct Assignment {
    /// What to ask in each conversation.
    pub recipe: Arc<dyn Recipe>,
    /// The conversations by row.
    pub seeds: Arc<dyn worker::Seeds>,
    /// The rows, in the order in which they are opened.
    pub rows: RowOrder,
    /// How much there is to do.
    pub totals: Totals,
    /// How much of it earlier runs have stored.
    pub stored: Stored,
    /// The run that follows, where this one only prepares it: what is shown before the first call is about that one.
    pub ahead_of: Option<AheadOf>,
}

impl Assignment {
    /// Returns what is shown of this run before another that prepares it. `first` says what that one asks.
    pub fn ahead(&self, first: &str) -> AheadOf {
        AheadOf {
            recipe: Arc::clone(&self.recipe),
            seeds: Arc::clone(&self.seeds),
            totals: self.totals,
            stored: sum_of(&self.stored.count()),
            first: first.to_owned(),
        }
    }
}

/// The run that an earlier one prepares.
pub struct AheadOf {
    /// What to ask in each conversation.
    pub recipe: Arc<dyn Recipe>,
    /// The conversations by row.
    pub seeds: Arc<dyn worker::Seeds>,
    /// How much there is to do.
    pub totals: Totals,
    /// How much of it earlier runs have stored.
    pub stored: StoredSum,
    /// What the earlier run asks, in words.
    pub first: String,
}

/// How a run went.
#[derive(Debug)]
pub struct RunResult {
    /// How it ended.
    pub ended: Ended,
    /// What happened in it.
    pub tally: Tally,
    /// How long it took.
    pub elapsed: Duration,
    /// Its record in the store.
    pub run: Run,
}

impl Engine {
    /// Checks the caps, connects to the models and opens the store.
    pub fn open(
        store: &Path,
        models: &[&ModelChoice],
        settings: &RunSettings,
        context: &Context,
    ) -> Result<Self, JobError> {
        // Caps of a shared store are kept in its database.
        let kept_in = context.shared.as_ref().map_or(Some(store), |_| None);
        let CapsOver { run: settings, budget, caution } = caps_over(kept_in, settings, models)?;
        // A cap is no better than the prices that it relies on.
        let list_prices = models.iter().filter_map(|model| model.list_price_caution());
        let cautions = models.iter().flat_map(|model| model.cautions()).cloned();
        let cautions: BTreeSet<String> = cautions.chain(list_prices.filter(|_| settings.max_cost.is_some())).collect();
        for caution in caution.into_iter().chain(cautions) {
            context.report(JobEvent::Caution(caution));
        }
        let asks_flex = models.iter().any(|model| model.lane == RequestLane::Flex);
        let addresses = models.iter().flat_map(|model| model.labels().into_iter().zip(model.addresses())).collect();
        let choices: Vec<ModelChoice> = models.iter().map(|model| (*model).clone()).collect();
        let models = connect_all(models)?;
        let names: Vec<String> = choices.iter().map(|model| model.target.model().to_owned()).collect();
        let (opened, directory) = match &context.shared {
            None => (OpenedStore::Directory(Arc::new(open_store::open(store, context)?)), store.to_owned()),
            Some(access) => {
                let opened = access.open(store, &budget, &names, context)?;
                let directory = opened.directory().to_owned();
                open_store::begin_edition(&directory);
                (OpenedStore::Shared(Arc::new(opened)), directory)
            }
        };
        let as_store: Arc<dyn Store> = match &opened {
            OpenedStore::Directory(store) => Arc::clone(store) as Arc<dyn Store>,
            OpenedStore::Shared(store) => Arc::clone(store) as Arc<dyn Store>,
        };
        let (next_run, store) = (next_run(&*as_store)?, &*directory);
        context.log.begin(store, next_run, choices.iter().map(logged).collect());
        for name in as_store.spending()?.into_iter().filter(|(_, spent)| spent.calls > 0).map(|(name, _)| name) {
            let replicas = models.get(&name).into_iter().flat_map(|served| &served.replicas);
            replicas.for_each(|replica| replica.has_answered_before());
        }
        context.control.attach(AttachedJob {
            store: store.to_owned(),
            models: choices,
            settings: settings.clone(),
            listener: Arc::clone(&context.listener),
            log: context.log.clone(),
        });
        Ok(Self {
            socket: listen(store, context),
            budget,
            asks_flex,
            header: RunHeader { caps: caps_in_words(&settings), ..RunHeader::default() },
            runs: AtomicU64::new(0),
            fleet: Mutex::default(),
            is_writer: AtomicBool::new(false),
            has_started: AtomicBool::new(false),
            models,
            addresses,
            store: as_store,
            opened,
            context: context.clone(),
            directory,
            settings,
        })
    }

    /// Takes what is shown before the first call: who is asked, which rows there are, and where the result goes.
    pub fn announce(&mut self, parties: Vec<Party>, input: InputRows, output: impl Into<String>) {
        let caps = std::mem::take(&mut self.header.caps);
        self.header = RunHeader { parties, input, output: output.into(), caps, ..RunHeader::default() };
    }

    /// Returns what tokens cost, by model.
    pub fn prices(&self) -> &BTreeMap<String, Price> {
        &self.budget.prices
    }

    /// Returns the directory of the store; of a shared one, that of this worker.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the store for reading.
    pub fn reader(&self) -> Arc<dyn Reader> {
        Arc::clone(&self.store) as Arc<dyn Reader>
    }

    /// Sends calls until everything is answered or the run is stopped.
    pub async fn run(&self, assignment: Assignment) -> Result<RunResult, JobError> {
        let Assignment { recipe, seeds, mut rows, totals, stored, ahead_of } = assignment;
        let unit = recipe.unit();
        let counting = Counting::begin(stored, self.reader(), Arc::clone(&recipe), &self.context)?;
        let shared = match &self.opened {
            OpenedStore::Directory(_) => None,
            OpenedStore::Shared(store) => {
                let all = std::mem::replace(&mut rows, Box::new(std::iter::empty()));
                Some(self.join(store, (&recipe, &seeds), all)?)
            }
        };
        let (ledger, run) = match &shared {
            // What an earlier start had in flight was settled when the store was opened.
            Some(shared) => (Ledger::open(&self.directory)?.0, shared.run.clone()),
            None => self.begin(recipe.settings())?,
        };
        // Caps count what is in the index: what was booked just now must be in it.
        self.opened.settle();
        let started = Instant::now();
        let tally = Tally {
            totals,
            unit,
            stored: sum_of(&counting.count),
            prices: self.budget.prices.clone(),
            flex: self.asks_flex.then_some(0),
            rates: RateWindow::starting(started),
            ..Tally::default()
        };
        self.context.log.asking(run.number, &tally);
        let is_first = self.runs.fetch_add(1, Ordering::Relaxed) == 0;
        let (asked, read) = match &ahead_of {
            Some(ahead) => (&ahead.recipe, &ahead.seeds),
            None => (&recipe, &seeds),
        };
        let older = OlderConversations::survey(&*self.store, &**asked, &**read, self.header.input.of_all())?;
        let controls = ahead_of.as_ref().map(|ahead| ahead.first.clone());
        let header = RunHeader { rules: older.words(), controls, ..self.header.clone() };
        let shown = match ahead_of {
            Some(AheadOf { recipe, totals, stored, .. }) => {
                Tally { totals, stored, unit: recipe.unit(), ..tally.clone() }
            }
            None => tally.clone(),
        };
        let start = RunStart { header, is_first, tally: shown };
        // Whoever hears of the start may look at its counts.
        let controls = self.context.control.begin_run(tally);
        self.context.report(JobEvent::RunStarted(Box::new(start)));
        let work = Work {
            recipe,
            store: Arc::clone(&self.store),
            models: self.models.clone(),
            seeds,
            rows: shared.as_ref().map_or(rows, |shared| shared.fleet.rows()),
            run: run.number,
            pace: self.settings.pace,
            budget: shared.as_ref().map_or_else(|| self.budget.clone(), |shared| shared.budget.clone()),
            ledger: Some(ledger),
            give_up_after: self.settings.give_up_after,
            deadline: self.settings.deadline.clone(),
            commit_mode: CommitMode::Thread,
            retry_failed: self.settings.retry_failed,
            stored: Arc::clone(&counting.count),
            controls,
            fleet: shared.as_ref().map(|shared| shared.fleet.link()),
        };
        // A count that ended before the run began was heard by nobody.
        self.context.report(JobEvent::Stored(sum_of(&counting.count)));
        let mut watcher = Watcher {
            context: &self.context,
            rejected: RejectedReplies::of(&self.directory),
            logged: LoggedEvents::new(&self.context.log, &self.addresses),
        };
        let ended = worker::run(work, self.context.stop.clone(), &mut watcher).await;
        let stored = counting.end(matches!(ended, Ok(Ended::Finished)));
        self.context.report(JobEvent::Stored(stored));
        self.context.report(JobEvent::RunEnded);
        if let Some(line) = watcher.rejected.line() {
            self.context.report(JobEvent::PartDone(line));
        }
        let (tally, elapsed) = (Tally { stored, ..self.context.control.end_run() }, started.elapsed());
        self.context.log.progressed(&tally);
        let mut ended = ended?;
        if let Ended::Stopped(reason) = &mut ended {
            add_offered_models(reason, &self.models).await;
        }
        let (how, reason) = match &ended {
            Ended::Finished => (EndKind::Finished, "all is asked".to_owned()),
            Ended::Stopped(reason) => (EndKind::Stopped, reason.to_string()),
        };
        self.context.log.note_outcome(how, reason);
        // Its lease is renewed until the output is written, or the next run begins.
        if let Some(shared) = shared {
            shared.fleet.on_run_end();
            *self.fleet() = Some(shared.fleet);
        }
        if ended == Ended::Finished {
            self.store.resume_publishing();
        }
        self.opened.settle();
        Ok(RunResult { ended, tally, elapsed, run })
    }

    fn fleet(&self) -> MutexGuard<'_, Option<SharedFleet>> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns why this worker does not write the output of a run that has ended, where another one does. Without a shared
    /// store there is nobody else.
    pub fn written_elsewhere(&self, output: &str) -> Result<Option<RunStop>, JobError> {
        let OpenedStore::Shared(store) = &self.opened else { return Ok(None) };
        Ok(match store.choose_writer(output)? {
            Writer::Own => {
                self.is_writer.store(true, Ordering::Relaxed);
                None
            }
            Writer::Other(place) => Some(RunStop::WrittenElsewhere(place)),
        })
    }

    /// Closes the store.
    pub fn close(self) -> Result<(), JobError> {
        drop(self.socket);
        drop(self.fleet);
        drop(self.store);
        match self.opened {
            OpenedStore::Directory(store) => {
                if let Some(store) = Arc::into_inner(store) {
                    store.close()?;
                }
            }
            OpenedStore::Shared(store) => {
                // A job that could not write does not close its engine.
                if self.is_writer.load(Ordering::Relaxed) {
                    store.has_written()?;
                }
                store.close()?;
            }
        }
        Ok(())
    }

    /// Begins a run of a store of its own.
    fn begin(&self, settings: &Settings) -> Result<(Ledger, Run), JobError> {
        if !self.has_started.swap(true, Ordering::Relaxed) {
            self.store.commit(vec![Entry::Start(StartId(files::random_bytes()))])?;
        }
        Ok((self.settle_ledger(settings)?, begin(&*self.store, settings)?))
    }

    /// Begins or joins a run of a shared store.
    fn join(
        &self,
        store: &Arc<SharedStore>,
        (recipe, seeds): (&Arc<dyn Recipe>, &Arc<dyn worker::Seeds>),
        rows: RowOrder,
    ) -> Result<SharedRun, JobError> {
        // The run before this one ends here: what it holds is nothing to the next.
        drop(self.fleet().take());
        let (recipe, seeds, name) = (Arc::clone(recipe), Arc::clone(seeds), self.run_name());
        join(store, SharedWork { recipe, seeds, rows, budget: &self.budget, name }, &self.context)
    }

    /// Returns the name of the next run of this job, where names were asked for: those after the first have a number.
    fn run_name(&self) -> Option<String> {
        let name = self.context.shared.as_ref()?.run.clone()?;
        Some(match self.runs.load(Ordering::Relaxed) {
            0 => name,
            earlier => format!("{name}.{}", earlier + 1),
        })
    }

    /// Opens the ledger and reports the requests that were in flight when the previous run died.
    fn settle_ledger(&self, settings: &Settings) -> Result<Ledger, JobError> {
        let (ledger, left) = Ledger::open(&self.directory)?;
        let mut unknown = Vec::new();
        for request in left {
            if self.store.answer(&request.fingerprint)?.is_none() {
                unknown.push(request);
            }
        }
        if !unknown.is_empty() {
            self.book_unknown(&unknown, settings)?;
        }
        ledger.clear();
        Ok(ledger)
    }

    /// Books requests of unknown fate on the models that they were sent to.
    fn book_unknown(&self, unknown: &[Unsettled], settings: &Settings) -> Result<(), JobError> {
        let mut known: Vec<String> = self.models.keys().cloned().collect();
        known.extend(self.store.spending()?.into_keys());
        let last = self.store.runs()?.pop();
        let fallback = last.and_then(|run| run.settings.get("model").map(str::to_owned));
        let fallback = fallback.or_else(|| settings.get("model").map(str::to_owned)).unwrap_or_default();
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        let mut cost_max = Some(0.0);
        for request in unknown {
            let name = known.iter().find(|name| request.is_for(name)).unwrap_or(&fallback);
            let price = self.prices().get(name).filter(|_| request.completion_tokens > 0);
            let worst = price.map(|price| price.worst_cost(request.prompt_tokens, request.completion_tokens));
            cost_max = cost_max.zip(worst).map(|(sum, worst)| sum + worst);
            let entry = entries.entry(name.clone()).or_insert_with(|| Entry::Unknown {
                model: name.clone(),
                calls: 0,
                prompt_tokens: 0,
                completion_tokens: 0,
            });
            if let Entry::Unknown { calls, prompt_tokens, completion_tokens, .. } = entry {
                *calls += 1;
                *prompt_tokens += request.prompt_tokens;
                *completion_tokens += request.completion_tokens;
            }
        }
        self.context.report(JobEvent::CallsUnknown { calls: unknown.len() as u64, cost_max });
        Ok(self.store.commit(entries.into_values().collect())?)
    }
}

/// Counts the events of a run, keeps rejected replies, and passes the events on.
struct Watcher<'a> {
    rejected: RejectedReplies,
    logged: LoggedEvents<'a>,
    context: &'a Context,
}

impl Observer for Watcher<'_> {
    fn on_event(&mut self, event: &Event) {
        self.context.control.count(event, |tally| self.logged.on_event(event, tally));
        if let Event::Failed { code, message, reply: Some(reply), .. } = event {
            self.rejected.keep(code, message, reply);
        }
        self.context.report(JobEvent::Run(event.clone()));
    }
}

/// Listens on the socket of the store, where that is wanted. A run without one works as well, and cannot be steered.
fn listen(store: &Path, context: &Context) -> Option<ControlSocket> {
    let runtime = context.control.runtime()?;
    match ControlSocket::listen(store, Some(&runtime), context.control.clone()) {
        Ok(socket) => Some(socket),
        Err(error) => {
            let message = format!("`cohobate ctl` cannot reach this run, because its socket cannot be made: {error}");
            context.report(JobEvent::Caution(message));
            None
        }
    }
}

/// Returns the caps of a run and its deadline, in words.
fn caps_in_words(run: &RunSettings) -> Vec<String> {
    let caps = [
        run.max_cost.map(money),
        run.max_requests.map(|requests| counted(requests, "request")),
        run.max_output_tokens.map(|tokens| format!("{} of output", counted(tokens, "token"))),
        run.deadline.as_ref().map(|deadline| format!("{} in {}", deadline.name, duration(deadline.after))),
    ];
    caps.into_iter().flatten().collect()
}

/// Records that a run begins, and with which settings.
fn begin(store: &dyn Store, settings: &Settings) -> Result<Run, JobError> {
    let number = next_run(store)?;
    let started_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    let run = Run { number, started_ms, settings: settings.clone(), answers: 0 };
    store.commit(vec![Entry::Run(run.clone())])?;
    Ok(run)
}

/// Returns the number of the store's next run.
fn next_run(store: &dyn Store) -> Result<u32, JobError> {
    Ok(store.runs()?.last().map_or(1, |run| run.number + 1))
}

fn logged(model: &ModelChoice) -> LogModel {
    LogModel { name: model.target.model().to_owned(), addresses: model.addresses() }
}
