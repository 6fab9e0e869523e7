use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::timeout;

use super::kept::KeptLimits;
use super::metrics::metrics;
use super::status::{Phase, event_line, status};
use super::verb::{SetLimits, Verb};
use crate::job::JobError;
use crate::job::caps::caps;
use crate::job::events::{JobEvent, Listener};
use crate::job::models::ModelChoice;
use crate::job::run_log::{LogEvent, RunLog};
use crate::job::settings::RunSettings;
use crate::job::tally::count;
use crate::model::{without_passwords, without_secrets};
use crate::report::words::counted;
use crate::report::{StoredSum, Tally};
use crate::worker::{COMMANDS_MAX, Command, Control, ControlError, Controls, Event, RunLimit, RunSnapshot, StopStage};

/// How long the dispatcher may take to reply. It replies at once, unless the machine hangs.
const REPLY_MAX: Duration = Duration::from_secs(10);
/// Events that a follower may lag behind before it misses some.
const EVENTS_MAX: usize = 4_096;

/// The handle of a job: tells how it is, and steers it. Clones are the same handle.
#[derive(Clone)]
pub struct RunControl(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    events: broadcast::Sender<Arc<str>>,
    started: Instant,
}

struct State {
    phase: Phase,
    /// When the run began.
    run_started: Instant,
    tally: Tally,
    /// The way to the dispatcher, while a run is at work.
    commands: Option<mpsc::Sender<Command>>,
    /// What was changed so far, for the next run of the job.
    held: Vec<Control>,
    runtime: Option<PathBuf>,
    job: Option<Arc<AttachedJob>>,
}

/// What the handle knows of the job.
pub struct AttachedJob {
    /// The directory of the store.
    pub store: PathBuf,
    /// The models that it asks.
    pub models: Vec<ModelChoice>,
    /// Its settings.
    pub settings: RunSettings,
    /// Who hears of the verbs.
    pub listener: Arc<dyn Listener>,
    /// The log of its run.
    pub log: RunLog,
}

/// What a verb came to.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlReply {
    /// What has changed, for people.
    pub said: String,
    /// How the job is now, as JSON.
    pub status: Value,
}

impl Default for RunControl {
    fn default() -> Self {
        let now = Instant::now();
        let state = State {
            phase: Phase::Preparing,
            run_started: now,
            tally: Tally::default(),
            commands: None,
            held: Vec::new(),
            runtime: None,
            job: None,
        };
        Self(Arc::new(Shared { state: Mutex::new(state), events: broadcast::channel(EVENTS_MAX).0, started: now }))
    }
}

