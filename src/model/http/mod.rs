//! The HTTP transport. It handles URLs, headers, clocks and connections; the [`Dialect`] writes requests and reads
//! replies.

mod capacity;
mod client;
mod decoding;
mod detail;
mod headers;
mod host_name;
mod kind;
mod offered;
mod preview;
mod reply;
mod sending;
mod settings;
mod token;

pub use preview::RequestPreview;
pub use settings::{HttpSettings, Timeouts};

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_TYPE, HeaderName};
use tokio::time::{Instant, timeout};

use super::detail::is_detail_field;
use super::dialect::Dialect;
use super::failure::{Failure, FailureClass};
use super::family::ServerFamily;
use super::learned::{Adjustment, Learned};
use super::redaction::{self, Masked};
use super::refusal::{RefusedRequest, without_echo};
use super::refused::may_refuse_schema;
use super::request::{RefusedCall, RequestFormat, SCHEMA};
use super::{Call, CallResult, Capacity, Model, PendingCall, PendingNames, wait};
use crate::conversation::{Answer, FailureCode, Question, ServiceTier, TimeoutKind};
pub use client::USER_AGENT;
use client::client;
use detail::{with_location, with_proxy, with_tier, without_key};
use headers::RequestHeaders;
use host_name::HostName;
use kind::is_html;
use reply::{Reply, ReplyBody, read_error, read_reply, timed_out};
use token::TokenSource;

/// Characters of a failure's message that are kept: a proxy's page can be long.
const MESSAGE_CHARACTERS_MAX: usize = 300;
/// Most characters of what a served function says of its failure: that has a traceback.
const TRACEBACK_CHARACTERS_MAX: usize = 4_000;
/// Characters that are kept of a reply's side fields, each: the reported model, its fingerprint, the finish reason.
const SIDE_CHARACTERS_MAX: usize = 512;

/// The HTTP client cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot start: {0}")]
pub struct HttpSetupError(String);

impl HttpSetupError {
    fn new(reason: String) -> Self {
        Self(reason)
    }
}

/// A model on a server, in any [`Dialect`].
pub struct HttpModel {
    client: reqwest::Client,
    url: reqwest::Url,
    settings: HttpSettings,
    dialect: &'static dyn Dialect,
    headers: RequestHeaders,
    /// The keys that a command prints.
    tokens: Option<TokenSource>,
    /// The key and the values of the user's headers, to be masked: servers like to quote them.
    secrets: Vec<Masked>,
    session_header: Option<HeaderName>,
    host_name: HostName,
    /// Requests streamed answers.
    stream: bool,
    /// Sends the conversation's key in the body.
    sends_cache_key: bool,
    /// How the server is told to reason.
    family: ServerFamily,
    /// The settings learned from the server's refusals.
    learned: RwLock<Arc<Learned>>,
    /// True once the server has answered a question with a schema.
    took_schema: AtomicBool,
    /// True once the server has been asked for its capacity.
    asked_capacity: AtomicBool,
}

impl HttpModel {
    /// Makes the client and the headers of its requests.
    pub fn new(settings: HttpSettings) -> Result<Self, HttpSetupError> {
        let fault = |error: &dyn std::fmt::Display| HttpSetupError(error.to_string());
        let client = client(&settings)?;
        let session_header = settings.session_header.as_deref().map(str::parse).transpose();
        let dialect = settings.dialect;
        let headers = settings.headers.iter().flat_map(|(_, value)| Masked::header(value));
        let secrets = settings.key.iter().flat_map(Masked::key).chain(headers).collect();
        Ok(Self {
            secrets,
            client,
            url: settings.url.parse().map_err(|error| fault(&error))?,
            dialect,
            headers: RequestHeaders::new(&settings)?,
            tokens: settings.key_command.clone().map(|command| TokenSource::new(command.0)),
            family: settings.family.unwrap_or_else(|| ServerFamily::of(&settings.url)),
            session_header: session_header.map_err(|_| fault(&"session-header is not a valid header name"))?,
            host_name: HostName::new(Arc::clone(&settings.has_replied)),
            stream: !settings.whole && dialect.streams(),
            sends_cache_key: settings.prompt_cache_key && dialect.capabilities().takes_cache_key,
            settings,
            learned: RwLock::default(),
            took_schema: AtomicBool::default(),
            asked_capacity: AtomicBool::default(),
        })
    }

    async fn ask_in_time(&self, call: Call<'_>) -> CallResult {
        let limit = self.settings.timeouts.total;
        let mut side = SideResults::default();
        let answer = timeout(limit, self.ask_once(call, &mut side)).await;
        let answer = answer.unwrap_or_else(|_| Err(timed_out(TimeoutKind::Total, "the answer took over", limit)));
        CallResult {
            result: answer.map(|answer| self.bounded(answer)).map_err(|failure| self.explained(self.redacted(failure))),
            limit_reset: side.limit_reset,
            capacity: self.ask_capacity(side.server).await,
            adjusted: side.adjusted,
        }
    }

