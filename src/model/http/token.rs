//! A key that a command prints, for tokens that expire.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::conversation::FailureCode;
use crate::model::failure::{Failure, FailureClass};
use crate::model::secret::Secret;

/// Time limit for the command.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(30);
/// Most bytes of a token. Those of identity providers have some thousand.
const TOKEN_BYTES_MAX: u64 = 64 << 10;
/// How often a running command is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// The tokens that a command prints. The command runs before the first call, and again when the server answers 401 to the
/// current token: once for all calls in flight.
pub struct TokenSource {
    command: Vec<String>,
    /// All tokens so far; the last one is current.
    tokens: RwLock<Vec<Secret>>,
    /// Held while the command runs.
    running: Mutex<()>,
}

/// A token, and how many there were before it.
#[derive(Clone)]
pub struct Token {
    pub secret: Secret,
    generation: usize,
}

impl TokenSource {
    pub fn new(command: Vec<String>) -> Self {
        Self { command, tokens: RwLock::default(), running: Mutex::default() }
    }

    /// Returns the current token.
    pub async fn current(&self) -> Result<Token, Failure> {
        self.newer_than(None).await
    }

    /// Returns a token in place of `refused`; `None` if the command prints the same one again.
    pub async fn renewed(&self, refused: &Token) -> Result<Option<Token>, Failure> {
        let token = self.newer_than(Some(refused.generation)).await?;
        Ok((token.secret != refused.secret).then_some(token))
    }

    async fn newer_than(&self, generation: Option<usize>) -> Result<Token, Failure> {
        let _running = self.running.lock().await;
        let count = self.known().len();
        if generation.map_or(count == 0, |old| count == old + 1) {
            let command = self.command.clone();
            let printed = tokio::task::spawn_blocking(move || output_of(&command)).await;
            let printed = printed.unwrap_or_else(|error| Err(error.to_string()));
            let secret = printed.map_err(|reason| self.failed(&reason, count == 0))?;
            self.tokens.write().unwrap_or_else(PoisonError::into_inner).push(secret);
        }
        let tokens = self.known();
        let generation = tokens.len() - 1;
        Ok(Token { secret: tokens[generation].clone(), generation })
    }

    fn known(&self) -> RwLockReadGuard<'_, Vec<Secret>> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before the first token the command is wrong; after it the cause may pass.
    fn failed(&self, reason: &str, is_first: bool) -> Failure {
        let class = if is_first { FailureClass::Fatal } else { FailureClass::Outage };
        // Arguments may hold a secret.
        let program = self.command.first().map_or("", String::as_str);
        let message = format!("the key-command `{program}` {reason}; run it by hand to see why");
        Failure::new(class, FailureCode::Auth, message)
    }

    /// Returns every token so far, to be masked.
    pub fn all(&self) -> Vec<Secret> {
        self.known().clone()
    }
}

/// Runs a command and returns the one line that it prints, or why there is no such line.
fn output_of(command: &[String]) -> Result<Secret, String> {
    let (program, arguments) = command.split_first().ok_or("is empty")?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot be started: {error}"))?;
    let stdout = child.stdout.take().ok_or("has no output")?;
    let (sender, receiver) = mpsc::channel();
    // A thread of its own: what the command has started may hold the pipe open after its end.
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stdout.take(TOKEN_BYTES_MAX).read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    let deadline = Instant::now() + COMMAND_TIME_MAX;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK_INTERVAL),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("did not end within {} s", COMMAND_TIME_MAX.as_secs()));
            }
        }
    };
    if !status.success() {
        return Err(format!("failed with {status}"));
    }
    let left = deadline.saturating_duration_since(Instant::now());
    let bytes = receiver.recv_timeout(left).map_err(|_| "keeps its output open".to_owned())?;
    let text = String::from_utf8_lossy(&bytes);
    let is_token = |text: &str| text.chars().all(|letter| letter.is_ascii_graphic() || letter == ' ');
    Secret::new(&text)
        .filter(|_| is_token(text.trim()))
        .ok_or_else(|| "does not print one line with a token".to_owned())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn one_line_is_a_token_and_anything_else_says_why_not() {
        let secret = output_of(&command(&["echo", "sk-1"])).map_err(drop);
        assert!(secret.is_ok_and(|secret| secret.expose() == "sk-1"));
        for (words, reason) in [
            (&["no-such-program-here"][..], "cannot be started"),
            (&["false"], "failed with"),
            (&["true"], "does not print"),
            (&["printf", "a\\nb"], "does not print"),
        ] {
            let error = output_of(&command(words)).err().unwrap_or_default();
            assert!(error.contains(reason), "{words:?}: {error}");
        }
    }

    #[tokio::test]
    async fn calls_that_were_refused_together_run_the_command_once() {
        let source = TokenSource::new(command(&["sh", "-c", "echo token-$$"]));
        let first = source.current().await.unwrap();
        let (one, other) = (source.renewed(&first).await.unwrap(), source.renewed(&first).await.unwrap());
        assert!(one.unwrap().secret == other.unwrap().secret && source.known().len() == 2);
        let fixed = TokenSource::new(command(&["echo", "sk-1"]));
        let first = fixed.current().await.unwrap();
        assert!(fixed.renewed(&first).await.unwrap().is_none(), "the same token again");
        assert!(fixed.all().iter().all(|token| token.expose() == "sk-1"));
    }
}
