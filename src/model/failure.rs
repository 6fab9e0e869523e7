use std::fmt;
use std::time::Duration;

use crate::conversation::FailureCode;

/// The class of a failure. It alone decides how the failure is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// The connection raced with the server's keep-alive. Nothing was generated. The first few retries are immediate.
    RetryNow,
    /// A refusal revealed a setting of the server that this request did not have. Nothing was generated. Retried at once;
    /// does not count as an attempt of the question. The bound is the number of settings: each is learned once.
    Learned,
    /// A transient server-side failure. Retried after a wait.
    Transient,
    /// The server asks for a slower pace. Does not count as an attempt of the question.
    RateLimited,
    /// The same question would fail again.
    Permanent,
    /// Every question of the run would fail: a wrong key, no credit, no such model.
    Fatal,
    /// The server is unreachable. Does not count as an attempt of the question.
    Outage,
}

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The class, which decides what happens next.
    pub class: FailureClass,
    /// The reason as a code, for counting.
    pub code: FailureCode,
    /// The server's or the connection's message, with secrets removed.
    pub message: String,
    /// The wait that the server asked for.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// Makes a failure. Long messages are shortened.
    pub fn new(class: FailureClass, code: FailureCode, message: impl Into<String>) -> Self {
        Self { class, code, message: shorten(&message.into()), retry_after: None }
    }

    /// True if a complete reply arrived but is unusable.
    pub fn is_unusable_reply(&self) -> bool {
        matches!(self.code, FailureCode::Garbage | FailureCode::Unfinished | FailureCode::NoChoice)
    }

    /// True if the server may have worked and billed although no complete answer arrived.
    pub fn may_be_paid(&self) -> bool {
        use FailureCode as Code;
        let broke_off = matches!(self.code, Code::Cut | Code::Closed | Code::Connection | Code::TooLong);
        let gave_up = matches!(self.code, Code::Timeout(_) | Code::Http(502 | 504 | 524));
        broke_off || gave_up || self.is_unusable_reply()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// Shortens a message to a readable length: a proxy's HTML page can be long.
fn shorten(message: &str) -> String {
    const CHARACTERS_MAX: usize = 300;
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(CHARACTERS_MAX) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
