//! Serves the simulated model over HTTP, compatible with the APIs of `OpenAI` and Anthropic and with faults on request,
//! for trials, tests and load. Routes: `POST /v1/chat/completions`, `POST /v1/messages`,
//! `POST /v1/messages/count_tokens`, `GET /v1/models`, `GET /health`, `GET /stats` with the number of requests and of
//! repeated answers, and `POST /stats/peak`, which starts the most requests in flight over.

mod api;
mod cache;
mod chat;
mod fault;
mod messages;
mod reply;
mod request;
mod stats;
mod tokens;

pub use fault::{Fault, FaultBy, FaultKind, ParseFaultError};
pub use stats::Stats;
pub use tokens::TokenFields;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::simulated::{Simulated, token_ends};
use crate::conversation::{Answer, Dice, Message, Role, ServiceTier, Usage};
use api::Api;
use cache::PrefixCache;
use fault::Effect;
use request::Wanted;

/// Maximum bytes of a request.
const BODY_BYTES_MAX: usize = 64 << 20;

/// How the mock server behaves.
#[derive(Clone, Debug)]
pub struct MockSettings {
    /// Mean time to an answer.
    pub latency: Duration,
    /// Sigma of the lognormal distribution of latencies around their mean; `None` is a uniform distribution from half
    /// to one and a half times the mean.
    pub spread: Option<f64>,
    /// Time to process a thousand uncached prompt tokens.
    pub prefill: Duration,
    /// The prefix cache's size in prompt tokens; `None` is no cache.
    pub cache_tokens: Option<u64>,
    /// The length of every answer; `None` keeps the simulated model's answers.
    pub answer_tokens: Option<usize>,
    /// The faults and their shares.
    pub faults: Vec<Fault>,
    /// How the requests with a fault are selected.
    pub fault_by: FaultBy,
    /// The models that exist; if the list is empty, any name is accepted.
    pub models: Vec<String>,
    /// Longest prompt, in estimated tokens.
    pub context_tokens: u64,
    /// Concurrent requests; more are refused with 429.
    pub slots: Option<u64>,
    /// How token ids are asked for and given.
    pub token_fields: TokenFields,
}

impl Default for MockSettings {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            spread: None,
            prefill: Duration::ZERO,
            cache_tokens: None,
            answer_tokens: None,
            faults: Vec::new(),
            fault_by: FaultBy::default(),
            models: Vec::new(),
            context_tokens: 65_536,
            slots: None,
            token_fields: TokenFields::default(),
        }
    }
}

/// A mock server that is listening.
pub struct Mock {
    listener: TcpListener,
    shared: Arc<MockState>,
}

struct MockState {
    settings: MockSettings,
    stats: Stats,
    cache: Option<Mutex<PrefixCache>>,
}