    /// Adds to a failure what only the transport knows.
    fn explained(&self, failure: Failure) -> Failure {
        let failure = self.host_name.judge(failure, self.url.host_str().unwrap_or_default(), Instant::now());
        let failure = with_proxy(failure, self.settings.proxy.as_deref());
        let has_key = self.settings.key.is_some() || self.settings.key_command.is_some();
        if has_key { failure } else { without_key(failure, &self.settings.url) }
    }

    /// Asks a server of a kind that tells its capacity, once.
    async fn ask_capacity(&self, server: Option<capacity::Kind>) -> Option<Capacity> {
        let kind = server.filter(|_| !self.asked_capacity.swap(true, Ordering::AcqRel))?;
        let headers = self.headers.with_key(self.current_key().await.as_ref()).ok()?;
        kind.ask(&self.client, &self.url, &headers).await
    }

    /// Sends a question. `side` is set as soon as something is known.
    async fn ask_once(&self, call: Call<'_>, side: &mut SideResults) -> Result<Answer, Failure> {
        let question = call.question;
        if let Some(failure) = self.check_window(question) {
            return Err(failure);
        }
        let session = self.session_name(call);
        let learned = Arc::clone(&self.learned.read().unwrap_or_else(PoisonError::into_inner));
        let format = self.request_format(session.as_deref(), self.tier(call), &learned);
        let response = self.send_with_token(question, &format, session.as_deref()).await?;
        self.host_name.prove();
        let headers = response.headers();
        side.limit_reset = wait::from_limits(|name| headers.get(name)?.to_str().ok(), SystemTime::now());
        if !response.status().is_success() {
            let (failure, reply) = self.read_refusal(response, question, format.tier).await;
            return Err(self.learn_from(failure, &reply, question, &format, side));
        }
        side.server = capacity::Kind::of(response.headers());
        let content_type = response.headers().get(CONTENT_TYPE).cloned();
        let content_type = content_type.as_ref().and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut body = ReplyBody::new(response);
        match self.read_answer(&mut body, content_type, call, format.tier).await {
            Ok(answer) => {
                side.adjusted.extend(self.check_schema(&answer, question, &format));
                Ok(Answer { dropped: format.left_out(question), ..answer })
            }
            Err(failure) => {
                let is_rejected = failure.rejects_reply();
                let is_limited = failure.class == FailureClass::RateLimited;
                // Gateways pass on an upstream's refusal in a successful reply.
                let failure = match failure.code {
                    FailureCode::ErrorIn200 if format.tier == ServiceTier::Flex && is_limited => {
                        Failure { code: FailureCode::FlexFull, ..failure }
                    }
                    FailureCode::ErrorIn200 => self.learn_from(failure, &[], question, &format, side),
                    _ => failure,
                };
                let reply = is_rejected.then(|| body.excerpt.into_reply(|text| self.redact(text))).flatten();
                Err(Failure { reply, ..failure })
            }
        }
    }

    async fn read_answer(
        &self,
        body: &mut ReplyBody,
        content_type: &str,
        call: Call<'_>,
        tier: ServiceTier,
    ) -> Result<Answer, Failure> {
        let Call { question, attempt, .. } = call;
        let assembler = self.dialect.assembler();
        match read_reply(body, assembler, content_type, self.timeouts(tier)).await? {
            Reply::Stream(assembler) => assembler.finish(question, attempt),
            Reply::Whole(page) if is_html(&page, content_type) => Err(html_page(&page, &self.url)),
            Reply::Whole(body) => self.dialect.read_whole(&body, question, attempt),
        }
    }

    /// Reads a refused request's reply and has the dialect classify it. Returns the reply too.
    async fn read_refusal(
        &self,
        response: reqwest::Response,
        question: &Question,
        tier: ServiceTier,
    ) -> (Failure, Vec<u8>) {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let body = without_echo(read_error(response).await, question);
        let now = SystemTime::now();
        let failure = self.dialect.failure_of(RefusedRequest {
            status,
            body: &body,
            should_retry: header("x-should-retry").and_then(|value| value.parse().ok()),
            retry_after: wait::from_headers(header, now),
            limit_reset: wait::from_limits(header, now),
            is_flex: tier == ServiceTier::Flex,
        });
        (with_location(with_tier(failure, tier), header("location"), &self.url), body)
    }

