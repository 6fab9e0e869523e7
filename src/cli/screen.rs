//! What a command shows while it works, and the signals that stop it.

use std::fmt::Display;
use std::iter;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cohobate::job::{Context, JobError, JobEvent, Listener, MetricsServer, RunControl, RunLog};
use cohobate::worker::RunStop;
use serde::Serialize;
use serde_json::json;

use super::choices::METRICS_ADDRESS;
use super::environment;
use super::error::exit_code;
use super::hooks;
use super::options::Options;
use super::output::tell;
use super::progress::{Progress, ProgressMode};
use super::signals::Signals;
use super::time::duration;
use super::{CliResult, stopped};

/// How long no answer comes before a run counts as stalled.
const STALL_AFTER: Duration = Duration::from_secs(600);

/// Shows the events of a job, and what a command says.
pub struct Screen {
    mode: ProgressMode,
    is_quiet: bool,
    is_verbose: bool,
    progress: Mutex<Option<Progress>>,
    /// On while calls may be in flight; signals behave differently then.
    is_asking: Arc<AtomicBool>,
}

impl Screen {
    /// A screen as the options want it.
    pub fn new(options: &Options) -> Arc<Self> {
        Self::with_switch(options, Arc::default())
    }

    fn with_switch(options: &Options, is_asking: Arc<AtomicBool>) -> Arc<Self> {
        let is_quiet = options.quiet.unwrap_or(false);
        let mode = if is_quiet { ProgressMode::None } else { options.progress.unwrap_or_default() };
        let is_verbose = options.verbose.unwrap_or(false);
        Arc::new(Self { mode, is_quiet, is_verbose, progress: Mutex::default(), is_asking })
    }

    /// Returns what a job is given that sends no call.
    pub fn context(self: &Arc<Self>) -> Context {
        Context::new(Arc::clone(self) as Arc<dyn Listener>)
    }

    fn progress(&self) -> MutexGuard<'_, Option<Progress>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True where only errors are shown.
    pub fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    /// True where every line is JSON.
    pub fn is_json(&self) -> bool {
        self.mode == ProgressMode::Json
    }

    /// Shows a line, above the progress bar where there is one.
    pub fn say(&self, line: impl Display) {
        match &*self.progress() {
            _ if self.is_quiet => {}
            Some(progress) => progress.say(&line.to_string()),
            None if self.is_json() => tell(json!({"message": line.to_string()})),
            None => tell(line),
        }
    }

    /// Shows the end of a job: its report as JSON, or lines.
    pub fn conclude(&self, report: &impl Serialize, lines: impl FnOnce() -> Vec<String>) -> Result<(), JobError> {
        hooks::keep_summary(|| serde_json::to_value(report).ok());
        if self.is_json() {
            tell(serde_json::to_value(report)?);
        } else {
            for line in lines() {
                self.say(line);
            }
        }
        Ok(())
    }
}

impl Listener for Screen {
    fn on_event(&self, event: &JobEvent) {
        match event {
            JobEvent::RunStarted(tally) => {
                let progress = Progress::start((**tally).clone(), self.mode, self.is_verbose);
                *self.progress() = Some(progress);
                self.is_asking.store(true, Ordering::Release);
            }
            JobEvent::Stored(stored) => {
                if let Some(progress) = &*self.progress() {
                    progress.on_stored(*stored);
                }
            }
            JobEvent::Run(event) => {
                if let Some(progress) = &*self.progress() {
                    progress.on_event(event);
                }
            }
            JobEvent::RunEnded => {
                self.is_asking.store(false, Ordering::Release);
                let progress = self.progress().take();
                progress.into_iter().for_each(Progress::finish);
            }
            other => self.say(other),
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
        let screen = Screen::with_switch(options, signals.is_asking());
        let listener = Arc::clone(&screen) as Arc<dyn Listener>;
        let control = RunControl::with_socket(environment::runtime_directory());
        let metrics =
            options.metrics.as_deref().map(|address| serve_metrics(address, &control, &screen)).transpose()?;
        start_hooks(options, &control)?;
        let context = Context { listener, stop: signals.stage(), control, log };
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
        let hint = stopped.as_ref().map(|(_, hint)| format!("hint: {hint}"));
        match written {
            Some((report, lines)) => self.screen.conclude(report, || lines.into_iter().chain(hint).collect())?,
            None => iter::once(format!("stopped: {done}")).chain(hint).for_each(|line| self.screen.say(line)),
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