impl RunControl {
    /// A handle whose job listens on a socket. `runtime` is the directory for what lives as long as a session of the user,
    /// where the store takes no socket.
    pub fn with_socket(runtime: Option<PathBuf>) -> Self {
        let control = Self::default();
        // Without a directory of the user's own, the temporary one is tried.
        let temporary = std::env::temp_dir();
        control.state().runtime = Some(runtime.unwrap_or(temporary));
        control
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the runtime directory, where a socket is wanted.
    pub(in crate::job) fn runtime(&self) -> Option<PathBuf> {
        self.state().runtime.clone()
    }

    /// Tells the handle whose it is.
    pub(in crate::job) fn attach(&self, job: AttachedJob) {
        self.state().job = Some(Arc::new(job));
    }

    /// Begins a run. Returns its controls.
    pub(in crate::job) fn begin_run(&self, tally: Tally) -> Controls {
        let (sender, receiver) = mpsc::channel(COMMANDS_MAX);
        let mut state = self.state();
        (state.phase, state.run_started, state.tally) = (Phase::Running, Instant::now(), tally);
        state.commands = Some(sender);
        Controls { held: state.held.clone(), commands: Some(receiver) }
    }

    /// Ends a run. Returns its counts.
    pub(in crate::job) fn end_run(&self) -> Tally {
        let mut state = self.state();
        (state.phase, state.commands) = (Phase::Finishing, None);
        state.tally.clone()
    }

    /// Counts an event of the run, and shows the counts to `then`.
    pub(in crate::job) fn count(&self, event: &Event, then: impl FnOnce(&Tally)) {
        let tally = &mut self.state().tally;
        count(tally, event, Instant::now());
        then(tally);
    }

    /// Takes what earlier runs have stored, as far as it is counted.
    pub(in crate::job) fn set_stored(&self, stored: StoredSum) {
        self.state().tally.stored = stored;
    }

    /// Passes an event on to those who follow the job. `line` is written only where somebody does.
    pub(in crate::job) fn publish(&self, line: impl FnOnce() -> Option<Value>) {
        if self.0.events.receiver_count() > 0
            && let Some(line) = line()
        {
            // Nobody may be left to hear it.
            let _ = self.0.events.send(Arc::from(line.to_string()));
        }
    }

    /// Follows the events of the job, each one a JSON object in one line. Who lags far behind misses some, and is told.
    pub fn follow(&self) -> broadcast::Receiver<Arc<str>> {
        self.0.events.subscribe()
    }

    /// Returns the counts of the run, and the time since it began.
    pub fn tally(&self) -> (Tally, Duration) {
        let state = self.state();
        (state.tally.clone(), state.run_started.elapsed())
    }

    /// Returns how the run is: what the dispatcher says of it, where one is at work.
    pub async fn look(&self) -> Option<RunSnapshot> {
        self.send(Control::Look).await.ok().flatten()
    }

    /// Returns how the job is, as JSON.
    pub async fn status(&self) -> Value {
        let run = self.look().await;
        self.status_with(run.as_ref())
    }

    /// Returns the counts of the job in Prometheus' text format: no name of a model, no host, no text.
    pub async fn metrics(&self) -> String {
        let run = self.look().await;
        let state = self.state();
        metrics(state.phase, &state.tally, run.as_ref())
    }

    /// Returns how the job is once no call is in flight any more, as JSON.
    pub fn status_at_end(&self) -> Value {
        self.status_with(None)
    }

    fn status_with(&self, run: Option<&RunSnapshot>) -> Value {
        let state = self.state();
        status(state.phase, &state.tally, state.run_started, self.0.started, run)
    }

    /// Does what a verb says. Every verb that changes something is an event of the job, refused or not.
    ///
    /// # Errors
    /// Fails where the verb cannot be applied; nothing is changed then.
    pub async fn apply(&self, verb: &Verb) -> Result<ControlReply, JobError> {
        let result = self.changed(verb).await;
        if let Some(job) = self.job().filter(|_| verb.is_change()) {
            let (is_refused, outcome) = match &result {
                Ok((said, _)) => (false, said.clone()),
                Err(error) => (true, error.message.clone()),
            };
            // An address may hold a password.
            let detail = without_passwords(&verb.detail()).into_owned();
            let logged = (verb.name().to_string(), detail.clone(), outcome.clone());
            job.log.record(LogEvent::Control { verb: logged.0, detail: logged.1, outcome: logged.2 });
            let event = JobEvent::Steered { verb: verb.name(), detail, outcome, is_refused };
            self.publish(|| event_line(&event));
            job.listener.on_event(&event);
        }
        let (said, run) = result?;
        Ok(ControlReply { said, status: self.status_with(run.as_ref()) })
    }

    /// Applies a verb. Returns what has changed, and how the run is.
    async fn changed(&self, verb: &Verb) -> Result<(String, Option<RunSnapshot>), JobError> {
        let control = match verb {
            Verb::Status | Verb::Tail => Control::Look,
            Verb::Pause => Control::Pause,
            Verb::Resume => Control::Resume,
            Verb::Stop { now: false } => Control::Stop(StopStage::Drain),
            Verb::Stop { now: true } => Control::Stop(StopStage::Now),
            Verb::RetryFailed => Control::RetryFailed,
            Verb::Drain { replica } => self.checked_drain(replica)?,
            Verb::AddReplica { server } => return self.add_replica(server).await,
            Verb::Set(limits) => return self.set(limits).await,
        };
        let run = self.send(control).await?;
        let said = said(verb, run.as_ref());
        Ok((said, run))
    }

    async fn set(&self, limits: &SetLimits) -> Result<(String, Option<RunSnapshot>), JobError> {
        let job = self.job();
        if let Some(job) = &job {
            check_limits(limits, job)?;
        }
        let concurrency = limits.concurrency.map(RunLimit::Concurrency);
        let rpm = limits.rpm.map(RunLimit::RequestsPerMinute);
        let cost = limits.max_cost.map(RunLimit::Cost);
        let mut run = None;
        for limit in [concurrency, rpm, cost].into_iter().flatten() {
            run = self.send(Control::Limit(limit)).await?;
        }
        // It holds already, also where it cannot be kept.
        if let Some(job) = job {
            KeptLimits::read(&job.store)?.with(limits).write(&job.store)?;
        }
        let said = said(&Verb::Set(*limits), run.as_ref());
        Ok((said, run))
    }

    async fn add_replica(&self, server: &str) -> Result<(String, Option<RunSnapshot>), JobError> {
        let job = self.job().ok_or_else(no_job)?;
        let (choice, url) = chosen(&job.models, server)?;
        let added = choice.one_more(url)?;
        let model = choice.target.model().to_owned();
        let (host, cautions) = (added.host.clone(), added.cautions);
        let run =
            self.send(Control::AddReplica { model: model.clone(), host: host.clone(), replica: added.model }).await?;
        for caution in &cautions {
            job.listener.on_event(&JobEvent::Caution(caution.clone()));
        }
        let lines = cautions.into_iter().map(|caution| format!("caution: {caution}"));
        let said = std::iter::once(format!("{host} is a server of `{model}` now")).chain(lines);
        Ok((said.collect::<Vec<_>>().join("\n"), run))
    }

    /// Before a run begins nobody else would say that there is no such server.
    fn checked_drain(&self, replica: &str) -> Result<Control, JobError> {
        let (job, state) = (self.job().ok_or_else(no_job)?, self.state());
        let of_models = job.models.iter().flat_map(|model| model.servers().into_iter().map(str::to_owned));
        let added = state.held.iter().filter_map(|control| match control {
            Control::AddReplica { host, .. } => Some(host.clone()),
            _ => None,
        });
        let known: Vec<String> = of_models.chain(added).collect();
        if state.commands.is_none() && !known.iter().any(|host| host == replica) {
            return Err(refused(ControlError::UnknownReplica { host: replica.to_owned(), known }));
        }
        Ok(Control::Drain { host: replica.to_owned() })
    }

    /// Has the dispatcher apply a control, and holds it for the next run of the job. Where no run is at work it is only held.
    async fn send(&self, control: Control) -> Result<Option<RunSnapshot>, JobError> {
        let commands = self.state().commands.clone();
        let run = match commands {
            None => None,
            Some(commands) => {
                let (reply, state) = oneshot::channel();
                let exchange = async {
                    commands.send(Command { control: control.clone(), reply }).await.ok()?;
                    state.await.ok()
                };
                let replied = timeout(REPLY_MAX, exchange).await.map_err(|_| {
                    let message = format!("the run has not replied within {} s", REPLY_MAX.as_secs());
                    JobError { hint: Some("try again".to_owned()), ..JobError::unexpected(message) }
                })?;
                // Without a reply the run has just ended.
                replied.transpose().map_err(refused)?
            }
        };
        hold(&mut self.state().held, control);
        Ok(run)
    }

    fn job(&self) -> Option<Arc<AttachedJob>> {
        self.state().job.clone()
    }
}

impl std::fmt::Debug for RunControl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunControl").field("phase", &self.state().phase).finish_non_exhaustive()
    }
}

