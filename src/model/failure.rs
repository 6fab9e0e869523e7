use std::fmt;
use std::time::Duration;

use crate::conversation::FailureCode;

/// What kind of failure it was, and so what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// The connection raced with the server's keep-alive; nothing was done, ask again at once.
    RetryNow,
    /// Something passing on the server's side.
    Transient,
    /// The server asks for a slower pace. Not the question's fault, and not counted against it.
    RateLimited,
    /// The same question can only fail again.
    Permanent,
    /// Every question will fail: a wrong key, no credit, no such model.
    Fatal,
    /// Nobody is there. Not the question's fault, and not counted against it.
    Outage,
}

/// A question that got no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What happens next.
    pub class: FailureClass,
    /// Why, in a word for counting.
    pub code: FailureCode,
    /// What the server or the connection said, secrets removed.
    pub message: String,
    /// How long the server asked to wait.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// Makes a failure.
    pub fn new(class: FailureClass, code: FailureCode, message: impl Into<String>) -> Self {
        Self { class, code, message: shorten(&message.into()), retry_after: None }
    }

    /// True where a reply came whole and said nothing that can be used.
    pub fn is_unusable_reply(&self) -> bool {
        matches!(self.code, FailureCode::Garbage | FailureCode::Unfinished | FailureCode::NoChoice)
    }

    /// True where the server may have worked and billed, although no whole answer came.
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

/// Cuts a message to what a person reads; a proxy's HTML page can be long.
fn shorten(message: &str) -> String {
    const CHARACTERS_MAX: usize = 300;
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(CHARACTERS_MAX) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
