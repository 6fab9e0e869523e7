//! Models and the transport to them.
//!
//! A [`Dialect`] is one wire format as pure functions: question → request, reply → answer or classified failure. One
//! transport ([`HttpModel`]) works with all of them; replicas of one model share its conversations ([`Router`],
//! [`SpeedMonitor`]). A failure's [`FailureClass`] alone decides how it is handled, in one place ([`retry`]). The
//! simulated model is chosen by the same [`ModelReference`] as any other; [`mock`] serves it over HTTP.

mod address;
mod anthropic;
mod breaker;
mod calls;
mod command;
mod detail;
mod dialect;
mod failure;
mod family;
mod fold;
mod header_value;
mod host;
mod http;
mod json;
mod key_command;
mod lane;
mod learned;
mod list_price;
pub mod mock;
mod openai;
mod pace;
mod partial;
mod profile;
mod provider;
mod proxy;
mod rate;
mod redaction;
mod reference;
mod refusal;
mod refused;
mod rejected;
mod repetition;
mod request;
pub mod retry;
mod route;
mod scorer;
mod secret;
mod simulated;
mod speed_monitor;
pub mod sse;
mod text;
mod url_key;
mod wait;

pub use anthropic::AnthropicDialect;
pub use breaker::{Breaker, OutageState};
pub use command::ToolCommand;
pub(crate) use detail::DETAIL_FIELDS;
pub use dialect::{Assembler, Capabilities, Dialect, EndpointPath, Output};
pub use failure::{Failure, FailureClass};
pub use family::ServerFamily;
pub use fold::{refuses_system_role, refuses_tools};
pub use header_value::HeaderSource;
pub use host::Origin;
pub(crate) use http::USER_AGENT;
pub use http::{HttpModel, HttpSettings, HttpSetupError, RequestPreview, Timeouts};
pub use key_command::{KeyCommand, WrittenCommand};
pub use lane::{FlexTier, RequestLane, flex_tier};
pub use learned::{Adjustment, Learned};
pub use list_price::{LIST_PRICES_AS_OF, ListPrice, list_price};
pub use openai::OpenAiDialect;
pub use pace::{Capacity, Pace, PaceChange, PaceLimits};
pub use profile::{ModelProfile, PriceTable, profile_table};
pub use provider::{PROVIDER_KEYS, PROVIDERS, Provider};
pub use proxy::Proxies;
pub use rate::Rate;
pub(crate) use redaction::{Masked, redact};
pub use reference::{Endpoint, ModelReference, ReferenceError};
pub use refusal::{ErrorBody, RefusedRequest};
pub use refused::{Limit, limit, unsupported_fields};
pub use rejected::RejectedReply;
pub use request::{Header, HeaderText, LengthField, RefusedCall, RequestFormat};
pub use route::{Fitness, Router, Routing};
pub use scorer::Scorer;
pub use secret::Secret;
pub use simulated::Simulated;
pub use speed_monitor::SpeedMonitor;
pub use url_key::{without_passwords, without_secrets};
pub use wait::seconds_of;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error};

use crate::conversation::{Answer, ConversationKey, Question, Target};

/// Every dialect that the configuration can name; the first is the default.
pub const DIALECTS: &[&dyn Dialect] = &[&OpenAiDialect, &AnthropicDialect, &Scorer];

/// A dialect name is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no dialect `{0}`; the known ones are {known}", known = known_dialects())]
pub struct UnknownDialect(String);

/// Returns a dialect by its name.
pub fn dialect_named(name: &str) -> Result<&'static dyn Dialect, UnknownDialect> {
    let found = DIALECTS.iter().find(|dialect| dialect.name() == name);
    found.copied().ok_or_else(|| UnknownDialect(name.to_owned()))
}

