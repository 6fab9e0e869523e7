//! Models and the transport to them.
//!
//! A [`Dialect`] is one wire format as pure functions: question → request, reply → answer or classified failure. One
//! transport ([`HttpModel`]) works with all of them; replicas of one model share its conversations ([`Router`],
//! [`SpeedMonitor`]). A failure's [`FailureClass`] alone decides how it is handled, in one place ([`retry`]). The
//! simulated model is chosen by the same [`ModelReference`] as any other; [`mock`] serves it over HTTP.

mod address;
mod breaker;
mod dialect;
mod failure;
mod host;
mod http;
mod list_price;
pub mod mock;
mod openai;
mod pace;
mod partial;
mod profile;
mod provider;
mod proxy;
mod rate;
mod reference;
mod refusal;
mod repetition;
mod request;
pub mod retry;
mod route;
mod scorer;
mod secret;
mod simulated;
mod speed_monitor;
pub mod sse;
mod url_key;
mod wait;

pub use breaker::Breaker;
pub use dialect::{Assembler, Capabilities, Dialect, EndpointPath, Output};
pub use failure::{Failure, FailureClass};
pub use host::Origin;
pub use http::{HttpModel, HttpSettings, HttpSetupError, Timeouts};
pub use list_price::{LIST_PRICES_AS_OF, ListPrice, list_price};
pub use openai::OpenAiDialect;
pub use pace::{Pace, PaceChange, PaceLimits};
pub use profile::{ModelProfile, PriceTable};
pub use provider::PROVIDER_KEYS;
pub use proxy::Proxies;
pub use rate::Rate;
pub use reference::{Endpoint, ModelReference, ReferenceError};
pub use refusal::{ErrorBody, RefusedRequest};
pub use request::{Header, HeaderText, Learned, LengthField, RequestFormat};
pub use route::{Fitness, Router, Routing};
pub use scorer::Scorer;
pub use secret::Secret;
pub use simulated::Simulated;
pub use speed_monitor::SpeedMonitor;
pub use url_key::without_secrets;
pub use wait::seconds_of;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error};

use crate::conversation::{Answer, ConversationKey, Question, Target};

/// Every dialect that the configuration can name; the first is the default.
pub const DIALECTS: &[&dyn Dialect] = &[&OpenAiDialect, &Scorer];

/// A dialect name is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no dialect `{0}`; the known ones are {known}", known = known_dialects())]
pub struct UnknownDialect(String);

/// Returns a dialect by its name.
pub fn dialect_named(name: &str) -> Result<&'static dyn Dialect, UnknownDialect> {
    let found = DIALECTS.iter().find(|dialect| dialect.name() == name);
    found.copied().ok_or_else(|| UnknownDialect(name.to_owned()))
}

/// Returns the capabilities of a target's model. The simulated model has no wire format and produces text.
pub fn capabilities_of(target: &Target) -> Capabilities {
    dialect_named(target.dialect()).map_or_else(|_| Capabilities::default(), Dialect::capabilities)
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
}

impl From<Result<Answer, Failure>> for CallResult {
    fn from(result: Result<Answer, Failure>) -> Self {
        Self { result, limit_reset: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_is_found_by_its_name_and_no_other() {
        let names: Vec<&str> = DIALECTS.iter().map(|dialect| dialect.name()).collect();
        assert_eq!(names, ["openai", "scorer"], "they are part of every fingerprint");
        for name in &names {
            assert_eq!(dialect_named(name).unwrap().name(), *name);
        }
        let error = dialect_named("opnai").unwrap_err().to_string();
        assert_eq!(error, format!("there is no dialect `opnai`; the known ones are {}", names.join(", ")));
    }
}
