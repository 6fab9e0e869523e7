//! Models: whoever answers questions.
//!
//! A provider is two pure functions, question → request and response → answer or classified failure
//! (`openai/`). One transport ([`HttpModel`]) sends for all of them; several servers of one model share its
//! conversations ([`Router`], [`Tempo`]). How a failure is met is decided by its
//! [`Class`] and nothing else, in one place ([`retry`]). The simulated model is a model like any other, chosen by
//! the same [`ModelReference`]; [`mock`] serves it over HTTP.

mod breaker;
mod failure;
mod http;
pub mod mock;
pub mod openai;
mod pace;
mod profile;
mod rate;
mod reference;
pub mod retry;
mod route;
pub mod scorer;
mod secret;
mod simulated;
pub mod sse;
mod tempo;
mod wait;

pub use breaker::Breaker;
pub use failure::{Class, FORBIDDEN, Failure};
pub use http::{HttpModel, HttpSettings, HttpSetupError, Timeouts};
pub use openai::LengthField;
pub use pace::{Pace, PaceChange, PaceLimits};
pub use profile::{PriceTable, Profile};
pub use rate::Rate;
pub use reference::{Endpoint, ModelReference, ReferenceError};
pub use route::{Fitness, Router, Routing};
pub use secret::Secret;
pub use simulated::Simulated;
pub use tempo::Tempo;
pub use wait::seconds_of;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::conversation::{Answer, ConversationKey, Question};

/// Someone who answers questions.
pub trait Model: Send + Sync {
    /// Sends a question once.
    fn ask<'a>(&'a self, call: Call<'a>) -> Asking<'a>;
}

/// A question that is sent once.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The question.
    pub question: &'a Question,
    /// How often it was sent, this time included; recorded in the answer.
    pub attempt: u32,
    /// The conversation that it belongs to, as a hint for the server's cache; `None` for a probe.
    pub conversation: Option<ConversationKey>,
}

/// A question under way.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Reply> + Send + 'a>>;

/// What came of asking.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The answer, or why there is none.
    pub result: Result<Answer, Failure>,
    /// How long the server's limits are used up, where it says so; the next call would be refused.
    pub rest: Option<Duration>,
}

impl From<Result<Answer, Failure>> for Reply {
    fn from(result: Result<Answer, Failure>) -> Self {
        Self { result, rest: None }
    }
}
