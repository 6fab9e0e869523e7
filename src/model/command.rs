//! A command that answers calls to tools: one line of JSON in, one out.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::{Call, Failure, FailureClass, Model, PendingCall};
use crate::conversation::{Answer, FailureCode, TimeoutKind};

/// A command that answers calls to tools. Each call starts it once, and it ends with its answer.
///
/// It reads `{"name", "arguments"}` and prints `{"content": TEXT}`, or `{"error": TEXT}` where it has no result.
#[derive(Clone, Debug)]
pub struct ToolCommand {
    words: Vec<String>,
    time_max: Duration,
}

/// Time limit for one call.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(60);
/// Most bytes of a result.
const OUTPUT_BYTES_MAX: u64 = 4 << 20;
/// Time limit for reading what a command had printed when it ended.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(1);

impl ToolCommand {
    /// The dialect's name in fingerprints.
    pub const DIALECT: &'static str = "command";
    /// Commands that run at a time.
    pub const CONCURRENCY: usize = 8;

    /// Makes a command of its program and its arguments.
    pub fn new(words: Vec<String>) -> Self {
        Self { words, time_max: COMMAND_TIME_MAX }
    }

    /// Returns the command in one line. Its answers are stored under this name.
    pub fn name(&self) -> String {
        self.words.join(" ")
    }

    async fn answer(&self, call: Call<'_>) -> Result<Answer, Failure> {
        if call.conversation.is_none() {
            // A probe has no call of a tool: only the next call can tell whether the command works again.
            return Ok(Answer::complete(call.question.target.model(), ""));
        }
        let asked = call.question.messages.last().map_or("", |message| message.content());
        let output = tokio::time::timeout(self.time_max, self.output(asked)).await.map_err(|_| {
            let code = FailureCode::Timeout(TimeoutKind::Total);
            self.failure(FailureClass::Transient, code, &format!("did not end within {} s", self.time_max.as_secs()))
        })??;
        let text = self.result_in(&output)?;
        Ok(Answer { attempts: call.attempt, ..Answer::complete(call.question.target.model(), text) })
    }

    /// Runs the command and returns what it prints.
    async fn output(&self, asked: &str) -> Result<Vec<u8>, Failure> {
        let broken = |error: std::io::Error| self.failed(&format!("cannot be used: {error}"));
        let mut running = Running::start(&self.words).map_err(|error| {
            let message = format!("cannot be started: {error}");
            self.failure(FailureClass::Fatal, FailureCode::from("command_failed"), &message)
        })?;
        let (stdin, stdout) = (running.child.stdin.take(), running.child.stdout.take());
        let line = format!("{asked}\n");
        let mut output = Vec::new();
        let write = async {
            if let Some(mut stdin) = stdin {
                // The command need not read.
                let _ = stdin.write_all(line.as_bytes()).await;
            }
            Ok(())
        };
        let read = async {
            if let Some(stdout) = stdout {
                stdout.take(OUTPUT_BYTES_MAX + 1).read_to_end(&mut output).await.map_err(broken)?;
            }
            if output.len() as u64 > OUTPUT_BYTES_MAX {
                let message = format!("prints more than {} MB", OUTPUT_BYTES_MAX >> 20);
                return Err(self.failure(FailureClass::Permanent, FailureCode::TooLong, &message));
            }
            Ok(())
        };
        let status = {
            let exchange = async { tokio::try_join!(write, read).map(drop) };
            let mut exchange = std::pin::pin!(exchange);
            let ended = tokio::select! {
                done = &mut exchange => { done?; None }
                status = running.child.wait() => Some(status),
            };
            match ended {
                None => running.child.wait().await,
                Some(status) => {
                    // What it has started may still hold its output open.
                    running.stop_group();
                    if let Ok(done) = tokio::time::timeout(DRAIN_TIME_MAX, exchange).await {
                        done?;
                    }
                    status
                }
            }
        }
        .map_err(broken)?;
        // Its error output is not quoted: it may hold secrets that only the command knows.
        let reason = || format!("failed with {status}; hint: give it the call by hand to see why");
        if status.success() { Ok(output) } else { Err(self.failed(&reason())) }
    }

    fn result_in(&self, output: &[u8]) -> Result<String, Failure> {
        let garbage = |what: &str| self.failure(FailureClass::Transient, FailureCode::Garbage, what);
        let reply: Value = serde_json::from_slice(output)
            .map_err(|error| garbage(&format!("does not print one line of JSON: {error}")))?;
        if let Some(error) = reply.get("error").filter(|error| !error.is_null()) {
            let said = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
            return Err(self.failure(
                FailureClass::Permanent,
                FailureCode::from("tool_error"),
                &format!("says: {said}"),
            ));
        }
        match reply.get("content") {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(value) if !value.is_null() => Ok(value.to_string()),
            _ => Err(garbage("prints neither `content` nor `error`")),
        }
    }

