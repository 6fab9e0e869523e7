//! Starts a run in the background: the same command line, in a process group of its own, with its output in a file of the
//! store. This process stays until the run is at work, so that a mistake is seen at once.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::{ArgMatches, FromArgMatches};
use cohobate::job::{ControlClient, JobError, Verb};

use super::CliResult;
use super::address::{password_apart, shown};
use super::environment::PGPASSWORD;
use super::error::exit_code;
use super::options::PlaceOptions;
use super::output::{print, tell};

/// The option, as it is written.
const OPTION: &str = "--detach";
/// The commands that ask models.
const ASKING: [&str; 5] = ["distill", "evaluate", "compare", "simulate", "tutor"];
/// The file of the store with what the run shows.
const OUTPUT: &str = "detached.log";
/// How long the start of a run is waited for; a large store may take longer to open.
const START_MAX: Duration = Duration::from_secs(60);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// The most of a failed run's output that is shown.
const SHOWN_BYTES_MAX: usize = 16 << 10;

/// True if a command line asks for a run in the background. `plan` and its like ignore the option.
pub fn is_wanted(command: &str, given: &ArgMatches) -> bool {
    ASKING.contains(&command) && given.try_get_one::<bool>("detach").ok().flatten() == Some(&true)
}

/// Starts the run that a command line asks for.
pub fn start(given: &ArgMatches) -> CliResult {
    refuse_streams(given)?;
    let options = PlaceOptions::from_arg_matches(given)
        .map_err(|error| JobError::unexpected(format!("{OPTION} cannot be read: {error}")))?;
    let options = options.resolve()?;
    let store = options.store_path();
    let output = store.join(OUTPUT);
    let fault = |error: std::io::Error| {
        let message = format!("the run cannot be started in the background: {}: {error}", output.display());
        JobError::storage(message, "name a store that can be written to with --store")
    };
    // As the run itself would create it.
    fs::create_dir_all(store.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
        .map_err(fault)?;
    DirBuilder::new().recursive(true).mode(0o700).create(&store).map_err(fault)?;
    let file = File::create(&output).map_err(fault)?;
    let program = std::env::current_exe().map_err(fault)?;
    let mut command = Command::new(program);
    let mut arguments: Vec<OsString> = std::env::args_os().skip(1).filter(|argument| argument != OPTION).collect();
    if let Some(address) = options.database()
        && let Some((kept, password)) = password_apart(address)
        && hide(&mut arguments, address, &kept)
    {
        command.env(PGPASSWORD, password);
    }
    command.args(arguments).process_group(0);
    command.stdin(Stdio::null()).stdout(file.try_clone().map_err(fault)?).stderr(file);
    let mut child = command.spawn().map_err(fault)?;
    if let Some(code) = ended_early(&mut child, &store, options.database().is_some()) {
        let shown = fs::read(&output).unwrap_or_default();
        tell(String::from_utf8_lossy(&shown[shown.len().saturating_sub(SHOWN_BYTES_MAX)..]).trim_end());
        return Ok(code);
    }
    let at = match options.database() {
        Some(address) => format!(" --store {}", shown(address)),
        None if store == Path::new(cohobate::job::STORE) => String::new(),
        None => format!(" --store {}", store.display()),
    };
    print(format!(
        "started in the background: process {}\n  shows   {}\n  status  cohobate ctl status{at}\n  stop    cohobate ctl stop{at}",
        child.id(),
        output.display(),
    ))?;
    Ok(exit_code::COMPLETE)
}

/// Replaces an address in a command line, which everybody on this machine may read; true if it was there.
fn hide(arguments: &mut [OsString], address: &str, kept: &str) -> bool {
    let mut is_found = false;
    for argument in arguments {
        if let Some(text) = argument.to_str().filter(|text| text.contains(address)) {
            *argument = text.replace(address, kept).into();
            is_found = true;
        }
    }
    is_found
}

/// Refuses standard input and output, which belong to the terminal.
fn refuse_streams(given: &ArgMatches) -> Result<(), JobError> {
    for name in ["input", "seeds", "output"] {
        let values = given.try_get_raw(name).ok().flatten();
        if values.into_iter().flatten().any(|value| value == "-") {
            let message = format!("{OPTION} leaves standard input and output, and `-` names one of them");
            return Err(JobError::usage(message, "name a file"));
        }
    }
    Ok(())
}

/// Returns where the run may be at work: with a shared store each worker of this machine has a directory of its own.
fn places(store: &Path, is_shared: bool) -> Vec<PathBuf> {
    if !is_shared {
        return vec![store.to_owned()];
    }
    fs::read_dir(store).into_iter().flatten().flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// Waits until a run is at work. Returns its exit code if it ends before.
fn ended_early(child: &mut Child, store: &Path, is_shared: bool) -> Option<u8> {
    let deadline = Instant::now() + START_MAX;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(exit_code::FAILURE));
        }
        // The store is not there yet, or another run is at work on it.
        let is_at_work = |place: &PathBuf| {
            let status = ControlClient::connect(place).ok().flatten().and_then(|mut run| run.ask(&Verb::Status).ok());
            status.is_some_and(|reply| reply["status"]["process"] == child.id())
        };
        if places(store, is_shared).iter().any(is_at_work) {
            return None;
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
    None
}
