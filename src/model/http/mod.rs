//! The HTTP transport. It handles URLs, headers, clocks and connections; the [`Dialect`] writes requests and reads
//! replies.

mod client;
mod detail;
mod host_name;
mod offered;
mod reply;
mod settings;

pub use settings::{HttpSettings, Timeouts};

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::time::{Instant, timeout};

use super::dialect::Dialect;
use super::failure::{Failure, FailureClass};
use super::refusal::RefusedRequest;
use super::request::{Header, HeaderText, Learned, RequestFormat};
use super::secret::Secret;
use super::{Call, CallResult, Model, PendingCall, PendingNames, wait};
use crate::conversation::{Answer, FailureCode, Question, TimeoutKind, estimate_tokens};
use client::client;
use detail::{with_location, with_proxy, without_key};
use host_name::HostName;
use reply::{connection_failure, read_error, read_full_body, read_stream, timed_out};

/// The HTTP client cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot start: {0}")]
pub struct HttpSetupError(String);

/// A model on a server, in any [`Dialect`].
pub struct HttpModel {
    client: reqwest::Client,
    url: reqwest::Url,
    settings: HttpSettings,
    dialect: &'static dyn Dialect,
    headers: HeaderMap,
    session_header: Option<HeaderName>,
    host_name: HostName,
    /// Requests streamed answers.
    stream: bool,
    /// Sends the conversation's key in the body.
    sends_cache_key: bool,
    /// The settings learned from the server's refusals, as the bits of [`Learned`].
    learned: AtomicU32,
}

impl HttpModel {
    /// Makes the client and the headers of its requests.
    pub fn new(settings: HttpSettings) -> Result<Self, HttpSetupError> {
        let fault = |error: &dyn std::fmt::Display| HttpSetupError(error.to_string());
        let client = client(&settings)?;
        let session_header = settings.session_header.as_deref().map(str::parse).transpose();
        let dialect = settings.dialect;
        Ok(Self {
            client,
            url: settings.url.parse().map_err(|error| fault(&error))?,
            dialect,
            headers: header_map(dialect, settings.key.as_ref())?,
            session_header: session_header.map_err(|_| fault(&"session-header is not a valid header name"))?,
            host_name: HostName::new(Arc::clone(&settings.has_replied)),
            stream: !settings.whole && dialect.streams(),
            sends_cache_key: settings.prompt_cache_key && dialect.capabilities().takes_cache_key,
            settings,
            learned: AtomicU32::default(),
        })
    }

    async fn ask_in_time(&self, call: Call<'_>) -> CallResult {
        let limit = self.settings.timeouts.total;
        let mut limit_reset = None;
        let answer = timeout(limit, self.ask_once(call, &mut limit_reset)).await;
        let answer = answer.unwrap_or_else(|_| Err(timed_out(TimeoutKind::Total, "the answer took over", limit)));
        CallResult { result: answer.map_err(|failure| self.redacted(self.explained(failure))), limit_reset }
    }

    /// Adds to a failure what only the transport knows.
    fn explained(&self, failure: Failure) -> Failure {
        let failure = self.host_name.judge(failure, self.url.host_str().unwrap_or_default(), Instant::now());
        let failure = with_proxy(failure, self.settings.proxy.as_deref());
        if self.settings.key.is_none() { without_key(failure, &self.settings.url) } else { failure }
    }

    /// Sends a question. `limit_reset` is set as soon as the reply's headers report an exhausted rate limit.
    async fn ask_once(&self, call: Call<'_>, limit_reset: &mut Option<Duration>) -> Result<Answer, Failure> {
        let Call { question, attempt, .. } = call;
        if let Some(failure) = self.check_window(question) {
            return Err(failure);
        }
        let session = self.session_name(call);
        let format = self.request_format(session.as_deref());
        let response = self.send(question, &format, session.as_deref()).await?;
        self.host_name.prove();
        let headers = response.headers();
        *limit_reset = wait::from_limits(|name| headers.get(name)?.to_str().ok(), SystemTime::now());
        if !response.status().is_success() {
            let failure = self.read_refusal(response).await;
            return Err(self.learn_from(failure, &format));
        }
        let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let timeouts = self.settings.timeouts;
        let is_stream = kind.starts_with("text/event-stream");
        match is_stream.then(|| self.dialect.assembler()).flatten() {
            Some(assembler) => read_stream(response, assembler, timeouts).await?.finish(question, attempt),
            None => self.dialect.read_whole(&read_full_body(response, timeouts).await?, question, attempt),
        }
    }