/// Adds a control to those that the next run begins with, in the place of what it revokes.
fn hold(held: &mut Vec<Control>, control: Control) {
    let is_same_limit = |one: &Control, other: &Control| match (one, other) {
        (Control::Limit(one), Control::Limit(other)) => std::mem::discriminant(one) == std::mem::discriminant(other),
        _ => false,
    };
    held.retain(|known| match (known, &control) {
        (Control::Pause, Control::Pause | Control::Resume) | (Control::RetryFailed, Control::RetryFailed) => false,
        (Control::Drain { host }, Control::Drain { host: other } | Control::AddReplica { host: other, .. }) => {
            host != other
        }
        (known, new) => !is_same_limit(known, new),
    });
    if !matches!(control, Control::Look | Control::Resume) {
        held.push(control);
    }
}

/// Refuses limits that this job could not keep.
fn check_limits(limits: &SetLimits, job: &AttachedJob) -> Result<(), JobError> {
    if let (Some(Some(calls)), Some(calls_max)) = (limits.concurrency, job.settings.pace.calls_max)
        && calls > calls_max
    {
        let message = format!("concurrency is {calls}, but this system lets the run have {calls_max} calls in flight");
        return Err(JobError::usage(message, format!("set it to {calls_max} at most")));
    }
    let Some(Some(cost)) = limits.max_cost else { return Ok(()) };
    let models: Vec<&ModelChoice> = job.models.iter().collect();
    caps(&RunSettings { max_cost: Some(cost), ..RunSettings::default() }, &models).map(drop)
}

