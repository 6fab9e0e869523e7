use std::ffi::OsString;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{GUARD, LOOK_INTERVAL, log, strays};
use crate::cli::output::print;

/// How long a server may take to end after it was asked to.
const STOP_MAX: Duration = Duration::from_secs(10);
/// Waits before a server is started again: doubled each time, up to the maximum.
const WAIT_FIRST: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How long the run may take to say that the server has answered since it was started.
const NEWS_MAX: Duration = Duration::from_millis(300);
/// How often in a row a server may end without an answer.
const FAILURES_MAX: u32 = 5;
/// How the line begins that names the process of a server.
pub const STARTED: &str = "started ";
/// How the line begins that says that the guard gives up.
pub const GIVES_UP: &str = "the served command has failed";

/// Guards a server, where the command line asks for that: starts it, starts it again when it ends, and stops it once standard
/// input ends.
pub fn guard(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    if arguments.next()? != GUARD {
        return None;
    }
    let log = PathBuf::from(arguments.next()?);
    let command: Vec<OsString> = arguments.collect();
    Some(if run(&command, &log) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns false where the server cannot be kept alive.
fn run(command: &[OsString], log: &Path) -> bool {
    strays::adopt();
    let heard = Heard::listen();
    let (mut failures, mut wait) = (0, WAIT_FIRST);
    loop {
        let ended = match start(command, log) {
            Ok(mut server) => match watch(&mut server, &heard) {
                Some(status) => {
                    // What it has started goes with it.
                    stop_group(server.id(), Signal::KILL);
                    strays::stop();
                    format!("ended with {status}")
                }
                None => {
                    stop(&mut server);
                    return true;
                }
            },
            Err(error) => format!("cannot be started: {error}"),
        };
        say(&format!("the served command {ended}"));
        heard.wait(NEWS_MAX);
        if heard.has_answered.swap(false, Ordering::AcqRel) {
            (failures, wait) = (0, WAIT_FIRST);
        }
        failures += 1;
        if failures >= FAILURES_MAX {
            say(&format!("{GIVES_UP} {FAILURES_MAX} times without an answer, the last time it {ended}"));
            return false;
        }
        heard.wait(wait);
        if heard.is_over.load(Ordering::Acquire) {
            return true;
        }
        wait = (wait * 2).min(WAIT_MAX);
    }
}

/// What the run says on standard input.
#[derive(Default)]
struct Heard {
    /// It has ended, or is gone: the input has an end.
    is_over: AtomicBool,
    /// The server has answered since it was started: a byte.
    has_answered: AtomicBool,
}

impl Heard {
    fn listen() -> Arc<Self> {
        let heard = Arc::<Self>::default();
        let told = Arc::clone(&heard);
        std::thread::spawn(move || {
            let mut input = std::io::stdin().lock();
            while input.read(&mut [0; 1]).is_ok_and(|count| count > 0) {
                told.has_answered.store(true, Ordering::Release);
            }
            told.is_over.store(true, Ordering::Release);
        });
        heard
    }

    /// Waits, at most until the run is over.
    fn wait(&self, time: Duration) {
        let due = Instant::now() + time;
        while Instant::now() < due && !self.is_over.load(Ordering::Acquire) {
            std::thread::sleep(LOOK_INTERVAL);
        }
    }
}

/// Starts the server in a process group of its own, with all that it prints in the log.
fn start(command: &[OsString], log: &Path) -> std::io::Result<Child> {
    let (program, arguments) = command.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
    let (output, writer) = std::io::pipe()?;
    let mut server = Command::new(program);
    server.args(arguments).process_group(0).stdin(Stdio::null());
    server.stdout(writer.try_clone()?).stderr(writer);
    let server = server.spawn()?;
    let log = log.to_owned();
    std::thread::spawn(move || log::copy(output, &log));
    say(&format!("{STARTED}{}", server.id()));
    Ok(server)
}

/// Waits for the end of the server, or of the run: `None`.
fn watch(server: &mut Child, heard: &Heard) -> Option<ExitStatus> {
    loop {
        if heard.is_over.load(Ordering::Acquire) {
            return None;
        }
        match server.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) => std::thread::sleep(LOOK_INTERVAL),
            Err(_) => return None,
        }
    }
}

/// Asks the server and all that it has started to end, and makes sure of it.
fn stop(server: &mut Child) {
    stop_group(server.id(), Signal::TERM);
    let deadline = Instant::now() + STOP_MAX;
    while Instant::now() < deadline && matches!(server.try_wait(), Ok(None)) {
        std::thread::sleep(LOOK_INTERVAL);
    }
    stop_group(server.id(), Signal::KILL);
    let _ = server.wait();
    strays::stop();
}

/// Stops a server whose guard is gone, with its group.
pub fn stop_server(process: Option<u32>) {
    if let Some(process) = process {
        stop_group(process, Signal::KILL);
    }
}

fn stop_group(leader: u32, signal: Signal) {
    if let Some(group) = i32::try_from(leader).ok().and_then(Pid::from_raw) {
        // A group that is gone needs no signal.
        let _ = kill_process_group(group, signal);
    }
}

/// Tells the run. One that is gone hears nothing.
fn say(line: &str) {
    let _ = print(line);
}
