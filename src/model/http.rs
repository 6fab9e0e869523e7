use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::time::{Instant, sleep_until, timeout};

use super::failure::{Class, ErrorBody, Failure, Refusal};
use super::openai::{self, Assembler, LengthField, RequestFormat};
use super::secret::Secret;
use super::sse::{EventLines, LineTooLong};
use super::{Asking, Call, Model, Reply, scorer, wait};
use crate::conversation::{Answer, Question, estimate_tokens};

/// Most bytes of a reply that is not streamed.
const BODY_BYTES_MAX: usize = 64 << 20;
/// Most bytes of a refusal that are read.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// How long a stream whose answer is whole may take to count its tokens and end.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Below the five seconds after which vLLM, uvicorn, Node and llama-server close an idle connection.
const POOL_IDLE: Duration = Duration::from_secs(3);

/// How to speak with a server.
#[derive(Clone, Debug, Default)]
pub struct HttpSettings {
    /// Where the model is.
    pub url: String,
    /// The key, if the server wants one.
    pub key: Option<Secret>,
    /// Asks for the answer in one piece instead of a stream.
    pub whole: bool,
    /// Which field limits the answer's length.
    pub length_field: LengthField,
    /// Limits on waiting.
    pub timeouts: Timeouts,
    /// Tokens that the model can take, prompt and answer, where that is known.
    pub context_window: Option<u64>,
    /// Sends the conversation's name as `prompt_cache_key`, by which `OpenAI` and Mistral route to a warm cache.
    pub prompt_cache_key: bool,
    /// A reward model: messages in, a number out; see [`scorer`].
    pub is_scorer: bool,
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

/// The client cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot start: {0}")]
pub struct HttpSetupError(String);

/// A model behind an `OpenAI`-compatible server.
pub struct HttpModel {
    client: reqwest::Client,
    url: reqwest::Url,
    settings: HttpSettings,
    headers: HeaderMap,
    session_header: Option<HeaderName>,
    /// Set once the server has refused `max_tokens` and asked for the other field.
    length_field_switched: AtomicBool,
}

impl HttpModel {
    /// The dialect's name in fingerprints and settings.
    pub const DIALECT: &'static str = openai::DIALECT;

    /// Makes the client. Connections are HTTP/1.1, one for each call under way: a single HTTP/2 connection
    /// stalls at the server's 100 streams.
    pub fn new(settings: HttpSettings) -> Result<Self, HttpSetupError> {
        let fault = |error: &dyn std::fmt::Display| HttpSetupError(error.to_string());
        // Fails only where a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = &settings.key {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose()))
                .map_err(|_| fault(&"the API key holds characters that no header can carry"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let client = reqwest::Client::builder()
            .user_agent(concat!("cohobate/", env!("CARGO_PKG_VERSION")))
            .http1_only()
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(60))
            .connect_timeout(settings.timeouts.connect)
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(usize::MAX)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| fault(&error))?;
        let url = settings.url.parse().map_err(|error| fault(&error))?;
        let session_header = settings.session_header.as_deref().map(str::parse).transpose();
        let session_header = session_header.map_err(|_| fault(&"session-header is no name of a header"))?;
        Ok(Self { client, url, settings, headers, session_header, length_field_switched: AtomicBool::new(false) })
    }

    async fn ask_in_time(&self, call: Call<'_>) -> Reply {
        let limit = self.settings.timeouts.total;
        let mut rest = None;
        let answer = timeout(limit, self.ask_once(call, &mut rest)).await;
        let answer = answer.unwrap_or_else(|_| Err(timed_out("total", "the answer took over", limit)));
        Reply { result: answer.map_err(|failure| self.redacted(failure)), rest }
    }

