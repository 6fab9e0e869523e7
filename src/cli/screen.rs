//! What a command shows while it works, and the signals that stop it.

use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cohobate::job::{
    Context, EventKind, JobError, JobEvent, Listener, MetricsServer, RunControl, RunLog, RunStart, Shard, event_json,
};
use cohobate::worker::RunStop;
use serde::Serialize;
use serde_json::json;

use super::choices::METRICS_ADDRESS;
use super::environment;
use super::error::exit_code;
use super::hooks::{self, HookCommand};
use super::options::Options;
use super::output::{emit, is_json, speak_json, tell, tell_error, tell_hint};
use super::progress::{PhaseDisplay, Progress, ProgressMode};
use super::signals::Signals;
use super::time::duration;
use super::{CliResult, serve, stopped};

/// How long no answer comes before a run counts as stalled.
const STALL_AFTER: Duration = Duration::from_secs(600);

/// Shows the events of a job, and what a command says.
pub struct Screen {
    mode: ProgressMode,
    is_quiet: bool,
    is_verbose: bool,
    progress: Mutex<Option<Progress>>,
    phases: PhaseDisplay,
    /// On while calls may be in flight; signals behave differently then.
    is_asking: Arc<AtomicBool>,
    /// Knows the counts of the run.
    control: RunControl,
    /// The shard whose rows are asked about.
    shard: Option<Shard>,
    /// The server that is started when the first question may be asked, and the store of the run.
    to_serve: Mutex<Option<(HookCommand, PathBuf)>>,
}

impl Screen {
    /// A screen as the options want it.
    pub fn new(options: &Options) -> Arc<Self> {
        Self::of_run(options, Arc::default(), RunControl::default())
    }

    fn of_run(options: &Options, is_asking: Arc<AtomicBool>, control: RunControl) -> Arc<Self> {
        let is_quiet = options.quiet.unwrap_or(false);
        let mode = if is_quiet { ProgressMode::None } else { options.progress.unwrap_or_default() };
        let is_verbose = options.verbose.unwrap_or(false);
        if options.progress == Some(ProgressMode::Json) {
            speak_json();
        }
        let (phases, progress) = (PhaseDisplay::new(mode), Mutex::default());
        let (shard, to_serve) = (options.shard(), Mutex::default());
        Arc::new(Self { mode, is_quiet, is_verbose, progress, phases, is_asking, control, shard, to_serve })
    }

    /// Returns what a job is given that sends no call and reads no store.
    pub fn context(self: &Arc<Self>) -> Context {
        Context::new(Arc::clone(self) as Arc<dyn Listener>)
    }

    /// Returns what a job is given that sends no call and reads a store.
    pub fn reading(self: &Arc<Self>, options: &Options) -> Result<Context, JobError> {
        options.with_database(self.context(), false)
    }

    fn progress(&self) -> MutexGuard<'_, Option<Progress>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn to_serve(&self) -> MutexGuard<'_, Option<(HookCommand, PathBuf)>> {
        self.to_serve.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True where only errors are shown.
    pub fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    /// Shows a line, above the progress bar where there is one.
    pub fn say(&self, line: impl Display) {
        if !self.is_quiet {
            tell(line);
        }
    }

    /// Says what to do next.
    pub fn hint(&self, hint: impl Display) {
        if !self.is_quiet {
            tell_hint(hint);
        }
    }

    fn start(&self, start: &RunStart) {
        match self.mode {
            ProgressMode::None => {}
            ProgressMode::Json => emit(EventKind::Start, start.header.json(&start.tally)),
            ProgressMode::Auto | ProgressMode::Plain if start.is_first => {
                start.header.lines(&start.tally).into_iter().for_each(tell);
            }
            ProgressMode::Auto | ProgressMode::Plain => {}
        }
        if let Some((command, store)) = self.to_serve().take()
            && let Err(error) = serve::start(&command, &store, self.control.clone())
        {
            tell_error(&error, error.hint.as_deref());
        }
        *self.progress() = Some(Progress::start(self.control.clone(), self.mode, self.is_verbose));
        self.is_asking.store(true, Ordering::Release);
    }

    fn show(&self, event: &JobEvent) {
        match event_json(event) {
            Some((kind, fields)) if is_json() && !self.is_quiet => emit(kind, fields),
            _ => self.say(event),
        }
    }

    /// Shows the end of a job: its report as JSON, or lines.
    pub fn conclude(&self, report: &impl Serialize, lines: impl FnOnce() -> Vec<String>) -> Result<(), JobError> {
        hooks::keep_summary(|| serde_json::to_value(report).ok());
        if is_json() {
            if !self.is_quiet {
                let shard = self.shard.map(|shard| shard.to_string());
                emit(EventKind::Report, json!({"report": serde_json::to_value(report)?, "shard": shard}));
            }
        } else {
            for line in lines() {
                self.say(line);
            }
            if let Some(shard) = self.shard {
                self.say(format!("  shard      {shard}; `cohobate merge` puts the stores of all shards together"));
            }
        }
        Ok(())
    }
}

impl Listener for Screen {
    fn on_event(&self, event: &JobEvent) {
        match event {
            JobEvent::RunStarted(start) => self.start(start),
            JobEvent::Run(happened) => {
                if let Some(progress) = &*self.progress() {
                    progress.show(event, happened);
                }
            }
            JobEvent::Stored(_) => {}
            JobEvent::Phase(phase) => self.phases.show(event, phase),
            JobEvent::PhaseEnded => self.phases.end(),
            JobEvent::RunEnded => {
                self.is_asking.store(false, Ordering::Release);
                let progress = self.progress().take();
                progress.into_iter().for_each(Progress::finish);
            }
            other => self.show(other),
        }
    }
}

/// What a command that sends calls has at hand: the screen, and signals that stop the run.
pub struct Console {
    /// Where things are shown.
    pub screen: Arc<Screen>,
    /// Passed to the job.
    pub context: Context,
    signals: Signals,
    _metrics: Option<MetricsServer>,
}

impl Console {
    /// Listens for signals. Must be called inside the runtime.
    pub fn start(options: &Options, log: RunLog) -> Result<Self, JobError> {
        log.describe(options.recorded.clone(), options.model_settings().keys);
        let signals = Signals::listen(options.stop_signal, &log)?;
        let control = RunControl::with_socket(environment::runtime_directory());
        let screen = Screen::of_run(options, signals.is_asking(), control.clone());
        let listener = Arc::clone(&screen) as Arc<dyn Listener>;
        let metrics =
            options.metrics.as_deref().map(|address| serve_metrics(address, &control, &screen)).transpose()?;
        start_hooks(options, &control)?;
        *screen.to_serve() = options.serve.clone().map(|command| (command, options.store_path()));
        options.refuse_shared_options()?;
        let context = Context { listener, stop: signals.stage(), control, log, shared: options.connect(true)? };
        options.accept_losses(&context)?;
        Ok(Self { screen, context, signals, _metrics: metrics })
    }

