use std::fmt;
use std::time::Duration;

use super::rejected::RejectedReply;
use crate::conversation::FailureCode;
use crate::conversation::beginning;

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
    /// The server refuses the request and does not say that the question is at fault: a wrong key or model name, a
    /// paused endpoint, an unknown wording. The worker finds out which it is. Does not count as an attempt.
    Refused,
    /// The same question would fail again.
    Permanent,
    /// Every question of the run would fail until somebody acts: no credit, an untrusted certificate.
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
    /// The reply, if one arrived and was rejected. Not stored with the failure.
    pub reply: Option<RejectedReply>,
}

impl Failure {
    /// Makes a failure. A message that no person would read to its end is cut; the transport shortens it to a line once the
    /// secrets are gone.
    pub fn new(class: FailureClass, code: FailureCode, message: impl Into<String>) -> Self {
        Self { class, code, message: in_one_line(&message.into()), retry_after: None, reply: None }
    }

    /// True if a complete reply arrived but is unusable.
    pub fn is_unusable_reply(&self) -> bool {
        use FailureCode as Code;
        matches!(self.code, Code::Garbage | Code::Html | Code::Unfinished | Code::NoChoice)
    }

    /// True if a reply arrived that a person may want to look at.
    pub fn rejects_reply(&self) -> bool {
        let is_odd = matches!(self.code, FailureCode::Cut | FailureCode::ErrorIn200 | FailureCode::TooLong);
        is_odd || self.is_unusable_reply()
    }

    /// True if the server has probably worked, and billed, for this question alone: a gateway gave up waiting for it, or
    /// its answer broke off. Such a question is sent a few times only, over all runs.
    pub fn is_probably_paid(&self) -> bool {
        use FailureCode as Code;
        let is_lost = matches!(self.code, Code::Cut | Code::ErrorIn200 | Code::Timeout(_) | Code::Http(504 | 524));
        self.class == FailureClass::Transient && is_lost
    }

    /// True if the question may be at fault. A wrong key or address, a redirect or a web page says nothing about it, however
    /// often it comes.
    pub fn may_blame_question(&self) -> bool {
        use FailureCode as Code;
        let is_elsewhere = matches!(
            self.code,
            Code::Auth | Code::Html | Code::Http(300..=399 | 404 | 405 | 407 | 421 | 424 | 426 | 498)
        );
        !is_elsewhere
    }

    /// Returns the code and the message with every number and id blanked: equal for failures that differ only in token
    /// counts, times or ids.
    pub fn kind(&self) -> String {
        format!("{}: {}", self.code, blank_ids(&self.message))
    }

    /// True if the request may have reached the server: no connection was made otherwise.
    pub fn may_have_arrived(&self) -> bool {
        !matches!(self.code, FailureCode::Connect | FailureCode::UnknownHost | FailureCode::Tls)
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

/// Returns a text with every word that has a digit replaced by `#`: numbers, hexadecimal ids, UUIDs.
fn blank_ids(text: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let mut blanked = String::with_capacity(text.len());
    for part in text.split_inclusive(|c| !is_word(c)) {
        let word = part.trim_end_matches(|c| !is_word(c));
        blanked.push_str(if word.contains(|c: char| c.is_ascii_digit()) { "#" } else { word });
        blanked.push_str(&part[word.len()..]);
    }
    blanked
}

/// Returns a message in one line: a proxy's HTML page has many, and may be long.
fn in_one_line(message: &str) -> String {
    const BYTES_MAX: usize = 64 << 10;
    let read = beginning(message, BYTES_MAX);
    let line = read.split_whitespace().collect::<Vec<_>>().join(" ");
    if read.len() < message.len() { line + "…" } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_that_differ_in_ids_only_are_of_one_kind() {
        let kind = |message: &str| Failure::new(FailureClass::Refused, FailureCode::Http(400), message).kind();
        let uuid = "trace 6f1c2d9e-0a1b-4c3d-8e5f-00aa11bb22cc: no backend, 3 tries";
        assert_eq!(kind(uuid), kind("trace 00000000-ffff-4fff-9fff-123456789abc: no backend, 12 tries"));
        assert_eq!(kind("req_9f: no"), "http_400: #: no");
        assert_ne!(kind("no backend"), kind("no frontend"));
    }
}