/// Finds the model that a server is for: `URL`, or `NAME@URL` where there are several.
fn chosen<'a>(models: &'a [ModelChoice], server: &'a str) -> Result<(&'a ModelChoice, &'a str), JobError> {
    let names = || {
        let mut names: Vec<&str> = models.iter().map(|model| model.target.model()).collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    // A name may have an `@` itself.
    let by_name = models.iter().filter_map(|model| {
        let url = server.strip_prefix(model.target.model())?.strip_prefix('@')?;
        Some((model, url))
    });
    if let Some(found) = by_name.max_by_key(|(model, _)| model.target.model().len()) {
        return Ok(found);
    }
    let is_url = server.contains("://") && !server.split("://").next().unwrap_or_default().contains('@');
    match &names()[..] {
        [one] if is_url => Ok((models.iter().find(|model| model.target.model() == *one).ok_or_else(no_job)?, server)),
        names => Err(JobError::usage(
            format!("`{}` names no model of this run", without_secrets(server)),
            format!("write NAME@http://HOST:PORT/v1 with one of {}", names.join(", ")),
        )),
    }
}

fn refused(error: ControlError) -> JobError {
    let hint = match &error {
        ControlError::Stopping => "the same command resumes the run later".to_owned(),
        ControlError::UnknownReplica { .. } => "name one of them".to_owned(),
        ControlError::LastReplica { .. } => {
            "add another with `cohobate ctl add-replica` first, or pause the run with `cohobate ctl pause`".to_owned()
        }
        ControlError::KnownReplica { .. } => "`cohobate ctl status` lists the servers".to_owned(),
        ControlError::UnknownModel { .. } => "name one of them, as NAME@URL".to_owned(),
    };
    JobError::usage(error.to_string(), hint)
}

fn no_job() -> JobError {
    JobError::usage("the job has not opened its store yet", "try again in a moment")
}

/// Returns what a verb has changed, for people.
fn said(verb: &Verb, run: Option<&RunSnapshot>) -> String {
    let later = "it holds from the next call on";
    let Some(run) = run else {
        return match verb {
            Verb::Status | Verb::Tail => String::new(),
            Verb::Stop { .. } => "no call is in flight; the run stops before its next one".to_owned(),
            _ => format!("{verb}: no call is in flight; {later}"),
        };
    };
    let in_flight = counted(run.in_flight as u64, "call");
    match verb {
        Verb::Status | Verb::Tail => String::new(),
        Verb::Pause if run.in_flight == 0 => "paused; no call is in flight".to_owned(),
        Verb::Pause => format!("paused; {in_flight} in flight will finish"),
        Verb::Resume => "resumed".to_owned(),
        Verb::Stop { now: false } => format!("stopping; {in_flight} in flight will finish"),
        Verb::Stop { now: true } => format!("stopped; {in_flight} in flight lost"),
        Verb::Drain { replica } => {
            let named = run.models.iter().flat_map(|model| &model.replicas).filter(|one| one.host == *replica);
            let calls: usize = named.map(|replica| replica.in_flight).sum();
            format!("{replica} gets nothing more; {} in flight there will finish", counted(calls as u64, "call"))
        }
        Verb::RetryFailed => match run.reopening {
            0 => "no conversation has failed in this run; those of earlier runs are retried as they come".to_owned(),
            count => format!("{} will be opened again", counted(count as u64, "failed conversation")),
        },
        Verb::Set(_) | Verb::AddReplica { .. } => format!("{verb}: {later}, and {in_flight} in flight will finish"),
    }
}

/// Returns the event line of a follower that missed events.
pub(super) fn missed(count: u64) -> Value {
    json!({"event": "missed", "events": count})
}
