//! Commands that are run when a run ends or stalls, so that a phone, a scheduler or a rented server hears of it.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use cohobate::job::{JobError, RunControl};
use cohobate::model::WrittenCommand;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::output::tell;

/// Time limit for a command.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(60);
/// How often a running command is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// How often a run is looked at that may stall; more often where it stalls sooner.
const STALL_LOOK_MAX: Duration = Duration::from_secs(5);

/// A command: a list of words, or text that is split at spaces. Quotes keep words together; there is no other syntax and no
/// shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenCommand")]
pub struct HookCommand(Vec<String>);

impl TryFrom<WrittenCommand> for HookCommand {
    type Error = String;

    fn try_from(written: WrittenCommand) -> Result<Self, Self::Error> {
        written.words("the command").map(Self)
    }
}

impl HookCommand {
    /// Returns the program and its arguments.
    pub fn words(&self) -> &[String] {
        &self.0
    }
}

impl FromStr for HookCommand {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(WrittenCommand::Text(text.to_owned()))
    }
}

/// What is to be run at the end of this process.
struct OnEnd {
    command: HookCommand,
    store: PathBuf,
    control: RunControl,
    summary: Mutex<Option<Value>>,
}

/// A process has one end, and more than one way to it.
static ON_END: OnceLock<OnEnd> = OnceLock::new();

/// Has a command run at the end of the process.
pub fn at_end(command: HookCommand, store: PathBuf, control: RunControl) {
    let _ = ON_END.set(OnEnd { command, store, control, summary: Mutex::default() });
}

/// Keeps the report of the job for the command at the end.
pub fn keep_summary(summary: impl FnOnce() -> Option<Value>) {
    if let Some(on_end) = ON_END.get() {
        *on_end.summary.lock().unwrap_or_else(PoisonError::into_inner) = summary();
    }
}

/// Runs the command at the end of the process, if there is one. Its failure is told, and changes nothing.
pub fn end(exit_code: u8, error: Option<&JobError>) {
    let Some(on_end) = ON_END.get() else { return };
    let event = json!({
        "event": "end",
        "time": now(),
        "exit_code": exit_code,
        "error": error.map(|error| &error.message),
        "hint": error.and_then(|error| error.hint.as_deref()),
        "store": on_end.store.display().to_string(),
        "status": on_end.control.status_at_end(),
        "summary": on_end.summary.lock().unwrap_or_else(PoisonError::into_inner).take(),
    });
    if let Err(reason) = run_command(&on_end.command, &event) {
        tell(format!("caution: --on-end {reason}"));
    }
}

/// Watches a run, and runs a command each time that no answer has come for long. A pause is no stall.
pub async fn watch_for_stalls(command: HookCommand, after: Duration, store: PathBuf, control: RunControl) {
    let interval = (after / 4).clamp(LOOK_INTERVAL, STALL_LOOK_MAX);
    let (mut done, mut since, mut is_told) = (0, Instant::now(), false);
    loop {
        tokio::time::sleep(interval).await;
        let run = control.look().await;
        let (tally, _) = control.tally();
        let is_waiting = run.is_some_and(|run| !run.is_paused && run.stopping.is_none());
        if !is_waiting || tally.done() != done {
            (done, since, is_told) = (tally.done(), Instant::now(), false);
        } else if !is_told && since.elapsed() >= after {
            is_told = true;
            let event = json!({
                "event": "stall",
                "time": now(),
                "idle_s": since.elapsed().as_secs_f64(),
                "store": store.display().to_string(),
                "status": control.status().await,
            });
            let command = command.clone();
            let result = tokio::task::spawn_blocking(move || run_command(&command, &event)).await;
            if let Ok(Err(reason)) = result {
                tell(format!("caution: --on-stall {reason}"));
            }
        }
    }
}

/// Runs a command with a JSON object on its standard input. Returns why it failed. What it prints goes nowhere: standard
/// output is for rows.
fn run_command(command: &HookCommand, event: &Value) -> Result<(), String> {
    let (program, arguments) = command.0.split_first().ok_or("is empty")?;
    // Arguments may hold a secret.
    let failed = |reason: String| format!("`{program}` {reason}; run it by hand to see why");
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| failed(format!("cannot be started: {error}")))?;
    let input = format!("{event}\n");
    if let Some(mut stdin) = child.stdin.take() {
        // A thread of its own: the command need not read.
        std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    }
    let deadline = Instant::now() + COMMAND_TIME_MAX;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(failed(format!("failed with {status}"))),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK_INTERVAL),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed(format!("did not end within {} s", COMMAND_TIME_MAX.as_secs())));
            }
        }
    }
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_text_or_words() {
        let words = |text: &str| text.parse::<HookCommand>().map(|command| command.0);
        assert_eq!(words("curl -d @- 'https://x/a b'").unwrap(), ["curl", "-d", "@-", "https://x/a b"]);
        assert!(words("").is_err() && words("sh -c 'x").is_err());
        let read: HookCommand = serde_json::from_value(json!(["sh", "-c", "a b"])).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), json!(["sh", "-c", "a b"]));
    }

    #[test]
    fn a_command_that_fails_says_so_without_its_arguments() {
        let run = |text: &str| run_command(&text.parse().unwrap(), &json!({"a": "x".repeat(1 << 20)}));
        assert_eq!(run("true"), Ok(()), "a command need not read");
        assert!(run("sh -c 'exit 3' secret").unwrap_err().starts_with("`sh` failed with exit status: 3"));
        let error = run("there-is-no-such-program secret").unwrap_err();
        assert!(error.contains("cannot be started") && !error.contains("secret"), "{error}");
    }
}
