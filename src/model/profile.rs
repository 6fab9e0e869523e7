use std::path::PathBuf;

use serde::Deserialize;

use super::{Dialect, LengthField, Routing};
use crate::conversation::{Price, Sampling};

/// A `[models.NAME]` table of the configuration. It also applies to `NAME@URL` with the same name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ModelProfile {
    /// The server's URL; replicas are separated by commas.
    pub url: Option<String>,
    /// The wire format, by name.
    pub dialect: Option<&'static dyn Dialect>,
    /// The model's name on the server, if it differs from the profile's.
    pub name: Option<String>,
    /// The environment variable that holds the key; empty if no key is sent.
    pub key_env: Option<String>,
    /// Whether a key may be sent unencrypted to a server outside of this network.
    pub allow_http_key: Option<bool>,
    /// A file of certificate authorities that are trusted beside the system's, as PEM.
    pub ca_file: Option<PathBuf>,
    /// Whether answers are streamed; takes precedence over `--stream`.
    pub stream: Option<bool>,
    /// `max_tokens` or `max_completion_tokens`.
    pub max_tokens_field: Option<LengthField>,
    /// The context window in tokens, prompt and answer.
    pub context_window: Option<u64>,
    /// Whether a conversation stays with its replica (`affine`) or calls rotate over the replicas (`round-robin`).
    pub routing: Option<Routing>,
    /// Whether the conversation's key is sent as `prompt_cache_key`.
    pub prompt_cache_key: Option<bool>,
    /// The header in which the conversation's key is sent.
    pub session_header: Option<String>,
    /// Seconds to connect.
    pub connect_timeout_s: Option<f64>,
    /// Seconds from the request to the first chunk of the answer.
    pub first_byte_timeout_s: Option<f64>,
    /// Seconds from one chunk to the next.
    pub idle_timeout_s: Option<f64>,
    /// Seconds for the whole call.
    pub total_timeout_s: Option<f64>,
    /// Dollars per million tokens.
    pub price: Option<PriceTable>,
    /// The system message that replaces the rows' own; `@FILE` reads it from a file. `--system` takes precedence.
    pub system: Option<String>,
    /// Takes precedence over `--temperature`.
    pub temperature: Option<f64>,
    /// Takes precedence over `--top-p`.
    pub top_p: Option<f64>,
    /// Takes precedence over `--max-tokens`.
    pub max_tokens: Option<u32>,
    /// Takes precedence over `--seed`.
    pub seed: Option<i64>,
}

impl ModelProfile {
    /// Returns the sampling parameters of the profile, with `base` for those that it does not set.
    pub fn sampling(&self, base: Sampling) -> Sampling {
        Sampling {
            temperature: self.temperature.or(base.temperature),
            top_p: self.top_p.or(base.top_p),
            max_tokens: self.max_tokens.or(base.max_tokens),
            seed: self.seed.or(base.seed),
        }
    }
}

/// A price in the configuration, in dollars per million tokens.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PriceTable {
    input: f64,
    cached_input: Option<f64>,
    output: f64,
    reasoning: Option<f64>,
}

impl From<PriceTable> for Price {
    fn from(table: PriceTable) -> Self {
        let PriceTable { input, cached_input, output, reasoning } = table;
        Self { input, cached_input, output, reasoning }
    }
}