    /// Asks. `rest` is set as soon as the reply's head says that the server's limits are used up.
    async fn ask_once(&self, call: Call<'_>, rest: &mut Option<Duration>) -> Result<Answer, Failure> {
        let Call { question, attempt, .. } = call;
        if let Some(failure) = self.too_long(question) {
            return Err(failure);
        }
        let response = self.send(call).await?;
        let status = response.status();
        let headers = response.headers();
        *rest = wait::from_limits(|name| headers.get(name)?.to_str().ok(), SystemTime::now());
        if !status.is_success() {
            let failure = refusal(response).await;
            if self.is_about_length_field(&failure) && !self.length_field_switched.swap(true, Ordering::AcqRel) {
                return Err(Failure { class: Class::AgainNow, ..failure });
            }
            return Err(failure);
        }
        let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if kind.starts_with("text/event-stream") && !self.settings.is_scorer {
            self.read_stream(response, question, attempt).await
        } else {
            let limit = self.settings.timeouts.first_byte;
            let body = timeout(limit, read_body(response, BODY_BYTES_MAX)).await;
            let body = body.map_err(|_| timed_out("idle", "no whole answer within", limit))??;
            if self.settings.is_scorer {
                return scorer::read(&body, question, attempt);
            }
            openai::read_whole(&body, question, attempt)
        }
    }

    /// Sends the request and waits for the reply's head.
    async fn send(&self, call: Call<'_>) -> Result<reqwest::Response, Failure> {
        let wants_session = self.settings.prompt_cache_key || self.session_header.is_some();
        let session = call.conversation.filter(|_| wants_session).map(|key| format!("{:016x}", key.prefix()));
        let format = RequestFormat {
            stream: !self.settings.whole,
            length_field: self.length_field(),
            cache_key: session.as_deref().filter(|_| self.settings.prompt_cache_key),
        };
        let body = if self.settings.is_scorer {
            scorer::request_body(call.question)
        } else {
            openai::request_body(call.question, &format)
        };
        let mut headers = self.headers.clone();
        if let Some((name, session)) = self.session_header.as_ref().zip(session.as_deref()) {
            headers.insert(name, HeaderValue::from_str(session).expect("hexadecimal digits are a header's value"));
        }
        let request = self.client.post(self.url.clone()).headers(headers).body(body);
        let limit = self.settings.timeouts.first_byte;
        let response = timeout(limit, request.send()).await;
        response
            .map_err(|_| timed_out("first_byte", "no reply within", limit))?
            .map_err(|error| connection_failure(&error))
    }

    async fn read_stream(
        &self,
        mut response: reqwest::Response,
        question: &Question,
        attempt: u32,
    ) -> Result<Answer, Failure> {
        let Timeouts { first_byte, idle, .. } = self.settings.timeouts;
        let mut lines = EventLines::default();
        let mut assembler = Assembler::default();
        let mut deadline = Instant::now() + first_byte;
        // One timer for the whole stream, set anew only when it fires: pieces come by the hundred.
        let mut alarm = std::pin::pin!(sleep_until(deadline));
        loop {
            let chunk = tokio::select! {
                biased;
                chunk = response.chunk() => chunk,
                () = &mut alarm => {
                    if deadline > Instant::now() {
                        alarm.as_mut().reset(deadline);
                        continue;
                    }
                    // The answer is whole: how the connection ends does not matter any more.
                    if assembler.has_ended() {
                        break;
                    }
                    return Err(timed_out("idle", "the stream stood still for", idle));
                }
            };
            let chunk = match chunk {
                Err(_) if assembler.has_ended() => break,
                chunk => chunk.map_err(|error| connection_failure(&error))?,
            };
            let Some(chunk) = chunk else {
                lines.finish(|payload| assembler.push(payload))?;
                break;
            };
            let mut progressed = false;
            lines.push(&chunk, |payload| {
                progressed = true;
                assembler.push(payload)
            })?;
            if assembler.sees_loop() {
                break;
            }
            if progressed && assembler.has_ended() {
                deadline = Instant::now() + idle.min(LAST_WORDS);
                alarm.as_mut().reset(deadline);
            } else if progressed {
                deadline = Instant::now() + idle;
                if deadline < alarm.deadline() {
                    alarm.as_mut().reset(deadline);
                }
            }
        }
        assembler.finish(question, attempt)
    }

