use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a question got no answer, in a word for counting. Outputs, reports and stores hold its text, so no text ever
/// changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FailureCode {
    /// The server refused with this status: `http_500`.
    Http(u16),
    /// A limit on waiting passed.
    Timeout(TimeoutKind),
    /// The conversation is longer than the model can take.
    Context,
    /// The server's filter refused the prompt.
    ContentFilter,
    /// The reply is larger than any answer.
    TooLong,
    /// The key is wrong.
    Auth,
    /// A 403. Before any answer it means a wrong key; after one a firewall may dislike this one question.
    Forbidden,
    /// The account has no credit left.
    Quota,
    /// The server asks for a slower pace.
    RateLimit,
    /// The flex tier has no room.
    FlexFull,
    /// The server offers the model at another endpoint.
    Endpoint,
    /// The server gives no token ids.
    NoTokens,
    /// The server's certificate is not trusted.
    Tls,
    /// No connection could be made.
    Connect,
    /// The server's host name does not exist.
    UnknownHost,
    /// The connection failed while the request was sent.
    Connection,
    /// The server closed the connection before it answered.
    Closed,
    /// The reply broke off.
    Cut,
    /// The reply cannot be read.
    Garbage,
    /// The reply is a web page.
    Html,
    /// The server ended the answer with an error of its own.
    Unfinished,
    /// The reply holds no choice.
    NoChoice,
    /// An error came with a good status.
    ErrorIn200,
    /// A server that was gone did not answer a probe.
    Probe,
    /// A function of the program that started this one has failed.
    Callable,
    /// Any other text: a dialect's own, or one of a store that another version wrote. Made by conversion from text, so
    /// that it never holds the text of another variant.
    Other(String),
}

/// A limit on waiting for a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeoutKind {
    /// From the request to the first piece of the answer.
    FirstByte,
    /// From one piece to the next.
    Idle,
    /// For the whole answer.
    Total,
}

const HTTP: &str = "http_";

/// Every code without a number or a text of its own.
const PLAIN: [FailureCode; 26] = [
    FailureCode::Timeout(TimeoutKind::FirstByte),
    FailureCode::Timeout(TimeoutKind::Idle),
    FailureCode::Timeout(TimeoutKind::Total),
    FailureCode::Context,
    FailureCode::ContentFilter,
    FailureCode::TooLong,
    FailureCode::Auth,
    FailureCode::Forbidden,
    FailureCode::Quota,
    FailureCode::RateLimit,
    FailureCode::FlexFull,
    FailureCode::Endpoint,
    FailureCode::NoTokens,
    FailureCode::Tls,
    FailureCode::Connect,
    FailureCode::UnknownHost,
    FailureCode::Connection,
    FailureCode::Closed,
    FailureCode::Cut,
    FailureCode::Garbage,
    FailureCode::Html,
    FailureCode::Unfinished,
    FailureCode::NoChoice,
    FailureCode::ErrorIn200,
    FailureCode::Probe,
    FailureCode::Callable,
];

impl FailureCode {
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(match self {
            Self::Http(status) => return format!("{HTTP}{status}").into(),
            Self::Timeout(TimeoutKind::FirstByte) => "timeout_first_byte",
            Self::Timeout(TimeoutKind::Idle) => "timeout_idle",
            Self::Timeout(TimeoutKind::Total) => "timeout_total",
            Self::Context => "context",
            Self::ContentFilter => "content_filter",
            Self::TooLong => "too_long",
            Self::Auth => "auth",
            Self::Forbidden => "forbidden",
            Self::Quota => "quota",
            Self::RateLimit => "rate_limit",
            Self::FlexFull => "flex_full",
            Self::Endpoint => "endpoint",
            Self::NoTokens => "no_tokens",
            Self::Tls => "tls",
            Self::Connect => "connect",
            Self::UnknownHost => "unknown_host",
            Self::Connection => "connection",
            Self::Closed => "closed",
            Self::Cut => "cut",
            Self::Garbage => "garbage",
            Self::Html => "html",
            Self::Unfinished => "unfinished",
            Self::NoChoice => "no_choice",
            Self::ErrorIn200 => "error_in_200",
            Self::Probe => "probe",
            Self::Callable => "callable_error",
            Self::Other(text) => text,
        })
    }
}

impl From<&str> for FailureCode {
    fn from(text: &str) -> Self {
        let status = text.strip_prefix(HTTP).and_then(|status| status.parse().ok()).map(Self::Http);
        // `http_0500` and `http_+500` are not written by this version.
        let status = status.filter(|code| code.text() == text);
        let known = status.or_else(|| PLAIN.into_iter().find(|code| code.text() == text));
        known.unwrap_or_else(|| Self::Other(text.to_owned()))
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// By their texts, as reports list them.
impl Ord for FailureCode {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text().cmp(&other.text())
    }
}

impl PartialOrd for FailureCode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for FailureCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for FailureCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(&*Cow::<str>::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_the_text_that_stores_and_outputs_hold() {
        let texts = "timeout_first_byte timeout_idle timeout_total context content_filter too_long auth forbidden quota \
                     rate_limit flex_full endpoint no_tokens tls connect unknown_host connection closed cut garbage html unfinished no_choice \
                     error_in_200 probe callable_error";
        let expected: Vec<&str> = texts.split(' ').collect();
        assert_eq!(PLAIN.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
        assert_eq!(FailureCode::Http(404).to_string(), "http_404");
        for code in PLAIN.into_iter().chain([FailureCode::Http(0), FailureCode::Http(u16::MAX)]) {
            assert_eq!(FailureCode::from(&*code.to_string()), code);
            let json = serde_json::to_string(&code).unwrap();
            assert_eq!(json, format!("\"{code}\""));
            assert_eq!(serde_json::from_str::<FailureCode>(&json).unwrap(), code);
        }
    }

    #[test]
    fn any_other_text_is_kept() {
        for text in ["", "http_", "http_0500", "http_+5", "http_65536", "timeout", "Context", "a: b"] {
            let code = FailureCode::from(text);
            assert_eq!((&code, code.to_string().as_str()), (&FailureCode::Other(text.to_owned()), text));
        }
    }

    #[test]
    fn codes_are_ordered_by_their_texts() {
        let mut codes = [FailureCode::Timeout(TimeoutKind::Idle), FailureCode::Http(500), FailureCode::Auth];
        codes.sort();
        assert!(codes.windows(2).all(|pair| pair[0].to_string() < pair[1].to_string() && pair[0] < pair[1]));
    }
}