impl Mock {
    /// Listens on `address`.
    pub async fn bind(address: SocketAddr, settings: MockSettings) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let cache = settings.cache_tokens.map(|tokens| Mutex::new(PrefixCache::new(tokens)));
        Ok(Self { listener, shared: Arc::new(MockState { settings, stats: Stats::default(), cache }) })
    }

    /// Returns the address on which the server listens.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves requests until the future is dropped.
    pub async fn serve(self) {
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                // Probably out of file descriptors: some will be freed.
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            let shared = Arc::clone(&self.shared);
            tokio::spawn(async move {
                let service = service_fn(move |request| respond(Arc::clone(&shared), request));
                // An error here means that the client disconnected or that a fault was requested.
                let _ =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }
}

type Body = BoxBody<Bytes, Hangup>;

/// The connection is closed on purpose.
#[derive(Debug, thiserror::Error)]
#[error("hung up")]
struct Hangup;

impl From<Infallible> for Hangup {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

async fn respond(shared: Arc<MockState>, request: Request<Incoming>) -> Result<Response<Body>, Hangup> {
    if let Some(api) = Api::at(request.uri().path()).filter(|_| request.method() == Method::POST) {
        return answer_request(&shared, api, request).await;
    }
    match (request.method(), request.uri().path()) {
        (&Method::POST, "/v1/messages/count_tokens") => count_tokens(&shared, request).await,
        (&Method::GET, "/v1/models" | "/models") => Ok(reply::models(&shared.settings.models)),
        (&Method::GET, "/stats") => Ok(reply::json(200, &shared.stats.to_json())),
        (&Method::POST, "/stats/peak") => {
            shared.stats.reset_peak();
            Ok(reply::json(200, &shared.stats.to_json()))
        }
        (&Method::GET, "/health") => Ok(reply::json(200, &serde_json::json!({"status": "ok"}))),
        _ => Ok(reply::error(404, "invalid_request_error", "not_found", "there is no such route")),
    }
}

async fn count_tokens(shared: &MockState, request: Request<Incoming>) -> Result<Response<Body>, Hangup> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(|_| Hangup)?.to_bytes();
    let counted = messages::count_tokens(&head.headers, &body, &shared.settings);
    Ok(counted.map_or_else(|fault| fault.response(), |count| reply::json(200, &count)))
}

async fn answer_request(shared: &MockState, api: Api, request: Request<Incoming>) -> Result<Response<Body>, Hangup> {
    let number = shared.stats.arrived();
    let present = shared.stats.enter();
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(|_| Hangup)?.to_bytes();
    let wanted = match api.parse(&head.headers, &body, &shared.settings) {
        Ok(wanted) => wanted,
        Err(refused) => return Ok(*refused),
    };
    if shared.settings.slots.is_some_and(|slots| present.count > slots) {
        shared.stats.faulted();
        return Ok(api.error(429, "requests", "rate_limit_exceeded", "too many requests at a time"));
    }
    let mut dice = Dice::new("mock", &number.to_le_bytes());
    let fault = match shared.settings.fault_by {
        FaultBy::Number => fault::draw_fault(&shared.settings.faults, &mut dice),
        FaultBy::Question => {
            let fingerprint = wanted.question.fingerprint();
            fault::draw_fault(&shared.settings.faults, &mut Dice::new("mock fault", &fingerprint.0))
        }
    };
    let fault = fault::repeated_fault(&shared.settings.faults, &wanted.question.messages).or(fault);
    let fault = fault.filter(|kind| *kind != FaultKind::FlexFull || wanted.tier == ServiceTier::Flex);
    let mut answer = Simulated::answer(&wanted.question, 1);
    answer.usage.tier = wanted.tier;
    if let Some(tokens) = shared.settings.answer_tokens {
        answer = lengthened(answer, tokens);
    }
    let uncached = shared.read_prompt(api, &wanted, &mut answer);
    let prefill = shared.settings.prefill.mul_f64(uncached as f64 / 1_000.0);
    tokio::time::sleep(shared.settings.draw_latency(&mut dice) + prefill).await;
    if fault.is_some() {
        shared.stats.faulted();
    }
    let effect = fault.map(|kind| fault::effect_of(kind, api, &mut answer));
    let is_noisy = matches!(effect, Some(Effect::Noise));
    let fields = shared.settings.token_fields;
    // The text may have become another one.
    if !answer.text().is_empty() {
        answer.tokens = answer.tokens.take().and_then(|_| Simulated::tokens(&wanted.question, answer.text()));
    }
    if let Some(tokens) = &answer.tokens {
        answer.usage.completion_tokens = Some(tokens.completion.len() as u64);
    }
    let whole = |answer: &Answer| fields.into_whole(api.whole(answer), answer);
    let events = |answer: &Answer, usage| fields.into_events(api.events(answer, usage), answer);
    match effect {
        Some(Effect::Refuse(response)) => return Ok(*response),
        Some(Effect::HangUp) => return Err(Hangup),
        Some(Effect::Silence) => std::future::pending::<()>().await,
        Some(Effect::Half | Effect::EarlyStop) if !wanted.stream => return Ok(reply::half(&whole(&answer))),
        Some(Effect::Half) => return Ok(reply::half_stream(&events(&answer, false))),
        Some(Effect::EarlyStop) => return Ok(reply::half_stream(&api.early_stops(&answer))),
        Some(Effect::NoFinish) => {
            answer.finish_reason.clear();
            if wanted.stream {
                return Ok(reply::stream(events(&answer, false), api.last_line(), false));
            }
            return Ok(reply::json(200, &whole(&answer)));
        }
        Some(Effect::Noise | Effect::Answer) | None => {}
    }
    shared.stats.delivers(answer.usage.completion_tokens.unwrap_or(0));
    if wanted.caches {
        shared.cache_answer(&wanted.question.messages, &answer);
    }
    // A probe is nobody's question.
    if wanted.question.target.sampling().max_tokens != Some(1) {
        shared.stats.answered(wanted.question.fingerprint());
    }
    Ok(match wanted.stream {
        true => reply::stream(events(&answer, wanted.include_usage), api.last_line(), is_noisy),
        false if is_noisy => reply::noisy(&whole(&answer)),
        false => reply::json(200, &whole(&answer)),
    })
}

impl MockSettings {
    fn draw_latency(&self, dice: &mut Dice) -> Duration {
        let factor = match self.spread {
            None => 0.5 + dice.fraction(),
            // exp(σz − σ²/2) has the mean 1.
            Some(sigma) => (sigma * dice.normal() - sigma * sigma / 2.0).exp(),
        };
        self.latency.mul_f64(factor)
    }
}

impl MockState {
    /// Looks the prompt up in the cache and returns the number of uncached tokens.
    fn read_prompt(&self, api: Api, wanted: &Wanted, answer: &mut Answer) -> u64 {
        let prompt_tokens = answer.usage.prompt_tokens.unwrap_or(0);
        let Some(cache) = self.cache.as_ref().filter(|_| wanted.caches) else {
            self.stats.prompt(prompt_tokens, 0);
            return prompt_tokens;
        };
        let cached = cache.lock().unwrap_or_else(PoisonError::into_inner).read(&wanted.question.messages);
        self.stats.prompt(prompt_tokens, cached);
        answer.usage.cached_tokens = Some(cached);
        if api == Api::Messages {
            answer.usage.cache_write_tokens = Some(prompt_tokens - cached);
        }
        prompt_tokens - cached
    }

    /// Caches the answer's own tokens too.
    fn cache_answer(&self, messages: &[Arc<Message>], answer: &Answer) {
        if let Some(cache) = &self.cache {
            let mut all = messages.to_vec();
            all.push(Arc::clone(&answer.message));
            cache.lock().unwrap_or_else(PoisonError::into_inner).read(&all);
        }
    }
}

/// Repeats the answer until it has `tokens` tokens, and cuts it there.
fn lengthened(answer: Answer, tokens: usize) -> Answer {
    let mut text = answer.text().to_owned();
    while token_ends(&text).nth(tokens.saturating_sub(1)).is_none() {
        text = format!("{text} {}", answer.text());
    }
    let end = token_ends(&text).nth(tokens.saturating_sub(1)).unwrap_or(text.len());
    let usage = Usage { completion_tokens: Some(tokens as u64), ..answer.usage };
    Answer { message: Message::new(Role::Assistant, &text[..end]), usage, ..answer }
}