    /// Makes the failure retry at once if the refusal reveals a setting of the server. Each refusal is judged by its
    /// own request's format, so calls that were in flight at the time are retried too.
    fn learn_from(
        &self,
        failure: Failure,
        reply: &[u8],
        question: &Question,
        format: &RequestFormat<'_>,
        side: &mut SideResults,
    ) -> Failure {
        let refused = RefusedCall { failure: &failure, reply, question, format };
        let mut revealed = self.dialect.learn(&refused);
        let is_open = revealed.is_empty() && !self.took_schema.load(Ordering::Acquire);
        if is_open && format.schema(question).is_some() && may_refuse_schema(&refused) {
            revealed.push(Adjustment::Drop(SCHEMA.to_owned()));
        }
        revealed.retain(|adjustment| format.learned.lacks(adjustment));
        if revealed.is_empty() {
            return failure;
        }
        let mut learned = self.learned.write().unwrap_or_else(PoisonError::into_inner);
        revealed.retain(|adjustment| Arc::make_mut(&mut learned).add(adjustment));
        // Nobody asked for these fields: a server that gives tokens needs one or the other of them.
        revealed.retain(|adjustment| !matches!(adjustment, Adjustment::Drop(field) if is_detail_field(field)));
        side.adjusted = revealed;
        Failure { class: FailureClass::Learned, ..failure }
    }

    /// Asks for no schema any more where the first answer to a question with one is blank: some servers write white space
    /// until the limit.
    fn check_schema(&self, answer: &Answer, question: &Question, format: &RequestFormat<'_>) -> Option<Adjustment> {
        format.schema(question)?;
        if !answer.text().trim().is_empty() {
            self.took_schema.store(true, Ordering::Release);
            return None;
        }
        let adjustment = Adjustment::Drop(SCHEMA.to_owned());
        let is_first = !self.took_schema.load(Ordering::Acquire);
        let mut learned = self.learned.write().unwrap_or_else(PoisonError::into_inner);
        (is_first && Arc::make_mut(&mut learned).add(&adjustment)).then_some(adjustment)
    }

    /// Refuses a question that exceeds the context window. Estimates are inexact: only a question that is over by a
    /// quarter is refused here. The rest is left to the server, whose refusal costs nothing.
    fn check_window(&self, question: &Question) -> Option<Failure> {
        let window = self.settings.context_window?;
        let prompt: u64 = question.messages.iter().map(|message| message.estimated_tokens()).sum();
        // What a further attempt asks for beyond that is cut to what the server accepts.
        let asked = question.target.raised_from().unwrap_or(question.target.sampling());
        let answer = asked.max_tokens.map_or(0, u64::from);
        (prompt * 3 / 4 + answer > window).then(|| {
            let message = format!(
                "about {prompt} prompt tokens and {answer} answer tokens exceed the context window of {window}"
            );
            Failure::new(FailureClass::Permanent, FailureCode::Context, message)
        })
    }

    /// Masks secrets in a failure's message, then shortens it to a readable length.
    fn redacted(&self, failure: Failure) -> Failure {
        let is_of_function = failure.code == FailureCode::Callable;
        let max = if is_of_function { TRACEBACK_CHARACTERS_MAX } else { MESSAGE_CHARACTERS_MAX };
        Failure { message: redaction::shown(&failure.message, &self.secrets(), max), ..failure }
    }

    /// Bounds what a server says beside an answer's text, without secrets: all of it is stored and shown.
    fn bounded(&self, answer: Answer) -> Answer {
        let secrets = self.secrets();
        let side = |text: String| redaction::shown(&text, &secrets, SIDE_CHARACTERS_MAX);
        let (model, finish_reason) = (side(answer.model), side(answer.finish_reason));
        Answer { model, finish_reason, system_fingerprint: answer.system_fingerprint.map(side), ..answer }
    }

    fn redact(&self, text: &str) -> String {
        redaction::redact(text, &self.secrets()).into_owned()
    }

    /// Returns what is masked in a server's texts, with every token that a command has printed so far.
    fn secrets(&self) -> Cow<'_, [Masked]> {
        match &self.tokens {
            None => Cow::Borrowed(&self.secrets),
            Some(tokens) => self.secrets.iter().cloned().chain(tokens.all().iter().flat_map(Masked::key)).collect(),
        }
    }
}

/// Describes a page that came instead of an answer.
fn html_page(page: &[u8], url: &reqwest::Url) -> Failure {
    const CHARACTERS_MAX: usize = 80;
    let text = String::from_utf8_lossy(&page[..page.len().min(2_000)]);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let beginning: String = text.chars().take(CHARACTERS_MAX).collect();
    let has_version = url.path().split('/').any(|part| part.starts_with('v') && part[1..].parse::<u8>().is_ok());
    let hint = if has_version { "" } else { "; the URL probably lacks /v1" };
    let message = format!("the server answers with a web page instead of JSON{hint}: {beginning}");
    Failure::new(FailureClass::Refused, FailureCode::Html, message)
}

/// What a call reveals beside its answer.
#[derive(Default)]
struct SideResults {
    /// Set where the server is of a kind that tells its capacity.
    server: Option<capacity::Kind>,
    limit_reset: Option<Duration>,
    adjusted: Vec<Adjustment>,
}

impl Model for HttpModel {
    fn ask<'a>(&'a self, call: Call<'a>) -> PendingCall<'a> {
        Box::pin(self.ask_in_time(call))
    }

    fn has_answered_before(&self) {
        self.host_name.prove();
    }

    fn offered_models(&self) -> PendingNames<'_> {
        Box::pin(self.list_models())
    }
}