    /// Shows the end of a job that writes its rows also where a cap has stopped its run, and returns the exit code. `written`
    /// is the report, and its lines; `done` is said where nothing was written.
    pub fn conclude(
        &self,
        stopped: Option<&RunStop>,
        written: Option<(&impl Serialize, Vec<String>)>,
        done: &str,
        incomplete: u64,
    ) -> CliResult {
        let stopped = stopped.map(|reason| self.stopped(reason));
        match written {
            Some((report, lines)) => self.screen.conclude(report, || lines)?,
            None => self.screen.say(format!("stopped: {done}")),
        }
        if let Some((_, hint)) = &stopped {
            self.screen.hint(hint);
        }
        Ok(match stopped {
            Some((code, _)) => code,
            None if incomplete > 0 => exit_code::INCOMPLETE,
            None => exit_code::COMPLETE,
        })
    }

    /// Returns the exit code of a run that stopped before its end, and what to do next.
    pub fn stopped(&self, reason: &RunStop) -> (u8, String) {
        stopped::code_and_hint(reason, self.signals.exit_code())
    }
}

/// Serves the counts of the run, and says where.
fn serve_metrics(address: &str, control: &RunControl, screen: &Screen) -> Result<MetricsServer, JobError> {
    let fault = |reason: String| {
        JobError::usage(
            format!("--metrics {address}: {reason}"),
            format!("write --metrics {METRICS_ADDRESS}, or another port"),
        )
    };
    let parsed = match address.parse::<u16>() {
        Ok(port) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        Err(_) => address.replace("localhost", "127.0.0.1").parse().map_err(|_| fault("this is no address".to_owned())),
    };
    let server = MetricsServer::listen(parsed?, control.clone()).map_err(|error| fault(error.to_string()))?;
    screen.say(format!("metrics at http://{}/metrics", server.address()));
    Ok(server)
}

/// Prepares the commands that are run at the end and at a stall.
fn start_hooks(options: &Options, control: &RunControl) -> Result<(), JobError> {
    let after = options.stall_after.as_deref().map(|text| duration("--stall-after", text)).transpose()?;
    if after.is_some() && options.on_stall.is_none() {
        return Err(JobError::usage("--stall-after has no effect without --on-stall", "add --on-stall COMMAND"));
    }
    let store = options.store_path();
    if let Some(command) = options.on_end.clone() {
        hooks::at_end(command, store.clone(), control.clone());
    }
    if let Some(command) = options.on_stall.clone() {
        let after = after.unwrap_or(STALL_AFTER);
        tokio::spawn(hooks::watch_for_stalls(command, after, store, control.clone()));
    }
    Ok(())
}

/// Runs a command that sends calls, on a worker thread beside the calls: the dispatcher is woken for each of them.
pub fn block_on(command: impl Future<Output = CliResult> + Send + 'static) -> CliResult {
    // On one processor too, somebody listens to signals and to `ctl` while a job reads its input.
    let threads = std::thread::available_parallelism().map_or(2, |count| count.get().max(2));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let runtime = runtime.map_err(|error| JobError::unexpected(format!("cannot start: {error}")))?;
    let result = runtime.block_on(async { tokio::spawn(command).await });
    let result = result.unwrap_or_else(|error| Err(JobError::unexpected(format!("a task died: {error}"))));
    // Idle connections and timers need no orderly end.
    runtime.shutdown_background();
    result
}
