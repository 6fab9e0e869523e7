//! Requests to the Hub: when they are sent again, where redirects may lead, and who gets the token.

use std::future::Future;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, LINK, LOCATION, RANGE, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use serde_json::Value;

use super::Follow;
use super::error::HubError;
use super::reference::HubReference;
use super::settings::HubSettings;
use crate::model::{Origin, USER_AGENT};

/// Times that a request is sent before it has failed.
pub const TRIES_MAX: u32 = 5;
/// Wait before the second try; it doubles each time.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Longest wait that the Hub may ask for.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Time limit for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(20);
/// Time limit for the head of a reply, and for each further piece of it.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How often it is asked whether anybody still waits.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
const REDIRECTS_MAX: usize = 10;
/// Most bytes of a reply in JSON.
const JSON_BYTES_MAX: usize = 64 << 20;
/// Most bytes of a refusal that are read.
const REFUSAL_BYTES_MAX: usize = 64 << 10;

/// Sends requests about one dataset.
pub struct Client<'a> {
    http: reqwest::Client,
    endpoint: Url,
    settings: &'a HubSettings,
    reference: &'a HubReference,
    follow: &'a Follow<'a>,
}

/// Runs requests to their end, on a thread of their own: the caller may be inside another runtime.
pub fn run<T: Send>(work: impl Future<Output = Result<T, HubError>> + Send) -> Result<T, HubError> {
    let fault = |error: &dyn std::fmt::Display| HubError::unavailable(format!("cannot ask the Hub: {error}"));
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("hub".to_owned()).spawn_scoped(scope, || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(|error| fault(&error))?.block_on(work)
        });
        let thread = thread.map_err(|error| fault(&error))?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