    /// Returns the conversation's key for the server, if one is sent.
    fn session_name(&self, call: Call<'_>) -> Option<String> {
        let is_sent = self.sends_cache_key || self.session_header.is_some();
        call.conversation.filter(|_| is_sent).map(|key| format!("{:016x}", key.prefix()))
    }

    fn request_format<'a>(&self, session: Option<&'a str>) -> RequestFormat<'a> {
        RequestFormat {
            stream: self.stream,
            length_field: self.settings.length_field,
            cache_key: session.filter(|_| self.sends_cache_key),
            learned: Learned(self.learned.load(Ordering::Acquire)),
        }
    }

    /// Sends the request and waits for the reply's headers.
    async fn send(
        &self,
        question: &Question,
        format: &RequestFormat<'_>,
        session: Option<&str>,
    ) -> Result<reqwest::Response, Failure> {
        let body = self.dialect.body(question, format)?;
        let mut headers = self.headers.clone();
        if let Some((name, session)) = self.session_header.as_ref().zip(session) {
            headers.insert(name, HeaderValue::from_str(session).expect("hexadecimal digits are a header's value"));
        }
        let request = self.client.post(self.url.clone()).headers(headers).body(body);
        let limit = self.settings.timeouts.first_byte;
        let response = timeout(limit, request.send()).await;
        response
            .map_err(|_| timed_out(TimeoutKind::FirstByte, "no reply within", limit))?
            .map_err(|error| connection_failure(&error))
    }

    /// Reads a refused request's reply and has the dialect classify it.
    async fn read_refusal(&self, response: reqwest::Response) -> Failure {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let body = read_error(response).await;
        let now = SystemTime::now();
        let failure = self.dialect.failure_of(RefusedRequest {
            status,
            body: &body,
            should_retry: header("x-should-retry").and_then(|value| value.parse().ok()),
            retry_after: wait::from_headers(header, now),
            limit_reset: wait::from_limits(header, now),
        });
        with_location(failure, header("location"), &self.url)
    }

    /// Makes the failure retry at once if the refusal reveals a setting of the server. Each refusal is judged by its
    /// own request's format, so calls that were in flight at the time are retried too.
    fn learn_from(&self, failure: Failure, format: &RequestFormat<'_>) -> Failure {
        let learned = self.dialect.learn(&failure, format).filter(|learned| !format.learned.has(*learned));
        let Some(learned) = learned else { return failure };
        self.learned.fetch_or(learned.0, Ordering::AcqRel);
        Failure { class: FailureClass::RetryNow, ..failure }
    }

    /// Refuses a question that exceeds the context window. Estimates are inexact: only a question that is over by a
    /// quarter is refused here. The rest is left to the server, whose refusal costs nothing.
    fn check_window(&self, question: &Question) -> Option<Failure> {
        let window = self.settings.context_window?;
        let prompt: u64 = question.messages.iter().map(|message| estimate_tokens(message.content())).sum();
        let answer = question.target.sampling().max_tokens.map_or(0, u64::from);
        (prompt * 3 / 4 + answer > window).then(|| {
            let message = format!(
                "about {prompt} prompt tokens and {answer} answer tokens exceed the context window of {window}"
            );
            Failure::new(FailureClass::Permanent, FailureCode::Context, message)
        })
    }

    fn redacted(&self, failure: Failure) -> Failure {
        match &self.settings.key {
            Some(key) => Failure { message: key.redact(&failure.message), ..failure },
            None => failure,
        }
    }
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

/// Returns a dialect's headers; the key's header only if there is a key.
fn header_map(dialect: &dyn Dialect, key: Option<&Secret>) -> Result<HeaderMap, HttpSetupError> {
    let mut headers = HeaderMap::new();
    for Header { name, value } in dialect.headers() {
        let fault = |what: &str| HttpSetupError(format!("{what} contains characters that are invalid in a header"));
        let header: HeaderName = name.parse().map_err(|_| fault(&format!("the header `{name}`")))?;
        let value = match (value, key) {
            (HeaderText::Fixed(text), _) => {
                HeaderValue::from_str(text).map_err(|_| fault(&format!("the header `{name}`")))?
            }
            (HeaderText::Key(prefix), Some(key)) => {
                let text = format!("{prefix}{}", key.expose());
                let mut value = HeaderValue::from_str(&text).map_err(|_| fault("the API key"))?;
                value.set_sensitive(true);
                value
            }
            (HeaderText::Key(_), None) => continue,
        };
        headers.insert(header, value);
    }
    Ok(headers)
}
