use serde::Deserialize;

use super::{Dialect, LengthField, Routing};
use crate::conversation::{Price, Sampling};

/// A `[models.NAME]` table of the configuration. It also applies to `NAME@URL` with the same name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ModelProfile {
    /// The server's address; replicas are separated by commas.
    pub url: Option<String>,
    /// The wire format, by its name.
    pub dialect: Option<&'static dyn Dialect>,
    /// The name that the server knows, where it is not the profile's.
    pub name: Option<String>,
    /// The environment variable that holds the key.
    pub key_env: Option<String>,
    /// Whether answers are streamed; goes before `--stream`.
    pub stream: Option<bool>,
    /// `max_tokens` or `max_completion_tokens`.
    pub max_tokens_field: Option<LengthField>,
    /// Tokens that the model can take, prompt and answer.
    pub context_window: Option<u64>,
    /// Whether a conversation stays with its replica (`affine`) or every call goes to the next (`round-robin`).
    pub routing: Option<Routing>,
    /// Whether the conversation's name is sent as `prompt_cache_key`.
    pub prompt_cache_key: Option<bool>,
    /// The header in which the conversation's name is sent.
    pub session_header: Option<String>,
    /// Limits on waiting, in seconds.
    pub connect_timeout_s: Option<f64>,
    /// From the request to the first piece of the answer.
    pub first_byte_timeout_s: Option<f64>,
    /// From piece to piece.
    pub idle_timeout_s: Option<f64>,
    /// For everything.
    pub total_timeout_s: Option<f64>,
    /// Dollars for a million tokens.
    pub price: Option<PriceTable>,
    /// The system message that it gets in place of the rows' own; `@FILE` reads it from a file. `--system` goes before.
    pub system: Option<String>,
    /// Goes before `--temperature`.
    pub temperature: Option<f64>,
    /// Goes before `--top-p`.
    pub top_p: Option<f64>,
    /// Goes before `--max-tokens`.
    pub max_tokens: Option<u32>,
    /// Goes before `--seed`.
    pub seed: Option<i64>,
}

impl ModelProfile {
    /// Returns the sampling parameters: those of the profile, and `base` where the profile sets none.
    pub fn sampling(&self, base: Sampling) -> Sampling {
        Sampling {
            temperature: self.temperature.or(base.temperature),
            top_p: self.top_p.or(base.top_p),
            max_tokens: self.max_tokens.or(base.max_tokens),
            seed: self.seed.or(base.seed),
        }
    }
}

/// A price as the configuration has it, in dollars for a million tokens.
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
