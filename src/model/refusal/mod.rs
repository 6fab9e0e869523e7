//! Classifies refused requests.
//!
//! Machine-readable codes decide first, then the wording, then the status ([`cause`] has the table).
//!
//! | server's reaction | class |
//! |---|---|
//! | closed a connection before the first byte | retry now |
//! | 408, 409, 425, 499, 5xx; a truncated or unreadable reply; an error inside a 200 | transient |
//! | 429, or a rate limit or overload in words; 503 and 529 with a wait time | rate limited |
//! | a conversation over the context window, a filtered prompt, 413; a served function that failed | permanent for this question |
//! | 429, 498, 503 or 529 without capacity, where the flex tier was asked for | rate limited, as `flex_full` |
//! | 402, or an account without credit, at any status | fatal for the run |
//! | every other 3xx and 4xx | refused: the worker finds out whether the question or the server is at fault |
//! | connection refused, DNS, connect timeout | outage |
//!
//! `x-should-retry: false` makes a transient failure a refusal.

mod body;
mod cause;
mod echo;

pub use body::ErrorBody;
pub use echo::without_echo;

use std::time::Duration;

use cause::Cause;

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
    /// True if the flex tier was asked for.
    pub is_flex: bool,
}

impl RefusedRequest<'_> {
    /// Classifies a refusal whose body holds `error`. The headers' wait takes precedence over one in the message, which
    /// takes precedence over the reset time of a rate limit.
    pub fn into_failure(mut self, error: ErrorBody) -> Failure {
        let named = self.retry_after.or(error.retry_after).or_else(|| wait::from_message(&error.message));
        self.retry_after = named.or(self.limit_reset);
        let (class, code) = self.class_and_code(&error);
        let class = match (self.should_retry, class) {
            // A proxy may send this with everything: what is known about the question or the account is stronger.
            (Some(false), FailureClass::Transient) => FailureClass::Refused,
            (_, class) => class,
        };
        let message = if error.message.is_empty() { format!("HTTP {}", self.status) } else { error.message };
        Failure { retry_after: self.retry_after, ..Failure::new(class, code, message) }
    }

    fn class_and_code(&self, error: &ErrorBody) -> (FailureClass, FailureCode) {
        let is_inside_200 = (200..300).contains(&self.status);
        let status = if is_inside_200 { error.status().unwrap_or(self.status) } else { self.status };
        let by_status = if is_inside_200 { FailureCode::ErrorIn200 } else { FailureCode::Http(self.status) };
        match Cause::of(error) {
            Some(Cause::NoCredit) => return (FailureClass::Fatal, FailureCode::Quota),
            Some(Cause::RateLimit) if cause::exceeds_whole_limit(&error.message) => {
                return (FailureClass::Permanent, FailureCode::Context);
            }
            // Some servers refuse a bad request with the word for a rate limit in its type.
            Some(Cause::RateLimit) if is_inside_200 || matches!(status, 429 | 403 | 500..=599) => {
                return (FailureClass::RateLimited, FailureCode::RateLimit);
            }
            Some(Cause::Context) if !matches!(status, 401 | 404 | 429 | 500..=599) => {
                return (FailureClass::Permanent, FailureCode::Context);
            }
            // A server that runs out of memory speaks of its context too: what else it answers decides.
            Some(Cause::Context) if matches!(status, 500..=599) => {
                return (FailureClass::Refused, FailureCode::Context);
            }
            Some(Cause::Filtered) if !matches!(status, 401 | 404 | 429 | 500..=599) => {
                return (FailureClass::Permanent, FailureCode::ContentFilter);
            }
            Some(Cause::Callable) => return (FailureClass::Permanent, FailureCode::Callable),
            Some(Cause::Overloaded) if self.is_flex && matches!(status, 200..=299 | 429 | 498 | 503 | 529) => {
                return (FailureClass::RateLimited, FailureCode::FlexFull);
            }
            Some(Cause::Overloaded) if is_inside_200 => return (FailureClass::RateLimited, FailureCode::ErrorIn200),
            _ => {}
        }
        match status {
            402 => (FailureClass::Fatal, FailureCode::Quota),
            // Groq's own status for a full flex tier. Elsewhere it is about a token.
            498 if self.is_flex => (FailureClass::RateLimited, FailureCode::FlexFull),
            429 => (FailureClass::RateLimited, FailureCode::RateLimit),
            503 | 529 if self.is_flex && self.retry_after.is_some() => {
                (FailureClass::RateLimited, FailureCode::FlexFull)
            }
            503 | 529 if is_inside_200 || self.retry_after.is_some() => (FailureClass::RateLimited, by_status),
            // The request is larger than the server accepts, so the conversation is.
            413 => (FailureClass::Permanent, FailureCode::Context),
            200..=299 | 408 | 409 | 425 | 499 | 500..=599 => (FailureClass::Transient, by_status),
            401 => (FailureClass::Refused, FailureCode::Auth),
            403 => (FailureClass::Refused, FailureCode::Forbidden),
            _ => (FailureClass::Refused, by_status),
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
    fn the_class_follows_the_code_the_words_and_the_status() {
        use FailureClass::{Fatal, Permanent, RateLimited, Refused, Transient};
        for (status, body, expected) in [
            (400, "", Refused),
            (400, r#"{"error":{"code":"context_length_exceeded"}}"#, Permanent),
            (400, "Your credit balance is too low", Fatal),
            (401, "", Refused),
            (402, "", Fatal),
            (403, "", Refused),
            (403, "flagged by moderation", Permanent),
            (404, "", Refused),
            (408, "", Transient),
            (412, "Account x is suspended", Refused),
            (412, "Account x is suspended: past invoices are unpaid", Fatal),
            (413, "", Permanent),
            (422, "", Refused),
            (424, "", Refused),
            (429, "", RateLimited),
            (429, r#"{"error":{"code":"insufficient_quota"}}"#, Fatal),
            (429, r#"{"error":{"message":"You exceeded your current quota","code":"429"}}"#, Fatal),
            (200, r#"{"error":{"message":"Rate limit exceeded: free-models-per-min","code":429}}"#, RateLimited),
            (200, r#"{"error":{"message":"Add credits","code":402}}"#, Fatal),
            (
                429,
                r#"{"error":{"message":"Request too large (TPM): Limit 30000, Requested 40000.","code":"rate_limit_exceeded"}}"#,
                Permanent,
            ),
            (200, r#"{"error":{"message":"Provider disconnected","code":502}}"#, Transient),
            (200, r#"{"error":{"message":"maximum context length is 10","code":400}}"#, Permanent),
            (500, "", Transient),
            (500, "input length exceeds the context length", Refused),
            (500, r#"{"error":{"code":"callable_error","message":"ValueError: rate limit"}}"#, Permanent),
            (503, "The request queue is full.", Transient),
            (529, "", Transient),
        ] {
            assert_eq!(class(status, body).0, expected, "{status} {body}");
        }
    }

    #[test]
    fn a_flex_tier_without_room_is_no_rate_limit() {
        let class = |status, is_flex, body: &str| {
            let refusal = RefusedRequest { status, is_flex, ..RefusedRequest::default() };
            let failure = refusal.into_failure(ErrorBody::parse(body.as_bytes()));
            (failure.class, failure.code)
        };
        let full = (FailureClass::RateLimited, FailureCode::FlexFull);
        for (status, body) in [
            (429, r#"{"error":{"message":"Try later","type":"resource_unavailable","code":"resource_unavailable"}}"#),
            (429, r#"{"error":{"message":"429 Resource Unavailable","type":"server_error"}}"#),
            (429, "the flex tier is at capacity"),
            (498, r#"{"error":{"message":"over capacity","type":"capacity_exceeded"}}"#),
            (498, ""),
            (503, r#"{"error":{"code":503,"message":"The model is overloaded","status":"UNAVAILABLE"}}"#),
        ] {
            assert_eq!(class(status, true, body), full, "{status} {body}");
            assert_ne!(class(status, false, body).1, FailureCode::FlexFull, "{status} {body}");
        }
        for (status, body) in [
            (429, ""),
            (
                429,
                r#"{"error":{"message":"Rate limit reached for requests","type":"requests","code":"rate_limit_exceeded"}}"#,
            ),
            (429, r#"{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}"#),
            (500, ""),
        ] {
            assert_ne!(class(status, true, body).1, FailureCode::FlexFull, "{status} {body}");
        }
    }

    #[test]
    fn what_the_server_says_about_trying_again_does_not_override_what_it_says_about_the_question() {
        let class = |status, should_retry, body: &str| {
            let refusal = RefusedRequest { status, should_retry: Some(should_retry), ..RefusedRequest::default() };
            refusal.into_failure(ErrorBody::parse(body.as_bytes())).class
        };
        assert_eq!(class(400, true, r#"{"error":{"code":"context_length_exceeded"}}"#), FailureClass::Permanent);
        assert_eq!(class(429, true, r#"{"error":{"code":"insufficient_quota"}}"#), FailureClass::Fatal);
        assert_eq!(class(500, false, ""), FailureClass::Refused);
    }
}
