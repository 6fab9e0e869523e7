use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::model::dialect::Dialect;
use crate::model::family::ServerFamily;
use crate::model::key_command::KeyCommand;
use crate::model::lane::RequestLane;
use crate::model::request::LengthField;
use crate::model::secret::Secret;

/// The settings of one server's client.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct HttpSettings {
    /// The wire format.
    pub dialect: &'static dyn Dialect,
    /// The request URL.
    pub url: String,
    /// The API key, if the server needs one.
    pub key: Option<Secret>,
    /// A command that prints the key, in place of one that is known.
    pub key_command: Option<KeyCommand>,
    /// The header in which the bare key is sent, if it is not the dialect's.
    pub auth_header: Option<String>,
    /// Further headers. They take precedence over the dialect's.
    pub headers: Vec<(String, Secret)>,
    /// How the server is told to reason. Default: by its host.
    pub family: Option<ServerFamily>,
    /// Certificate authorities that are trusted beside the system's, as PEM.
    pub authorities: Option<Arc<[u8]>>,
    /// The proxy that requests go through, as [`Proxies::of`](crate::model::Proxies::of) shows it. The client finds its
    /// proxy itself; this names it in errors.
    pub proxy: Option<String>,
    /// True once a server of the model has replied. Clones share it: they are replicas of one model.
    pub has_replied: Arc<AtomicBool>,
    /// Requests answers that are not streamed.
    pub whole: bool,
    /// The field that limits the answer's length, if the dialect has two of them.
    pub length_field: LengthField,
    /// At which tier the model is asked.
    pub lane: RequestLane,
    /// The timeouts.
    pub timeouts: Timeouts,
    /// The context window in tokens, prompt and answer, if it is known.
    pub context_window: Option<u64>,
    /// The version of the API; `None` is the dialect's default.
    pub api_version: Option<String>,
    /// Marks where the server is to cache the prompt. Has no effect if the dialect has no such marks.
    pub cache_control: bool,
    /// Asks for JSON of a schema where a question has one, until the server refuses. Has no effect if the dialect cannot.
    pub structured: bool,
    /// Sends the conversation's key as `prompt_cache_key`, by which `OpenAI` and Mistral route to a warm cache. Has no
    /// effect if the dialect has no such field.
    pub prompt_cache_key: bool,
    /// Sends the conversation's key in this header, by which routers and gateways keep it on one server.
    pub session_header: Option<String>,
}

/// Timeouts of a call.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For connecting.
    pub connect: Duration,
    /// From the request to the first chunk of the answer. A reasoning model may be silent that long.
    pub first_byte: Duration,
    /// The same at the flex tier, where a request may wait for its turn.
    pub flex: Duration,
    /// From one chunk of the answer to the next. Comments do not count as chunks.
    pub idle: Duration,
    /// For the whole call.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(15 * 60),
            flex: Duration::from_secs(30 * 60),
            idle: Duration::from_secs(5 * 60),
            total: Duration::from_secs(2 * 3600),
        }
    }
}