/// Returns the dialect of a server whose configuration names none: the one whose path ends the URL, else the one of the
/// URL's host, else the default. Of several URLs that are separated by commas the first decides.
pub fn dialect_at(urls: &str) -> &'static dyn Dialect {
    let first = urls.split_once(",http").map_or(urls, |(first, _)| first);
    let Ok(parsed) = reqwest::Url::parse(first) else { return Default::default() };
    let path = parsed.path().trim_end_matches('/');
    let has_path = |dialect: &&&dyn Dialect| match dialect.capabilities().path {
        EndpointPath::AsGiven => false,
        EndpointPath::Below(suffix) => path.ends_with(suffix),
        EndpointPath::BelowVersion(suffix) => path.ends_with(&format!("/v1{suffix}")),
    };
    let has_host = |dialect: &&&dyn Dialect| parsed.host_str().is_some_and(|host| dialect.hosts().contains(&host));
    let found = DIALECTS.iter().find(has_path).or_else(|| DIALECTS.iter().find(has_host));
    found.copied().unwrap_or_default()
}

/// Returns the capabilities of a target's model. A model of this process has no wire format; it produces text, and may give
/// tokens.
pub fn capabilities_of(target: &Target) -> Capabilities {
    let local = Capabilities { gives_tokens: true, ..Capabilities::default() };
    dialect_named(target.dialect()).map_or(local, Dialect::capabilities)
}

fn known_dialects() -> String {
    DIALECTS.iter().map(|dialect| dialect.name()).collect::<Vec<_>>().join(", ")
}

impl Default for &'static dyn Dialect {
    fn default() -> Self {
        DIALECTS[0]
    }
}

impl<'de> Deserialize<'de> for &'static dyn Dialect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        dialect_named(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// A model that answers questions.
pub trait Model: Send + Sync {
    /// Sends a question once.
    fn ask<'a>(&'a self, call: Call<'a>) -> PendingCall<'a>;

    /// Tells the model that its server answered in an earlier run: whatever fails now may pass.
    fn has_answered_before(&self) {}

    /// Returns the names of the models that the server offers; `None` if it does not say.
    fn offered_models(&self) -> PendingNames<'_> {
        Box::pin(async { None })
    }
}

/// The future of a list of models.
pub type PendingNames<'a> = Pin<Box<dyn Future<Output = Option<Vec<String>>> + Send + 'a>>;

/// One attempt of a question.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The question.
    pub question: &'a Question,
    /// The number of attempts, this one included; recorded in the answer.
    pub attempt: u32,
    /// The conversation of the question, as a hint for the server's cache; `None` for a probe.
    pub conversation: Option<ConversationKey>,
    /// True if the flex tier had no room for this question several times: the standard tier is asked for.
    pub avoids_flex: bool,
}

/// The future of a call.
pub type PendingCall<'a> = Pin<Box<dyn Future<Output = CallResult> + Send + 'a>>;

/// The result of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct CallResult {
    /// The answer or the failure.
    pub result: Result<Answer, Failure>,
    /// The time until the server's rate limit resets, if the server reports it as used up: the next call would be
    /// refused.
    pub limit_reset: Option<Duration>,
    /// The server's capacity, once it is known; told once.
    pub capacity: Option<Capacity>,
    /// The settings of the server that this call was the first to reveal.
    pub adjusted: Vec<Adjustment>,
}

impl From<Result<Answer, Failure>> for CallResult {
    fn from(result: Result<Answer, Failure>) -> Self {
        Self { result, limit_reset: None, capacity: None, adjusted: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_is_found_by_its_name_and_no_other() {
        let names: Vec<&str> = DIALECTS.iter().map(|dialect| dialect.name()).collect();
        assert_eq!(names, ["openai", "anthropic", "scorer"], "they are part of every fingerprint");
        for name in &names {
            assert_eq!(dialect_named(name).unwrap().name(), *name);
        }
        for (url, name) in [
            ("https://api.anthropic.com", "anthropic"),
            ("https://api.anthropic.com/v1", "anthropic"),
            ("https://api.anthropic.com/v1/chat/completions", "openai"),
            ("https://api.anthropic.com.example/v1", "openai"),
            ("http://localhost:8000/v1/messages", "anthropic"),
            ("http://localhost:8000", "openai"),
            ("https://api.anthropic.com,https://gateway.example", "anthropic"),
            ("not a URL", "openai"),
        ] {
            assert_eq!(dialect_at(url).name(), name, "{url}");
        }
        let error = dialect_named("opnai").unwrap_err().to_string();
        assert_eq!(error, format!("there is no dialect `opnai`; the known ones are {}", names.join(", ")));
    }
}
