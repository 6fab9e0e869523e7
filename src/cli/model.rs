//! From a model's name on the command line to someone who can be asked.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::environment;
use super::error::CliError;
use super::options::Options;
use crate::conversation::{Price, Sampling, Target};
use crate::model::{
    Endpoint, HttpModel, HttpSettings, LengthField, ModelReference, Routing, Secret, Simulated, Timeouts, scorer,
};
use crate::worker::Served;

/// A `[models.NAME]` table of the configuration. It also applies to `NAME@URL` with the same name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Profile {
    /// The server's address; replicas are separated by commas.
    pub url: Option<String>,
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

impl Profile {
    fn sampling(&self, base: Sampling) -> Sampling {
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

/// A model that was found, not yet connected to.
#[derive(Debug)]
pub struct Found {
    /// Whom the questions are for.
    pub target: Arc<Target>,
    /// What it costs, where that is known.
    pub price: Option<Price>,
    /// One for each replica; none for the simulated model.
    connections: Vec<HttpSettings>,
    routing: Routing,
    system: Option<String>,
}

impl Found {
    /// Makes the model.
    pub fn connect(&self) -> Result<Served, CliError> {
        let name = self.target.model();
        if self.connections.is_empty() {
            return Ok(Served::by_one(name, Arc::new(Simulated)));
        }
        let replicas = self.connections.iter().map(|settings| Ok(Arc::new(HttpModel::new(settings.clone())?) as _));
        let labels = match &self.connections[..] {
            [_] => vec![name.to_owned()],
            several => several.iter().map(|settings| format!("{name} at {}", host(&settings.url))).collect(),
        };
        Ok(Served { replicas: replicas.collect::<Result<_, CliError>>()?, routing: self.routing, labels })
    }

    /// False for a reward model, which answers with a number.
    pub fn writes(&self) -> bool {
        self.target.dialect() != scorer::DIALECT
    }

    /// Returns the system message that goes before each conversation: the run's, or the profile's.
    pub fn system_text(&self, options: &Options) -> Result<Option<String>, CliError> {
        let text = options.system.as_deref().or(self.system.as_deref());
        text.map(read_system_text).transpose()
    }

    /// Returns the same where each of several models has its own: the profile's before the run's.
    pub fn own_system_text(&self, options: &Options) -> Result<Option<String>, CliError> {
        let text = self.system.as_deref().or(options.system.as_deref());
        text.map(read_system_text).transpose()
    }

    fn urls(&self) -> Vec<&str> {
        self.connections.iter().map(|settings| settings.url.as_str()).collect()
    }

    /// Returns where the model is, without paths and keys.
    pub fn hosts(&self) -> Vec<&str> {
        self.connections.iter().map(|settings| host(&settings.url)).collect()
    }
}

/// Returns what tokens cost, by model, as far as that is known.
pub fn prices(found: &[&Found]) -> BTreeMap<String, Price> {
    let known = found.iter().filter_map(|found| Some((found.target.model().to_owned(), found.price?)));
    known.collect()
}

/// Makes each model once, however many of these name it.
pub fn connect_all(found: &[&Found]) -> Result<HashMap<String, Served>, CliError> {
    let mut models = HashMap::new();
    for (at, one) in found.iter().enumerate() {
        let name = one.target.model();
        if let Some(other) = found[..at].iter().find(|other| other.target.model() == name) {
            if other.urls() != one.urls() {
                let message = format!("two models are called `{name}`, at different addresses");
                return Err(CliError::usage(
                    message,
                    "answers are kept by the model's name: have one of the servers give it another name \
                     (vLLM: --served-model-name)",
                ));
            }
            continue;
        }
        models.insert(name.to_owned(), one.connect()?);
    }
    Ok(models)
}

/// Returns a system message, read from its file where it names one.
fn read_system_text(text: &str) -> Result<String, CliError> {
    let Some(path) = text.strip_prefix('@') else { return Ok(text.to_owned()) };
    let read = std::fs::read_to_string(path).map(|text| text.trim_end().to_owned());
    read.map_err(|error| {
        CliError::usage(
            format!("cannot read the system message {path}: {error}"),
            "write --system @FILE with a file that exists",
        )
    })
}

/// Finds the teacher: the argument, or the configuration's `teacher`.
pub fn find_teacher(argument: Option<&str>, options: &Options) -> Result<Found, CliError> {
    let Some(name) = argument.or(options.teacher.as_deref()) else {
        return Err(CliError::usage(
            "no teacher is named",
            "add --teacher NAME@URL, or --teacher simulated to try it out",
        ));
    };
    find(name, options, options.sampling())
}

/// Finds a model by what a person calls it; `sampling` is how it is asked where its profile does not say.
pub fn find(name: &str, options: &Options, sampling: Sampling) -> Result<Found, CliError> {
    match name.parse()? {
        ModelReference::Simulated => {
            let profile = options.models.get(name).cloned().unwrap_or_default();
            Ok(Found {
                target: Target::new(name, Simulated::DIALECT, profile.sampling(sampling)),
                price: profile.price.map(Price::from),
                system: profile.system,
                connections: Vec::new(),
                routing: Routing::default(),
            })
        }
        ModelReference::Http(endpoint) => {
            let profile = options.models.get(&endpoint.name).cloned().unwrap_or_default();
            over_http(endpoint, &profile, options, sampling)
        }
        ModelReference::Profile(name) => {
            let Some(profile) = options.models.get(&name) else {
                let hint = match name.split_once('@') {
                    Some((before, address)) => {
                        let address = address.split_once("://").map_or(address, |(_, rest)| rest);
                        format!("an address begins with http:// or https://, such as {before}@http://{address}")
                    }
                    None => {
                        format!(
                            "write {name}@http://HOST:PORT/v1, add a [models.\"{name}\"] table to cohobate.toml, or try it out \
                             with simulated or simulated-NAME"
                        )
                    }
                };
                return Err(CliError::usage(format!("there is no model `{name}`"), hint));
            };
            let Some(url) = &profile.url else {
                let hint = format!("add url = \"http://HOST:PORT/v1\" to [models.\"{name}\"]");
                return Err(CliError::usage(format!("the profile of the model `{name}` has no url"), hint));
            };
            over_http(Endpoint::new(profile.name.as_deref().unwrap_or(&name), url)?, profile, options, sampling)
        }
    }
}

/// Finds a reward model; its address is taken as it is.
pub fn find_scorer(name: &str, options: &Options) -> Result<Found, CliError> {
    let at = ["@http://", "@https://"].iter().filter_map(|separator| name.find(separator)).min();
    let Some(at) = at.filter(|at| *at > 0) else {
        return Err(CliError::usage(
            format!("--scorer {name} has no name or no address"),
            "write NAME@http://HOST:PORT/PATH",
        ));
    };
    let (name, url) = (&name[..at], &name[at + 1..]);
    let profile = options.models.get(name).cloned().unwrap_or_default();
    let endpoint = Endpoint { name: name.to_owned(), urls: vec![url.to_owned()] };
    let mut found = over_http(endpoint, &profile, options, Sampling::default())?;
    found.target = Target::new(name, scorer::DIALECT, Sampling::default());
    // It writes nothing that could cost by the token.
    found.price = found.price.or(Some(Price::default()));
    found.connections.iter_mut().for_each(|settings| settings.is_scorer = true);
    Ok(found)
}

fn over_http(endpoint: Endpoint, profile: &Profile, options: &Options, sampling: Sampling) -> Result<Found, CliError> {
    let defaults = Timeouts::default();
    let timeouts = Timeouts {
        connect: seconds(profile.connect_timeout_s, defaults.connect)?,
        first_byte: seconds(profile.first_byte_timeout_s, defaults.first_byte)?,
        idle: seconds(profile.idle_timeout_s, defaults.idle)?,
        total: seconds(profile.total_timeout_s, defaults.total)?,
    };
    let settings = HttpSettings {
        url: String::new(),
        key: key(profile)?,
        whole: !profile.stream.or(options.stream).unwrap_or(true),
        length_field: profile.max_tokens_field.unwrap_or_default(),
        timeouts,
        context_window: profile.context_window,
        prompt_cache_key: profile.prompt_cache_key.unwrap_or(false),
        session_header: profile.session_header.clone(),
        is_scorer: false,
    };
    let connections = endpoint.urls.into_iter().map(|url| HttpSettings { url, ..settings.clone() }).collect();
    let target = Target::new(endpoint.name, HttpModel::DIALECT, profile.sampling(sampling));
    let routing = profile.routing.unwrap_or_default();
    let (price, system) = (profile.price.map(Price::from), profile.system.clone());
    Ok(Found { target, price, connections, routing, system })
}

/// Returns the part of an address by which people tell servers apart.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split_once('/').map_or(rest, |(host, _)| host)
}

fn seconds(value: Option<f64>, default: Duration) -> Result<Duration, CliError> {
    let Some(value) = value else { return Ok(default) };
    Duration::try_from_secs_f64(value).ok().filter(|limit| !limit.is_zero()).ok_or_else(|| {
        CliError::usage(
            format!("{value} is no time limit in seconds"),
            "give the profile's *-timeout-s a number above 0",
        )
    })
}

/// Keys come from the environment only.
fn key(profile: &Profile) -> Result<Option<Secret>, CliError> {
    let read = |name: &str| std::env::var(name).ok().as_deref().and_then(Secret::new);
    match &profile.key_env {
        Some(name) => read(name).map(Some).ok_or_else(|| {
            CliError::usage(
                format!("the environment variable {name} is not set"),
                "set it to the API key, or remove key-env",
            )
        }),
        None => Ok(read(environment::COHOBATE_API_KEY).or_else(|| read(environment::OPENAI_API_KEY))),
    }
}
