use std::time::Duration;

use crate::model::dialect::Dialect;
use crate::model::request::LengthField;
use crate::model::secret::Secret;

/// How to speak with a server.
#[derive(Clone, Debug, Default)]
pub struct HttpSettings {
    /// The wire format.
    pub dialect: &'static dyn Dialect,
    /// Where the model is.
    pub url: String,
    /// The key, if the server wants one.
    pub key: Option<Secret>,
    /// Asks for the answer in one piece instead of a stream.
    pub whole: bool,
    /// Which field limits the answer's length, where the dialect has two of them.
    pub length_field: LengthField,
    /// Limits on waiting.
    pub timeouts: Timeouts,
    /// Tokens that the model can take, prompt and answer, where that is known.
    pub context_window: Option<u64>,
    /// Sends the conversation's name as `prompt_cache_key`, by which `OpenAI` and Mistral route to a warm cache.
    /// Without effect where the dialect has no such field.
    pub prompt_cache_key: bool,
    /// Sends the conversation's name in this header, by which routers and gateways keep it on one server.
    pub session_header: Option<String>,
}

/// Limits on waiting for a server.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// From the request to the first piece of the answer. A reasoning model may think that long in silence.
    pub first_byte: Duration,
    /// From one piece of the answer to the next. Comments do not count as pieces.
    pub idle: Duration,
    /// For everything.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(15 * 60),
            idle: Duration::from_secs(5 * 60),
            total: Duration::from_secs(2 * 3600),
        }
    }
}
