use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde::Deserialize;

use super::header_value::headers;
use super::{Dialect, HeaderSource, KeyCommand, LengthField, RequestLane, Routing, ServerFamily};
use crate::conversation::{
    BodyChoices, BodyFields, Effort, FlexPrice, Price, RequestOptions, Sampling, TemperatureChoice, Thinking,
};

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
    /// The environment variable that holds the key; empty for a server that gets none.
    pub key_env: Option<String>,
    /// A command that prints the key. It runs before the first call, and again when the server answers 401.
    pub key_command: Option<KeyCommand>,
    /// Whether a key may be sent unencrypted to a server outside of this network.
    pub allow_http_key: Option<bool>,
    /// A file of certificate authorities that are trusted beside the system's, as PEM.
    pub ca_file: Option<PathBuf>,
    /// The header in which the bare key is sent, if it is not `authorization`.
    pub auth_header: Option<String>,
    /// Further headers of every request.
    #[serde(default, deserialize_with = "headers")]
    pub headers: BTreeMap<String, HeaderSource>,
    /// Fields of the request's body; merged over those of `--body`.
    pub body: Option<BodyFields>,
    /// Further body fields that cannot change an answer.
    #[serde(default)]
    pub side_fields: Vec<String>,
    /// Body fields that are drawn for each conversation.
    pub body_choice: Option<BodyChoices>,
    /// Temperatures of which one is drawn for each conversation; takes precedence over the run's temperature.
    pub temperature_choice: Option<TemperatureChoice>,
    /// Whether the model reasons; takes precedence over `--thinking`.
    pub thinking: Option<Thinking>,
    /// How much it reasons; takes precedence over `--effort`.
    pub effort: Option<Effort>,
    /// How the server is told to reason. Default: by its host.
    pub server_family: Option<ServerFamily>,
    /// At which tier the model is asked; takes precedence over `--lane`.
    pub lane: Option<RequestLane>,
    /// Whether answers are streamed; takes precedence over `--stream`.
    pub stream: Option<bool>,
    /// Whether verdicts, grades and goal cards are asked for as JSON of a schema. Default: until the server refuses, and
    /// not with a prompt of the user's own.
    pub structured: Option<bool>,
    /// `max_tokens` or `max_completion_tokens`.
    pub max_tokens_field: Option<LengthField>,
    /// The context window in tokens, prompt and answer.
    pub context_window: Option<u64>,
    /// Calls in flight at this model, over all replicas; at most those of the run.
    pub concurrency: Option<NonZeroUsize>,
    /// Whether a conversation stays with its replica (`affine`) or calls rotate over the replicas (`round-robin`).
    pub routing: Option<Routing>,
    /// The version of the API, for dialects that have versions.
    pub anthropic_version: Option<String>,
    /// Whether the prompt is marked for the server's cache, for dialects that have such marks.
    pub cache_control: Option<bool>,
    /// Whether system messages are folded into the user's, for chat templates without a system role.
    pub fold_system: Option<bool>,
    /// Whether the conversation's key is sent as `prompt_cache_key`.
    pub prompt_cache_key: Option<bool>,
    /// The header in which the conversation's key is sent.
    pub session_header: Option<String>,
    /// Seconds to connect.
    pub connect_timeout_s: Option<f64>,
    /// Seconds from the request to the first chunk of the answer.
    pub first_byte_timeout_s: Option<f64>,
    /// The same for answers of the flex tier.
    pub flex_timeout_s: Option<f64>,
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
    /// Returns the sampling parameters that the profile sets.
    pub fn sampling(&self) -> Sampling {
        let Self { temperature, top_p, max_tokens, seed, .. } = *self;
        Sampling { temperature, top_p, max_tokens, seed }
    }

    /// Returns what the profile asks for besides its sampling.
    pub fn request(&self) -> RequestOptions {
        RequestOptions {
            body: self.body.clone().unwrap_or_default(),
            thinking: self.thinking,
            effort: self.effort.clone(),
            choices: self.body_choice.clone().unwrap_or_default(),
            temperatures: self.temperature_choice.clone().unwrap_or_default(),
            side_fields: self.side_fields.clone(),
        }
    }

    /// Returns the environment variables that the profile names.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let key = self.key_env.as_deref().filter(|name| !name.is_empty());
        key.into_iter().chain(self.headers.values().filter_map(HeaderSource::variable))
    }
}

/// Returns the header of a profile's table, as it can be pasted into a configuration.
pub fn profile_table(name: &str) -> String {
    // A string of JSON is one of TOML, except for one control character.
    format!("[models.{}]", serde_json::Value::from(name).to_string().replace('\u{7f}', "\\u007f"))
}

/// A price in the configuration, in dollars per million tokens.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PriceTable {
    input: f64,
    cached_input: Option<f64>,
    cache_write: Option<f64>,
    output: f64,
    reasoning: Option<f64>,
    flex: Option<FlexPriceTable>,
}

/// The price of the flex tier. It has no flex tier of its own.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct FlexPriceTable {
    input: f64,
    cached_input: Option<f64>,
    cache_write: Option<f64>,
    output: f64,
    reasoning: Option<f64>,
}

impl From<PriceTable> for Price {
    fn from(table: PriceTable) -> Self {
        let PriceTable { input, cached_input, cache_write, output, reasoning, flex } = table;
        Self { input, cached_input, cache_write, output, reasoning, flex: flex.map(FlexPrice::from) }
    }
}

impl From<FlexPriceTable> for FlexPrice {
    fn from(table: FlexPriceTable) -> Self {
        let FlexPriceTable { input, cached_input, cache_write, output, reasoning } = table;
        Self { input, cached_input, cache_write, output, reasoning }
    }
}
