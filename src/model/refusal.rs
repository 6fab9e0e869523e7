//! Classifies refused requests.
//!
//! The phrases and error bodies are those of all known servers: gateways pass on other servers' errors.
//!
//! | server's reaction | class |
//! |---|---|
//! | closed a pooled connection before the first byte | retry now |
//! | 408, 409, 425, 5xx, 529; a truncated or unreadable reply; an error inside a 200 | transient |
//! | 429, 503 with a wait time | rate limited |
//! | 400 and other 4xx; a conversation over the context window; a filtered prompt | permanent for this question |
//! | 401, 402, 403; an exhausted quota or credit; 3xx, 404, 405, 407 (wrong URL or model); an untrusted certificate | fatal for the run |
//! | connection refused, DNS, connect timeout | outage |
//!
//! `x-should-retry` overrides the status, as in the official clients.

use std::time::Duration;

use serde_json::Value;

use super::failure::{Failure, FailureClass};
use super::wait;
use crate::conversation::FailureCode;

/// The parts of a refused request's reply that decide its class.
#[derive(Clone, Copy, Debug, Default)]
pub struct RefusedRequest<'a> {
    /// The HTTP status; 200 for an error inside a successful reply.
    pub status: u16,
    /// The reply's body.
    pub body: &'a [u8],
    /// `x-should-retry`, if the server sent it.
    pub should_retry: Option<bool>,
    /// The wait that the headers ask for.
    pub retry_after: Option<Duration>,
    /// The time until an exhausted rate limit resets, from the headers that count it down.
    pub limit_reset: Option<Duration>,
}

/// The message and codes of an error body, in whatever format it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorBody {
    /// The human-readable message.
    pub message: String,
    /// The machine-readable fields `code`, `type`, `status`, `param`, joined by spaces.
    pub codes: String,
}

impl ErrorBody {
    /// Reads any of the formats that servers use: `{"error": {..}}`, `{"error": ".."}`, flat objects, `{"detail": ..}`,
    /// a list of errors, plain text, HTML.
    pub fn parse(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        match serde_json::from_str::<Value>(text.trim()) {
            Ok(value) => Self::from_value(&value),
            Err(_) => Self { message: text.trim().to_owned(), codes: String::new() },
        }
    }

