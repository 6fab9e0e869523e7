//! `--serve COMMAND`: a model's server that lives as long as the run.
//!
//! The run starts a guard: this program again, which starts the server, starts it again when it ends, and stops it once its
//! own standard input ends. That happens when the run ends, in whatever way: no server is left, also after `kill -9`. The run
//! waits for the server as for any other that is down, and a probe shows when it answers.

mod guard;

pub use guard::guard;

use std::fs::DirBuilder;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
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
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// The guard of this process, if there is one. While it is here, its standard input is open.
static SERVED: Mutex<Option<Served>> = Mutex::new(None);

struct Served {
    guard: Child,
    /// A byte tells the guard that the server has answered; its end, that the run is over.
    input: ChildStdin,
}

/// Starts a server for the run on a store; inside the runtime. What becomes of it is told; a command that cannot keep a server alive stops the
/// run.
pub fn start(command: &HookCommand, store: &Path, control: RunControl) -> Result<(), JobError> {
    let log = store.join(LOG);
    let fault = |error: std::io::Error| {
        let message = format!("--serve cannot start the server, with its output in {}: {error}", log.display());
        JobError::storage(message, "name a store that can be written to with --store")
    };
    DirBuilder::new().recursive(true).mode(0o700).create(store).map_err(fault)?;
    guard::open_log(&log).map_err(fault)?;
    let mut guard = Command::new(std::env::current_exe().map_err(fault)?);
    // A group of its own: Ctrl-C is for the run, which then stops the server.
    guard.arg(GUARD).arg(&log).args(command.words()).process_group(0);
    guard.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = guard.spawn().map_err(fault)?;
    let (Some(input), Some(said)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(JobError::unexpected("the guard of --serve has no pipes"));
    };
    let (at, runtime) = (log.display().to_string(), Handle::current());
    *served() = Some(Served { guard: child, input });
    std::thread::spawn(move || {
        let mut answered = 0;
        for line in BufReader::new(said).lines().map_while(Result::ok) {
            tell(format!("{line}; its output is in {at}"));
            let now = control.tally().0.answered;
            if std::mem::replace(&mut answered, now) < now
                && let Some(served) = &mut *served()
            {
                // A guard that is gone hears nothing.
                let _ = served.input.write_all(b"+");
            }
            if line.starts_with(guard::GIVES_UP) {
                // The run stops as at Ctrl-C: what is answered is stored.
                let _ = runtime.block_on(control.apply(&Verb::Stop { now: false }));
            }
        }
    });
    Ok(())
}

/// Stops the server at the end of the process, if there is one.
pub fn end() {
    let Some(Served { mut guard, input }) = served().take() else { return };
    drop(input);
    let deadline = Instant::now() + END_MAX;
    while matches!(guard.try_wait(), Ok(None)) && Instant::now() < deadline {
        std::thread::sleep(LOOK_INTERVAL);
    }
}

fn served() -> MutexGuard<'static, Option<Served>> {
    SERVED.lock().unwrap_or_else(PoisonError::into_inner)
}
