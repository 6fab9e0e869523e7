//! From a model's name to someone who can be asked: this file finds a [`ModelChoice`] by its name, `choice` connects to it.

mod choice;
mod further;
mod keys;
mod lane;

pub use choice::{ModelChoice, connect_all, prices};
pub use keys::{CallerKey, KeySource, Keys};

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use choice::Server;
use further::Further;

use super::JobError;
use crate::conversation::{BodyError, Extras, Price, RequestOptions, Sampling, Target, TemperatureChoice};
use crate::model::{
    Dialect, Endpoint, HeaderSource, HttpSettings, LengthField, ModelProfile, ModelReference, Origin, Output, Proxies,
    RequestLane, Routing, Scorer, Secret, ServerFamily, Simulated, Timeouts, dialect_at, list_price, profile_table,
    without_secrets,
};

/// Tokens of a judgment where no limit is set, as for the judge of MT-Bench.
pub const JUDGMENT_TOKENS: u32 = 2048;
/// How judges and graders are sampled where their profiles do not say.
const JUDGE_SAMPLING: Sampling =
    Sampling { temperature: Some(0.0), top_p: None, max_tokens: Some(JUDGMENT_TOKENS), seed: None };

/// What is needed to find a model by its name.
#[derive(Clone, Debug, Default)]
pub struct ModelSettings {
    /// Profiles by name. A profile also applies to `NAME@URL` with the same name.
    pub profiles: BTreeMap<String, ModelProfile>,
    /// The API keys.
    pub keys: Keys,
    /// The configuration file that applies, to name it before the first call.
    pub configuration: Option<PathBuf>,
    /// The proxies of the environment, to name them in errors.
    pub proxies: Proxies,
    /// How models are sampled where their profiles do not say. Default: the server decides. Judges and scorers have
    /// defaults of their own.
    pub sampling: Sampling,
    /// What else is asked of these models.
    pub request: RequestOptions,
    /// Whether answers are streamed where a profile does not say. Default: yes.
    pub stream: Option<bool>,
    /// At which tier models are asked where their profiles do not say.
    pub lane: RequestLane,
}

impl ModelSettings {
    /// Returns the further headers of a profile.
    fn headers(&self, profile: &ModelProfile) -> Result<Vec<(String, Secret)>, JobError> {
        let value = |source: &HeaderSource| match source.variable() {
            None => Ok(source.text()),
            Some(variable) => self.keys.by_variable.get(variable).cloned().map(Some).ok_or_else(|| {
                let message = format!("the environment variable {variable} is not set");
                JobError::usage(message, "set it to the header's value, or remove the header; $$ begins a text with $")
            }),
        };
        let header = |(name, source): (&String, &HeaderSource)| Ok(value(source)?.map(|value| (name.clone(), value)));
        profile.headers.iter().map(header).filter_map(Result::transpose).collect()
    }

    /// Returns what models cost by the names that their servers know, as far as profiles or lists of prices say.
    pub fn prices_by_name(&self) -> BTreeMap<String, Price> {
        let price = |(name, profile): (&String, &ModelProfile)| {
            let served = profile.name.as_ref().unwrap_or(name);
            let listed = || Some(list_price(served, std::slice::from_ref(profile.url.as_ref()?))?.price);
            Some((served.clone(), profile.price.map(Price::from).or_else(listed)?))
        };
        self.profiles.iter().filter_map(price).collect()
    }

    /// Finds the teacher, which must be named.
    pub fn find_teacher(&self, name: Option<&str>) -> Result<ModelChoice, JobError> {
        let hint = "add --teacher NAME@URL, or --teacher simulated to try it out";
        self.find(name.ok_or_else(|| JobError::usage("no teacher is named", hint))?)
    }

    /// Finds a judge or a grader: sampled at temperature 0 unless its profile says otherwise.
    pub fn find_judge(&self, name: &str) -> Result<ModelChoice, JobError> {
        self.find_asked(name, JUDGE_SAMPLING, &RequestOptions::default())
    }

    /// Finds a model by `NAME@URL`, by the name of a profile, or `simulated`.
    pub fn find(&self, name: &str) -> Result<ModelChoice, JobError> {
        self.find_asked(name, self.sampling.clone(), &self.request)
    }