    /// Like [`ErrorBody::parse`], for a body that is already JSON.
    pub fn from_value(value: &Value) -> Self {
        let inner = match value {
            Value::Array(items) => return items.first().map(Self::from_value).unwrap_or_default(),
            Value::Object(object) => object.get("error").filter(|error| !error.is_null()).unwrap_or(value),
            other => other,
        };
        let message = ["message", "detail", "error", "msg"].iter().find_map(|name| inner.get(name));
        let message = match message.unwrap_or(inner) {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let words = ["code", "type", "status", "param"].iter().filter_map(|name| match inner.get(name) {
            Some(Value::String(word)) => Some(word.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        });
        Self { message, codes: words.collect::<Vec<_>>().join(" ") }
    }

    fn says(&self, phrases: &[&str]) -> bool {
        let haystack = format!("{} {}", self.codes, self.message).to_lowercase();
        phrases.iter().any(|phrase| haystack.contains(phrase))
    }

    fn is_context_overflow(&self) -> bool {
        self.says(&[
            "context_length_exceeded",
            "exceed_context_size",
            "maximum context length",
            "longer than the model's context",
            "too large for model",
            "context window",
            "prompt is too long",
        ])
    }

    fn is_out_of_money(&self) -> bool {
        self.says(&[
            "insufficient_quota",
            "exceeded your current quota",
            "billing",
            "credit balance",
            "insufficient credits",
            "spend limit",
        ])
    }

    fn is_filtered(&self) -> bool {
        self.says(&["content_filter", "content_policy", "moderation", "responsibleaipolicy", "flagged"])
    }
}

impl RefusedRequest<'_> {
    /// Classifies a refusal whose body holds `error`. The headers' wait takes precedence over one in the message, which
    /// takes precedence over the reset time of a rate limit.
    pub fn into_failure(mut self, error: ErrorBody) -> Failure {
        let named = self.retry_after.or_else(|| wait::from_message(&error.message));
        self.retry_after = named.or(self.limit_reset);
        let (class, code) = self.class_and_code(&error);
        let class = match (self.should_retry, class) {
            (Some(true), FailureClass::Permanent | FailureClass::Fatal) => FailureClass::Transient,
            (Some(false), FailureClass::Transient) => FailureClass::Permanent,
            (_, class) => class,
        };
        let message = if error.message.is_empty() { format!("HTTP {}", self.status) } else { error.message };
        Failure { retry_after: self.retry_after, ..Failure::new(class, code, message) }
    }

    fn class_and_code(&self, error: &ErrorBody) -> (FailureClass, FailureCode) {
        let by_status = FailureCode::Http(self.status);
        match self.status {
            200..=299 if error.is_context_overflow() => (FailureClass::Permanent, FailureCode::Context),
            200..=299 => (FailureClass::Transient, FailureCode::ErrorIn200),
            429 | 402 | 403 if error.is_out_of_money() => (FailureClass::Fatal, FailureCode::Quota),
            429 => (FailureClass::RateLimited, FailureCode::RateLimit),
            503 | 529 if self.retry_after.is_some() => (FailureClass::RateLimited, by_status),
            408 | 409 | 425 | 499 | 500..=599 => (FailureClass::Transient, by_status),
            400 | 403 | 413 | 422 if error.is_filtered() => (FailureClass::Permanent, FailureCode::ContentFilter),
            400..=499 if error.is_context_overflow() => (FailureClass::Permanent, FailureCode::Context),
            401 => (FailureClass::Fatal, FailureCode::Auth),
            403 => (FailureClass::Fatal, FailureCode::Forbidden),
            402 => (FailureClass::Fatal, FailureCode::Quota),
            300..=399 | 404 | 405 | 407 => (FailureClass::Fatal, by_status),
            _ => (FailureClass::Permanent, by_status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(status: u16, body: &str) -> (FailureClass, FailureCode) {
        let failure =
            RefusedRequest { status, ..RefusedRequest::default() }.into_failure(ErrorBody::parse(body.as_bytes()));
        (failure.class, failure.code)
    }

    #[test]
    fn bodies_of_every_shape_are_read() {
        for (body, message) in [
            (r#"{"error":{"message":"m","type":"t","code":"c"}}"#, "m"),
            (r#"{"error":{"message":"m","code":400}}"#, "m"),
            (r#"{"error":"m"}"#, "m"),
            (r#"{"object":"error","message":"m","code":400}"#, "m"),
            (r#"{"type":"error","error":{"type":"t","message":"m"}}"#, "m"),
            (r#"{"detail":"m"}"#, "m"),
            (r#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}]"#, "m"),
            ("m", "m"),
        ] {
            assert_eq!(ErrorBody::parse(body.as_bytes()).message, message, "{body}");
        }
    }

    #[test]
    fn the_class_follows_the_status_and_the_words() {
        use FailureClass::{Fatal, Permanent, RateLimited, Transient};
        for (status, body, expected) in [
            (400, "", Permanent),
            (400, r#"{"error":{"code":"context_length_exceeded"}}"#, Permanent),
            (401, "", Fatal),
            (402, "", Fatal),
            (403, "", Fatal),
            (403, "flagged by moderation", Permanent),
            (404, "", Fatal),
            (408, "", Transient),
            (422, "", Permanent),
            (429, "", RateLimited),
            (429, r#"{"error":{"code":"insufficient_quota"}}"#, Fatal),
            (429, r#"{"error":{"message":"You exceeded your current quota","code":"429"}}"#, Fatal),
            (500, "", Transient),
            (503, "The request queue is full.", Transient),
            (529, "", Transient),
        ] {
            assert_eq!(class(status, body).0, expected, "{status} {body}");
        }
    }

    #[test]
    fn what_the_server_says_about_trying_again_overrides_the_status() {
        let failure = |status, should_retry| {
            let refusal = RefusedRequest { status, should_retry: Some(should_retry), ..RefusedRequest::default() };
            refusal.into_failure(ErrorBody::default()).class
        };
        assert_eq!(failure(400, true), FailureClass::Transient);
        assert_eq!(failure(500, false), FailureClass::Permanent);
    }
}
