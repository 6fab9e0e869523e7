//! `--serve COMMAND`: a model's server that lives as long as the run.
//!
//! The run starts a guard: this program again, which starts the server, starts it again when it ends, and stops it once its
//! own standard input ends. That happens when the run ends, in whatever way: no server is left, also after `kill -9`. The run
//! waits for the server as for any other that is down, and a probe shows when it answers.

mod guard;
mod log;
mod strays;

pub use guard::guard;

use std::fs::DirBuilder;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use cohobate::job::{JobError, RunControl, Verb};
use tokio::runtime::Handle;

use super::hooks::HookCommand;
use super::output::tell;

/// The argument that makes this program a guard.
const GUARD: &str = "__serve-guard";
/// The file of the store with what the server prints.
const LOG: &str = "served.log";
/// How long the end of the guard is waited for. It gives the server less.
const END_MAX: Duration = Duration::from_secs(15);
/// After this time the wait is told.
const TOLD_AFTER: Duration = Duration::from_secs(1);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// The guard of this process, if there is one. While it is here, its standard input is open.
static SERVED: Mutex<Option<Served>> = Mutex::new(None);
/// Why the server cannot be kept alive.
static FAILURE: OnceLock<Failure> = OnceLock::new();

struct Served {
    guard: Child,
    /// A byte tells the guard that the server has answered; its end, that the run is over.
    input: ChildStdin,
}

/// Why the run has no server any more.
#[derive(Debug)]
pub struct Failure {
    /// What happened, with the last lines that the server has printed.
    pub message: String,
    /// It has answered in this run.
    pub has_answered: bool,
}

/// Starts a server for the run on a store; inside the runtime. What becomes of it is told; a command that cannot keep a
/// server alive stops the run.
pub fn start(command: &HookCommand, store: &Path, control: RunControl) -> Result<(), JobError> {
    let log = store.join(LOG);
    let fault = |error: std::io::Error| {
        let message = format!("--serve cannot start the server, with its output in {}: {error}", log.display());
        JobError::storage(message, "name a store that can be written to with --store")
    };
    DirBuilder::new().recursive(true).mode(0o700).create(store).map_err(fault)?;
    log::open(&log).map_err(fault)?;
    let mut guard = Command::new(std::env::current_exe().map_err(fault)?);
    // A group of its own: Ctrl-C is for the run, which then stops the server.
    guard.arg(GUARD).arg(&log).args(command.words()).process_group(0);
    guard.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = guard.spawn().map_err(fault)?;
    let (Some(input), Some(said)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(JobError::unexpected("the guard of --serve has no pipes"));
    };
    *served() = Some(Served { guard: child, input });
    let runtime = Handle::current();
    std::thread::spawn(move || Watch { control, log, server: None, answered: 0 }.listen(said, &runtime));
    Ok(())
}

/// Returns why the run has no server any more, where that is so.
pub fn failure() -> Option<&'static Failure> {
    FAILURE.get()
}

/// Listens to the guard.
struct Watch {
    control: RunControl,
    log: PathBuf,
    /// The process of the server.
    server: Option<u32>,
    /// Answers of the run when the server last ended.
    answered: u64,
}

impl Watch {
    fn listen(mut self, said: impl Read, runtime: &Handle) {
        for line in BufReader::new(said).lines().map_while(Result::ok) {
            if let Some(process) = line.strip_prefix(guard::STARTED) {
                self.server = process.parse().ok();
                continue;
            }
            if line.starts_with(guard::GIVES_UP) {
                self.fail(line, runtime);
                return;
            }
            tell(format!("{line}; {} has its output", self.log.display()));
            let now = self.control.tally().0.answered;
            if std::mem::replace(&mut self.answered, now) < now
                && let Some(served) = &mut *served()
            {
                // A guard that is gone hears nothing.
                let _ = served.input.write_all(b"+");
            }
        }
        // The run ends: the guard was told so. Else nobody watches over the server any more.
        if served().is_some() {
            guard::stop_server(self.server);
            self.fail("the process that watches over the served command was killed".to_owned(), runtime);
        }
    }

    /// Stops the run as Ctrl-C does: what is answered is stored.
    fn fail(&self, line: String, runtime: &Handle) {
        let last = log::last_lines(&self.log);
        let said =
            if last.is_empty() { String::new() } else { format!("; the end of {}:\n{last}", self.log.display()) };
        let has_answered = self.control.tally().0.answered > 0;
        let _ = FAILURE.set(Failure { message: format!("{line}{said}"), has_answered });
        let _ = runtime.block_on(self.control.apply(&Verb::Stop { now: false }));
    }
}

/// Stops the server at the end of the process, if there is one.
pub fn end() {
    let Some(Served { mut guard, input }) = served().take() else { return };
    drop(input);
    let began = Instant::now();
    let mut is_told = false;
    while matches!(guard.try_wait(), Ok(None)) && began.elapsed() < END_MAX {
        if !is_told && began.elapsed() > TOLD_AFTER {
            tell("waiting for the end of the served command");
            is_told = true;
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
}

fn served() -> MutexGuard<'static, Option<Served>> {
    SERVED.lock().unwrap_or_else(PoisonError::into_inner)
}
