use hyper::{HeaderMap, Response};
use serde_json::Value;

use super::reply::NamedEvent;
use super::request::Wanted;
use super::{Body, MockSettings, chat, messages, reply};
use crate::conversation::Answer;

/// The APIs that the mock server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    /// `OpenAI`'s chat completions.
    Chat,
    /// Anthropic's Messages.
    Messages,
}

impl Api {
    /// Returns the API whose requests are posted to this path.
    pub fn at(path: &str) -> Option<Self> {
        match path {
            "/v1/chat/completions" | "/chat/completions" => Some(Self::Chat),
            "/v1/messages" | "/messages" => Some(Self::Messages),
            _ => None,
        }
    }

    /// Parses a request as strictly as real servers do.
    pub fn parse(
        self,
        headers: &HeaderMap,
        body: &[u8],
        settings: &MockSettings,
    ) -> Result<Wanted, Box<Response<Body>>> {
        match self {
            Self::Chat => chat::parse_request(body, settings),
            Self::Messages => {
                messages::parse_request(headers, body, settings).map_err(|fault| Box::new(fault.response()))
            }
        }
    }

    /// Returns an answer in one piece.
    pub fn whole(self, answer: &Answer) -> Value {
        match self {
            Self::Chat => chat::whole(answer),
            Self::Messages => messages::whole(answer),
        }
    }

    /// Returns an answer as the events of a stream.
    pub fn events(self, answer: &Answer, include_usage: bool) -> Vec<NamedEvent> {
        match self {
            Self::Chat => chat::events(answer, include_usage),
            Self::Messages => messages::events(answer),
        }
    }

    /// Returns the same with a finish reason in every chunk, or after every piece.
    pub fn early_stops(self, answer: &Answer) -> Vec<NamedEvent> {
        match self {
            Self::Chat => chat::early_stops(answer),
            Self::Messages => messages::early_stops(answer),
        }
    }

    /// Returns the line that ends a stream, if the API has one.
    pub fn last_line(self) -> Option<&'static str> {
        match self {
            Self::Chat => Some("data: [DONE]\n\n"),
            Self::Messages => None,
        }
    }

    /// Returns an error. Anthropic's errors have a type that follows from the status.
    pub fn error(self, status: u16, kind: &str, code: &str, message: &str) -> Response<Body> {
        match self {
            Self::Chat => reply::error(status, kind, code, message),
            Self::Messages => messages::error(status, message),
        }
    }

    /// Returns the error of an account without credit.
    pub fn no_credit(self) -> Response<Body> {
        match self {
            Self::Chat => {
                self.error(429, "insufficient_quota", "insufficient_quota", "you exceeded your current quota")
            }
            Self::Messages => messages::error(400, "Your credit balance is too low to access the Anthropic API."),
        }
    }

    /// Returns an error to be sent with the status 200.
    pub fn error_value(self, message: &str, code: u16) -> Value {
        match self {
            Self::Chat => serde_json::json!({"error": {"message": message, "code": code}}),
            Self::Messages => messages::error_value(code, message),
        }
    }

    /// Returns a reply without content.
    pub fn without_content(self) -> Value {
        match self {
            Self::Chat => serde_json::json!({"object": "chat.completion", "choices": []}),
            Self::Messages => serde_json::json!({"type": "message", "role": "assistant", "content": null}),
        }
    }
}