impl<'a> Client<'a> {
    /// Makes a client for requests about a dataset.
    pub fn new(
        settings: &'a HubSettings,
        reference: &'a HubReference,
        follow: &'a Follow<'a>,
    ) -> Result<Self, HubError> {
        // Fails only if a provider is already installed, which is equally good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let endpoint = settings.endpoint.trim_end_matches('/').parse::<Url>().ok();
        let endpoint = endpoint.filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
        let endpoint = endpoint.ok_or_else(|| {
            HubError::refused(
                format!("HF_ENDPOINT is `{}`, which is no URL", settings.endpoint),
                "write the URL of the Hub, such as https://huggingface.co",
            )
        })?;
        let http = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_MAX)
            // Each redirect is followed here, because only the Hub itself gets the token.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| HubError::unavailable(format!("cannot ask the Hub: {error}")))?;
        Ok(Self { http, endpoint, settings, reference, follow })
    }

    /// Returns the dataset that the requests are about.
    pub fn reference(&self) -> &HubReference {
        self.reference
    }

    /// True where no request is sent.
    pub fn is_offline(&self) -> bool {
        self.settings.is_offline
    }

    /// Returns a URL of the Hub; each segment is escaped.
    pub fn url<'s>(&self, segments: impl IntoIterator<Item = &'s str>) -> Url {
        let mut url = self.endpoint.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// Returns JSON, and the URL of the next page where there is one.
    pub async fn json(&self, url: Url) -> Result<(Value, Option<Url>), HubError> {
        let mut tries = 1;
        loop {
            let response = self.get(url.clone(), None).await?;
            let next = next_page(&response, &url);
            match self.body(response, JSON_BYTES_MAX).await {
                Ok(bytes) => {
                    let value = serde_json::from_slice(&bytes)
                        .map_err(|error| HubError::unavailable(format!("the reply of {url} is not JSON: {error}")))?;
                    return match next {
                        Some(next) if Origin::of(next.as_str()) != self.origin() => {
                            Err(HubError::unavailable(format!("the list of files continues at another host, {next}")))
                        }
                        next => Ok((value, next)),
                    };
                }
                Err(error) if tries >= TRIES_MAX => return Err(error),
                Err(_) => self.wait(backoff(tries)).await?,
            }
            tries += 1;
        }
    }

    /// Returns a reply that succeeded, after redirects and further tries. `from` leaves out the first bytes; the status
    /// says whether the server has done so. Where there are no bytes from there on, the reply is a 416.
    pub async fn get(&self, url: Url, from: Option<u64>) -> Result<Response, HubError> {
        let mut tries = 1;
        loop {
            let (wait, error) = match self.follow_redirects(url.clone(), from).await {
                Ok(response)
                    if response.status().is_success() || response.status() == StatusCode::RANGE_NOT_SATISFIABLE =>
                {
                    return Ok(response);
                }
                Ok(response) => {
                    let (status, wait) = (response.status(), asked_wait(&response));
                    let error = self.refusal(response).await;
                    if !is_transient(status) {
                        return Err(error);
                    }
                    (wait, error)
                }
                Err(error) => (None, error),
            };
            if tries >= TRIES_MAX || !(self.follow.may_go_on)() {
                return Err(error);
            }
            self.wait(wait.unwrap_or_else(|| backoff(tries))).await?;
            tries += 1;
        }
    }

    async fn follow_redirects(&self, mut url: Url, from: Option<u64>) -> Result<Response, HubError> {
        for _ in 0..REDIRECTS_MAX {
            let mut request = self.http.get(url.clone());
            if let Some(from) = from {
                request = request.header(RANGE, format!("bytes={from}-"));
            }
            if let Some(token) = self.token_for(&url) {
                request = request.header(AUTHORIZATION, token);
            }
            let response = self.attend(request.send(), &url).await?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).and_then(|to| url.join(to).ok());
            url = to.ok_or_else(|| HubError::unavailable(format!("{} redirects to nowhere", shown(&url))))?;
        }
        Err(HubError::unavailable(format!("{} redirects without an end", shown(&url))))
    }

    /// Returns the header with the token, for the Hub's own server alone, and only where nobody else can read it.
    fn token_for(&self, url: &Url) -> Option<reqwest::header::HeaderValue> {
        let origin = Origin::of(url.as_str()).filter(Origin::is_private)?;
        let is_own = Some(&origin) == self.origin().as_ref();
        self.settings.token.as_ref().filter(|_| is_own)?.bearer()
    }

    fn origin(&self) -> Option<Origin> {
        Origin::of(self.endpoint.as_str())
    }

    /// Reads the next piece of a reply; `None` at its end.
    pub async fn piece(&self, response: &mut Response) -> Result<Option<Vec<u8>>, HubError> {
        let url = response.url().clone();
        Ok(self.attend(response.chunk(), &url).await?.map(|bytes| bytes.to_vec()))
    }

    async fn body(&self, mut response: Response, bytes_max: usize) -> Result<Vec<u8>, HubError> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece(&mut response).await? {
            if body.len() + piece.len() > bytes_max {
                return Err(HubError::unavailable(format!("a reply of the Hub is larger than {} MB", bytes_max >> 20)));
            }
            body.extend(piece);
        }
        Ok(body)
    }

    /// Waits for a reply, for as long as a server may be silent and somebody waits.
    async fn attend<T>(&self, reply: impl Future<Output = reqwest::Result<T>>, url: &Url) -> Result<T, HubError> {
        let lost = |reason: &str| HubError::unavailable(format!("{} cannot be read: {reason}", shown(url)));
        let silence = tokio::time::sleep(SILENCE_MAX);
        let (mut reply, mut silence) = (std::pin::pin!(reply), std::pin::pin!(silence));
        loop {
            tokio::select! {
                done = &mut reply => return done.map_err(|error| lost(&reason(&error))),
                () = &mut silence => return Err(lost(&format!("no answer for {} s", SILENCE_MAX.as_secs()))),
                () = tokio::time::sleep(LOOK_INTERVAL) => self.check_stop()?,
            }
        }
    }

    /// Waits before a further try.
    pub async fn wait(&self, time: Duration) -> Result<(), HubError> {
        let end = tokio::time::Instant::now() + time.min(WAIT_MAX);
        while tokio::time::Instant::now() < end {
            self.check_stop()?;
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            tokio::time::sleep(left.min(LOOK_INTERVAL)).await;
        }
        Ok(())
    }

    /// Fails once nobody waits any more.
    pub fn check_stop(&self) -> Result<(), HubError> {
        if (self.follow.may_go_on)() {
            return Ok(());
        }
        let message = format!("stopped while {} was read from the Hub", self.reference.repository());
        Err(HubError {
            hint: "run the same command again; what is downloaded is kept".to_owned(),
            ..HubError::unavailable(message)
        })
    }

    async fn refusal(&self, response: Response) -> HubError {
        let status = response.status();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (code, said, url) = (header("x-error-code"), header("x-error-message"), shown(response.url()));
        let said = match said {
            Some(said) => said,
            None => {
                let body = self.body(response, REFUSAL_BYTES_MAX).await.unwrap_or_default();
                let value: Value = serde_json::from_slice(&body).unwrap_or_default();
                value["error"].as_str().unwrap_or_default().to_owned()
            }
        };
        let said: String = said.chars().filter(|letter| !letter.is_control()).take(300).collect();
        let (what, revision) = (self.reference.repository(), self.reference.revision_or_main());
        let page = format!("{}/datasets/{what}", self.settings.endpoint.trim_end_matches('/'));
        let has_token = self.settings.token.is_some();
        match (code.as_deref(), status.as_u16()) {
            (Some("GatedRepo"), _) => HubError::refused(
                format!("the dataset {what} is gated: the Hub answers {status}"),
                format!("accept its conditions at {page}, and set HF_TOKEN to a token of that account"),
            ),
            (Some("RevisionNotFound"), _) => HubError::refused(
                format!("the dataset {what} has no revision {revision}"),
                "write @REVISION as a branch, a tag or a commit",
            ),
            (Some("EntryNotFound"), _) => {
                HubError::refused(format!("{url} is not on the Hub"), format!("look at {page}/tree/{revision}"))
            }
            (_, 401) if has_token => HubError::refused(
                format!("the Hub does not accept the token, or there is no dataset {what}: {status}"),
                "check the name, and the token in HF_TOKEN; `hf auth login` stores a new one",
            ),
            (_, 401 | 404) if !has_token => HubError::refused(
                format!("there is no dataset {what} on the Hub, or it is private: {status}"),
                "check the name; for a private dataset set HF_TOKEN, or run `hf auth login`",
            ),
            (_, 404) => HubError::refused(
                format!("there is no dataset {what} on the Hub that the token may read: {status}"),
                "check the name, and what the token may read",
            ),
            (_, 401 | 403) => HubError::refused(
                format!("the Hub does not let this be read: {url}: {status} {said}"),
                format!("look at {page}; HF_TOKEN has to hold a token that may read it"),
            ),
            (_, 408 | 429 | 500..) => HubError::unavailable(format!("the Hub answers {status} for {url}: {said}")),
            _ => HubError::refused(format!("the Hub answers {status} for {url}: {said}"), format!("look at {page}")),
        }
    }
}

fn is_transient(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 429)
}

/// Returns the wait before the try after this one.
pub fn backoff(tries: u32) -> Duration {
    FIRST_WAIT * 2_u32.pow(tries.saturating_sub(1).min(6))
}

fn asked_wait(response: &Response) -> Option<Duration> {
    response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// Returns the URL of a list's next page (RFC 8288).
fn next_page(response: &Response, url: &Url) -> Option<Url> {
    let links = response.headers().get_all(LINK).iter().filter_map(|link| link.to_str().ok());
    let next = links.flat_map(|links| links.split(',')).find(|link| link.contains("rel=\"next\""))?;
    url.join(next.split_once('<')?.1.split_once('>')?.0).ok()
}

/// Returns a URL for a message. A query may hold a signature, which is as good as a key.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_password(None);
    url.to_string()
}

/// Returns why a request failed, without its URL.
fn reason(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    if text.is_empty() { "the connection failed".to_owned() } else { text }
}
