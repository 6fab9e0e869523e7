//! Starts a run in the background: the same command line, in a process group of its own, with its output in a file of the
//! store. This process stays until the run is at work, so that a mistake is seen at once.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::{ArgMatches, FromArgMatches};
use cohobate::job::{ControlClient, JobError, Verb};

use super::CliResult;
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
    let store = options.resolve()?.store_path();
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
    command.args(std::env::args_os().skip(1).filter(|argument| argument != OPTION)).process_group(0);
    command.stdin(Stdio::null()).stdout(file.try_clone().map_err(fault)?).stderr(file);
    let mut child = command.spawn().map_err(fault)?;
    if let Some(code) = ended_early(&mut child, &store) {
        let shown = fs::read(&output).unwrap_or_default();
        tell(String::from_utf8_lossy(&shown[shown.len().saturating_sub(SHOWN_BYTES_MAX)..]).trim_end());
        return Ok(code);
    }
    let at =
        if store == Path::new(cohobate::job::STORE) { String::new() } else { format!(" --store {}", store.display()) };
    print(format!(
        "started in the background: process {}\n  shows   {}\n  status  cohobate ctl status{at}\n  stop    cohobate ctl stop{at}",
        child.id(),
        output.display(),
    ))?;
    Ok(exit_code::COMPLETE)
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

/// Waits until a run is at work. Returns its exit code if it ends before.
fn ended_early(child: &mut Child, store: &Path) -> Option<u8> {
    let deadline = Instant::now() + START_MAX;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(exit_code::FAILURE));
        }
        // The store is not there yet, or another run is at work on it.
        let status = ControlClient::connect(store).ok().flatten().and_then(|mut run| run.ask(&Verb::Status).ok());
        if status.is_some_and(|reply| reply["status"]["process"] == child.id()) {
            return None;
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
    None
}