    fn failed(&self, reason: &str) -> Failure {
        self.failure(FailureClass::Transient, FailureCode::from("command_failed"), reason)
    }

    fn failure(&self, class: FailureClass, code: FailureCode, reason: &str) -> Failure {
        let program = self.words.first().map_or("", String::as_str);
        Failure::new(class, code, format!("the command `{program}` {reason}"))
    }
}

impl Model for ToolCommand {
    fn ask<'a>(&'a self, call: Call<'a>) -> PendingCall<'a> {
        Box::pin(async move { self.answer(call).await.into() })
    }
}

/// A command that runs. Whatever it has started ends with it.
struct Running {
    child: Child,
    group: Option<u32>,
}

impl Running {
    fn start(words: &[String]) -> std::io::Result<Self> {
        let (program, arguments) = words.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        command.process_group(0);
        let child = command.spawn()?;
        let group = child.id();
        Ok(Self { child, group })
    }
}

impl Running {
    /// Kills whatever the command has started. A second time does nothing: its number may be another process's then.
    fn stop_group(&mut self) {
        if let Some(group) = self.group.take().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop_group();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{ConversationKey, Question, Sampling, Slot, Target, ToolCall};

    fn run(script: &str, time_max: Duration) -> Result<String, Failure> {
        let words = ["sh", "-c", script].map(str::to_owned).to_vec();
        let command = ToolCommand { words, time_max };
        let call =
            ToolCall { id: "1".to_owned(), name: "tide".to_owned(), arguments: "{\"b\": 1, \"a\": 2}".to_owned() };
        let target = Target::new(command.name(), ToolCommand::DIALECT, Sampling::default());
        let messages = vec![call.question()].into();
        let question = Question { slot: Slot::main(0), target, sample: 0, messages };
        let call =
            Call { question: &question, attempt: 1, conversation: Some(ConversationKey([0; 32])), avoids_flex: false };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(command.answer(call)).map(|answer| answer.text().to_owned())
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_call_is_one_line_in_and_its_result_one_line_out() {
        let echo = r#"read line; printf '{"content": "%s"}\n' "$(echo "$line" | tr '"' "'")""#;
        assert_eq!(run(echo, LONG).unwrap(), "{'name':'tide','arguments':{'a':2,'b':1}}");
        assert_eq!(run(r#"echo '{"content": {"m": 3}}'"#, LONG).unwrap(), "{\"m\":3}");
        assert_eq!(run(r#"echo '{"content": ""}'"#, LONG).unwrap(), "");
    }

    #[test]
    fn each_failure_has_its_class() {
        for (script, class, code) in [
            (r#"echo '{"error": "no such place"}'"#, FailureClass::Permanent, "tool_error"),
            ("echo words", FailureClass::Transient, "garbage"),
            ("echo '{}'", FailureClass::Transient, "garbage"),
            (r#"echo '{"content": "a"}'; echo more"#, FailureClass::Transient, "garbage"),
            ("exit 3", FailureClass::Transient, "command_failed"),
            ("head -c 5000000 /dev/zero", FailureClass::Permanent, "too_long"),
        ] {
            let failure = run(script, LONG).unwrap_err();
            assert_eq!((failure.class, failure.code.to_string().as_str()), (class, code), "{script}: {failure:?}");
        }
        let missing = ToolCommand::new(vec!["there-is-no-such-program".to_owned()]);
        assert!(Running::start(&missing.words).is_err());
    }

    #[test]
    fn what_a_command_leaves_behind_does_not_delay_its_result() {
        for left in ["sleep 1000 &", "setsid sleep 30 &"] {
            let script = format!(r#"{left} echo '{{"content": "3 m"}}'"#);
            assert_eq!(run(&script, Duration::from_secs(20)).unwrap(), "3 m", "{left}");
        }
    }

    #[test]
    fn a_command_that_does_not_end_is_killed_with_what_it_has_started() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; wait", file.display());
        let failure = run(&script, Duration::from_millis(400)).unwrap_err();
        assert_eq!(failure.code, FailureCode::Timeout(TimeoutKind::Total));
        let Ok(pid) = std::fs::read_to_string(&file) else { return };
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        while !state().is_empty() && !state().contains(") Z ") {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