    /// Refuses a question that the window cannot hold. Estimates err: only what is over by a quarter is refused
    /// here, the rest is left to the server, whose refusal costs nothing.
    fn too_long(&self, question: &Question) -> Option<Failure> {
        let window = self.settings.context_window?;
        let prompt: u64 = question.messages.iter().map(|message| estimate_tokens(message.content())).sum();
        let answer = question.target.sampling().max_tokens.map_or(0, u64::from);
        (prompt * 3 / 4 + answer > window).then(|| {
            let message =
                format!("about {prompt} tokens of prompt and {answer} of answer are over the window of {window}");
            Failure::new(Class::NeverThisQuestion, "context", message)
        })
    }

    fn length_field(&self) -> LengthField {
        match (self.settings.length_field, self.length_field_switched.load(Ordering::Acquire)) {
            (field, false) => field,
            (LengthField::MaxTokens, true) => LengthField::MaxCompletionTokens,
            (LengthField::MaxCompletionTokens, true) => LengthField::MaxTokens,
        }
    }

    fn is_about_length_field(&self, failure: &Failure) -> bool {
        let name = match self.settings.length_field {
            LengthField::MaxTokens => "max_tokens",
            LengthField::MaxCompletionTokens => "max_completion_tokens",
        };
        let message = &failure.message;
        failure.class == Class::NeverThisQuestion
            && message.contains(name)
            && (message.contains("nsupported parameter") || message.contains("xtra inputs are not permitted"))
    }

    fn redacted(&self, failure: Failure) -> Failure {
        match &self.settings.key {
            Some(key) => Failure { message: key.redact(&failure.message), ..failure },
            None => failure,
        }
    }
}

impl Model for HttpModel {
    fn ask<'a>(&'a self, call: Call<'a>) -> Asking<'a> {
        Box::pin(self.ask_in_time(call))
    }
}

impl From<LineTooLong> for Failure {
    fn from(_: LineTooLong) -> Self {
        Failure::new(Class::AgainLater, "garbage", "the stream holds a line of over 8 MB")
    }
}

/// Reads a refused request's reply and classifies it.
async fn refusal(response: reqwest::Response) -> Failure {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let body = timeout(Duration::from_secs(30), read_body(response, ERROR_BYTES_MAX)).await;
    let error = body.ok().and_then(Result::ok).map(|body| ErrorBody::parse(&body)).unwrap_or_default();
    let now = SystemTime::now();
    let named = wait::from_headers(header, now).or_else(|| wait::from_message(&error.message));
    let retry_after = named.or_else(|| wait::from_limits(header, now));
    let should_retry = header("x-should-retry").and_then(|value| value.parse().ok());
    Refusal { status, should_retry, retry_after, error }.into_failure()
}

async fn read_body(mut response: reqwest::Response, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| connection_failure(&error))? {
        if body.len() + chunk.len() > bytes_max {
            return Err(Failure::new(Class::AgainLater, "too_long", format!("the reply is over {bytes_max} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Tells a server that is not there from one that hung up.
fn connection_failure(error: &reqwest::Error) -> Failure {
    let mut chain = Vec::new();
    let mut source: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(cause) = source {
        chain.push(cause.to_string());
        source = cause.source();
    }
    let said = chain.last().cloned().unwrap_or_else(|| error.to_string());
    let all = chain.join(": ");
    if error.is_connect() {
        // A wrong certificate does not become right by waiting.
        let (class, code) =
            if all.contains("certificate") { (Class::NeverThisRun, "tls") } else { (Class::Outage, "connect") };
        return Failure::new(class, code, format!("cannot connect: {said}"));
    }
    let raced = all.contains("connection closed before message completed") || all.contains("IncompleteMessage");
    if error.is_request() && raced {
        return Failure::new(Class::AgainNow, "closed", "the server closed the connection before it answered");
    }
    if error.is_request() {
        return Failure::new(Class::AgainLater, "connection", said);
    }
    Failure::new(Class::AgainLater, "cut", format!("the reply was cut: {said}"))
}

fn timed_out(which: &str, what: &str, limit: Duration) -> Failure {
    Failure::new(Class::AgainLater, format!("timeout_{which}"), format!("{what} {} s", limit.as_secs_f64()))
}