    fn find_asked(&self, name: &str, sampling: Sampling, request: &RequestOptions) -> Result<ModelChoice, JobError> {
        // A profile may be called like an address without a scheme, such as `m@rev.x`.
        let is_profile = name.contains('@') && self.profiles.contains_key(name);
        let reference = if is_profile { Ok(ModelReference::Profile(name.to_owned())) } else { name.parse() };
        match reference? {
            ModelReference::Simulated => {
                let profile = self.profiles.get(name).cloned().unwrap_or_default();
                let Asked { sampling, extras, .. } = asked(&profile, sampling, request)?;
                if profile.lane.unwrap_or(self.lane) == RequestLane::Flex {
                    return Err(lane::no_flex(name));
                }
                Ok(ModelChoice {
                    target: Target::with_extras(name, Simulated::DIALECT, sampling, extras),
                    price: profile.price.map(Price::from),
                    listed: None,
                    lane: RequestLane::Online,
                    system: profile.system,
                    routing: Routing::default(),
                    concurrency: profile.concurrency.map(NonZeroUsize::get),
                    structured: profile.structured,
                    server: Server::Local(Arc::new(Simulated)),
                    cautions: Vec::new(),
                    ca_file: None,
                    further: None,
                })
            }
            ModelReference::Http { name, urls } => {
                let profile = self.profiles.get(&name).cloned().unwrap_or_default();
                let dialect = dialect(&profile, &name, &urls)?;
                let endpoint = Endpoint::new(&name, &urls, dialect.capabilities().path)?;
                let asked = asked(&profile, sampling, request)?;
                self.over_http(endpoint, dialect, (&name, &profile), asked)
            }
            ModelReference::Profile(name) => {
                let profile = self.profiles.get(&name).ok_or_else(|| unknown_model(&name))?;
                let Some(url) = &profile.url else {
                    let hint = format!(
                        "add the address of its server:\n{}\nurl = \"http://localhost:8000/v1\"",
                        profile_table(&name)
                    );
                    return Err(JobError::usage(format!("the profile of the model `{name}` has no url"), hint));
                };
                let dialect = dialect(profile, &name, url)?;
                let served = profile.name.as_deref().unwrap_or(&name);
                let endpoint = Endpoint::new(served, url, dialect.capabilities().path)?;
                self.over_http(endpoint, dialect, (&name, profile), asked(profile, sampling, request)?)
            }
        }
    }

    /// Finds a reward model by `NAME@URL`; its address is used as it is.
    pub fn find_scorer(&self, name: &str) -> Result<ModelChoice, JobError> {
        let Ok(ModelReference::Http { name, urls }) = name.parse() else {
            let message = format!("--scorer {name} has no name or no address");
            return Err(JobError::usage(message, "write NAME@http://HOST:PORT/PATH"));
        };
        let profile = self.profiles.get(&name).cloned().unwrap_or_default();
        let endpoint = Endpoint::new(&name, &urls, Scorer.capabilities().path)?;
        let asked = asked(&profile, Sampling::default(), &RequestOptions::default())?;
        let asked = Asked { sampling: Sampling::default(), ..asked };
        // It costs nothing, so that no lane makes it cheaper.
        let profile = ModelProfile { lane: Some(RequestLane::Online), ..profile };
        let mut choice = self.over_http(endpoint, &Scorer, (&name, &profile), asked)?;
        // It writes nothing that is billed by the token.
        choice.price = choice.price.or(Some(Price::default()));
        Ok(choice)
    }

    fn over_http(
        &self,
        endpoint: Endpoint,
        dialect: &'static dyn Dialect,
        (profile_name, profile): (&str, &ModelProfile),
        Asked { sampling, extras, length_field }: Asked,
    ) -> Result<ModelChoice, JobError> {
        let target = Target::with_extras(endpoint.name.clone(), dialect.name(), sampling, extras);
        let family = profile.server_family.or_else(|| dialect.family());
        for url in &endpoint.urls {
            family.unwrap_or_else(|| ServerFamily::of(url)).check(&target).map_err(|error| fault(&error))?;
        }
        let listed = list_price(&endpoint.name, &endpoint.urls).filter(|_| profile.price.is_none());
        let price = profile.price.map(Price::from).or(listed.map(|listed| listed.price));
        let lane = profile.lane.unwrap_or(self.lane);
        let mut cautions = Vec::new();
        if lane == RequestLane::Flex {
            cautions.extend(lane::check(&endpoint, dialect, price.as_ref(), &target)?);
        }
        let settings = HttpSettings {
            dialect,
            lane,
            url: String::new(),
            key: None,
            key_command: profile.key_command.clone(),
            auth_header: profile.auth_header.clone(),
            headers: self.headers(profile)?,
            family,
            authorities: None,
            proxy: None,
            has_replied: Arc::default(),
            whole: !profile.stream.or(self.stream).unwrap_or(true),
            length_field,
            structured: profile.structured.unwrap_or(true),
            timeouts: timeouts(profile)?,
            context_window: profile.context_window,
            api_version: profile.anthropic_version.clone(),
            cache_control: profile.cache_control.unwrap_or(false),
            prompt_cache_key: profile.prompt_cache_key.unwrap_or(false),
            session_header: profile.session_header.clone(),
        };
        let mut places = Vec::new();
        let further = Further {
            settings,
            keys: self.keys.clone(),
            proxies: self.proxies.clone(),
            name: profile_name.to_owned(),
            profile: profile.clone(),
        };
        let connections = endpoint.urls.into_iter().map(|url| {
            let (connection, caution, variable) = further.connection(&url)?;
            cautions.extend(caution);
            places.extend(Origin::of(&url).map(|server| match &variable {
                Some(variable) => format!("at {server} with the key of {variable}"),
                None if profile.key_command.is_some() => format!("at {server} with the key that key-command prints"),
                None => format!("at {server} without a key"),
            }));
            Ok(connection)
        });
        let connections = connections.collect::<Result<_, JobError>>()?;
        if let Some(file) = &self.configuration {
            cautions.push(format!("{} applies: `{}` is asked {}", file.display(), endpoint.name, places.join(", ")));
        }
        Ok(ModelChoice {
            target: target.with_folded_system(profile.fold_system.unwrap_or(false)),
            price,
            listed,
            lane,
            system: profile.system.clone(),
            routing: profile.routing.unwrap_or_default(),
            concurrency: profile.concurrency.map(NonZeroUsize::get),
            structured: profile.structured,
            server: Server::Http(connections),
            cautions,
            ca_file: profile.ca_file.clone(),
            further: Some(Arc::new(further)),
        })
    }
}

/// What is asked of a model.
struct Asked {
    sampling: Sampling,
    extras: Extras,
    length_field: LengthField,
}

/// Returns what is asked of a model: its profile takes precedence over `sampling` and `request`.
fn asked(profile: &ModelProfile, mut sampling: Sampling, request: &RequestOptions) -> Result<Asked, JobError> {
    let names_it = |options: &RequestOptions| options.body.get("max_completion_tokens").is_some();
    let (mut own, mut own_sampling, mut request) = (profile.request(), profile.sampling(), request.clone());
    // A body that names one of the two fields says which one the server knows.
    let is_named = names_it(&own) || names_it(&request);
    let of_body = if is_named { LengthField::MaxCompletionTokens } else { LengthField::MaxTokens };
    let length_field = profile.max_tokens_field.unwrap_or(of_body);
    own.fold_into(&mut own_sampling).map_err(|error| fault(&error))?;
    request.fold_into(&mut sampling).map_err(|error| fault(&error))?;
    // A temperature that one of the two sets is not drawn by the other.
    if own_sampling.temperature.is_some() {
        request.temperatures = TemperatureChoice::default();
    } else if !own.temperatures.is_empty() {
        sampling.temperature = None;
    }
    let extras = Extras::new(own.or(&request)).map_err(|error| fault(&error))?;
    Ok(Asked { sampling: own_sampling.or(sampling), extras, length_field })
}

fn fault(error: &BodyError) -> JobError {
    JobError::usage(error.to_string(), error.hint())
}

/// Returns the wire format of a model that must write text.
fn dialect(profile: &ModelProfile, name: &str, urls: &str) -> Result<&'static dyn Dialect, JobError> {
    let dialect = profile.dialect.unwrap_or_else(|| dialect_at(&Endpoint::replicas(urls)[0]));
    check_options(profile, name, dialect)?;
    if dialect.capabilities().output == Output::Text {
        return Ok(dialect);
    }
    let message = format!("the model `{name}` has the dialect {}, which writes no text", dialect.name());
    Err(JobError::usage(
        message,
        format!("name another model, or remove dialect from {table}", table = profile_table(name)),
    ))
}

/// Refuses options of a profile that its dialect does not have.
fn check_options(profile: &ModelProfile, name: &str, dialect: &dyn Dialect) -> Result<(), JobError> {
    let capabilities = dialect.capabilities();
    let options = [
        ("anthropic-version", profile.anthropic_version.is_some() && !capabilities.has_versions),
        ("cache-control", profile.cache_control == Some(true) && !capabilities.takes_cache_control),
    ];
    let Some((option, _)) = options.iter().find(|(_, is_unknown)| *is_unknown) else { return Ok(()) };
    let message = format!("the model `{name}` has the dialect {}, which has no {option}", dialect.name());
    Err(JobError::usage(
        message,
        format!("set dialect = \"anthropic\" in {table}, or remove {option}", table = profile_table(name)),
    ))
}

fn unknown_model(name: &str) -> JobError {
    let hint = match name.split_once('@') {
        Some((before, host)) => {
            format!("an address has a port, a path or http:// before it, such as {before}@http://{host}")
        }
        None => {
            format!(
                "write {name}@http://HOST:PORT/v1, add a {table} table to cohobate.toml, or try it out with \
                 simulated or simulated-NAME",
                table = profile_table(name)
            )
        }
    };
    if name.contains("://") {
        let message = format!("there is no model `{}`", without_secrets(name));
        return JobError::usage(message, "write NAME@http://HOST:PORT/v1");
    }
    JobError::usage(format!("there is no model `{name}`"), hint)
}

fn timeouts(profile: &ModelProfile) -> Result<Timeouts, JobError> {
    let defaults = Timeouts::default();
    Ok(Timeouts {
        connect: seconds(profile.connect_timeout_s, defaults.connect)?,
        first_byte: seconds(profile.first_byte_timeout_s, defaults.first_byte)?,
        flex: seconds(profile.flex_timeout_s, defaults.flex)?,
        idle: seconds(profile.idle_timeout_s, defaults.idle)?,
        total: seconds(profile.total_timeout_s, defaults.total)?,
    })
}

fn seconds(value: Option<f64>, default: Duration) -> Result<Duration, JobError> {
    let Some(value) = value else { return Ok(default) };
    Duration::try_from_secs_f64(value).ok().filter(|limit| !limit.is_zero()).ok_or_else(|| {
        let message = format!("{value} is not a time limit in seconds");
        JobError::usage(message, "give the profile's *-timeout-s a number above 0")
    })
}
