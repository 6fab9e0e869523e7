use std::fmt;

use super::failure::Failure;
use super::family::ServerFamily;
use super::learned::Adjustment;
use super::refusal::{ErrorBody, RefusedRequest};
use super::request::{Header, RefusedCall, RequestFormat};
use super::sse::StreamEvent;
use crate::conversation::{Answer, Question, ServiceTier};

/// One wire format: it writes requests, reads replies and classifies refusals. Pure: no I/O, no clock.
///
/// [`HttpModel`](super::HttpModel) works with any dialect. [`DIALECTS`](super::DIALECTS) lists those that the
/// configuration can name; a new dialect is a folder with an implementation and a line in that list.
///
/// [`name`](Dialect::name), [`body`](Dialect::body) and [`read_whole`](Dialect::read_whole) are required. This dialect
/// sends the last message unchanged and uses the reply unchanged:
///
/// ```
/// use cohobate::conversation::{Answer, Finish, Message, Question, Role, Usage};
/// use cohobate::model::{Dialect, Failure, Header, RequestFormat};
///
/// struct PlainText;
///
/// impl Dialect for PlainText {
///     fn name(&self) -> &'static str {
///         "plain-text"
///     }
///
///     fn headers(&self, _: Option<&str>) -> Vec<Header> {
///         vec![Header::fixed("content-type", "text/plain"), Header::key("x-api-key", "")]
///     }
///
///     fn body(&self, question: &Question, _: &RequestFormat<'_>) -> Result<Vec<u8>, Failure> {
///         Ok(question.messages.last().map_or("", |message| message.content()).into())
///     }
///
///     fn read_whole(&self, body: &[u8], question: &Question, attempt: u32) -> Result<Answer, Failure> {
///         Ok(Answer {
///             message: Message::new(Role::Assistant, String::from_utf8_lossy(body)),
///             reasoning: None,
///             finish: Finish::Complete,
///             finish_reason: "stop".to_owned(),
///             model: question.target.model().to_owned(),
///             system_fingerprint: None,
///             usage: Usage::default(),
///             attempts: attempt,
///             dropped: Vec::new(),
///             tokens: None,
///         })
///     }
/// }
///
/// use cohobate::conversation::{Sampling, Slot, Target};
///
/// let target = Target::new("parrot", PlainText.name(), Sampling::default());
/// let messages = vec![Message::new(Role::User, "Hello")];
/// let question = Question { slot: Slot::main(0), target, sample: 0, messages: messages.into() };
/// let body = PlainText.body(&question, &RequestFormat::default())?;
/// assert_eq!(PlainText.read_whole(&body, &question, 1)?.text(), "Hello");
/// assert!(!PlainText.streams());
/// # Ok::<(), Failure>(())
/// ```
pub trait Dialect: Send + Sync {
    /// Returns the dialect's name in fingerprints and in the configuration. The name must never change: it is part of
    /// every stored question's fingerprint.
    fn name(&self) -> &'static str;

    /// Returns the dialect's capabilities.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Returns the hosts that speak this dialect unless the configuration says otherwise.
    fn hosts(&self) -> &'static [&'static str] {
        &[]
    }

    /// Returns the headers of every request, including the one that carries the key. Called once for each server.
    /// `api_version` is the configured version, which only a dialect with versions gets.
    fn headers(&self, api_version: Option<&str>) -> Vec<Header> {
        let _ = api_version;
        vec![Header::JSON, Header::BEARER]
    }

    /// Returns how servers of this dialect are told to reason; `None` if that depends on the server.
    fn family(&self) -> Option<ServerFamily> {
        None
    }

    /// Returns a request's body, or the reason why the format cannot express this question.
    fn body(&self, question: &Question, format: &RequestFormat<'_>) -> Result<Vec<u8>, Failure>;

    /// Reads a reply that is not streamed.
    fn read_whole(&self, body: &[u8], question: &Question, attempt: u32) -> Result<Answer, Failure>;

    /// Returns a reader for a streamed reply; `None` if the format has no streaming.
    fn assembler(&self) -> Option<Box<dyn Assembler>> {
        None
    }

    /// True if replies can be streamed.
    fn streams(&self) -> bool {
        self.assembler().is_some()
    }

    /// Classifies a refused request. The default understands the usual error bodies and HTTP statuses.
    fn failure_of(&self, refusal: RefusedRequest<'_>) -> Failure {
        refusal.into_failure(ErrorBody::parse(refusal.body))
    }

    /// Returns settings of this server that a refusal reveals. The question is retried at once with those that its own
    /// request did not have; without any, the refusal stands.
    fn learn(&self, refused: &RefusedCall<'_>) -> Vec<Adjustment> {
        let _ = refused;
        Vec::new()
    }
}

impl fmt::Debug for dyn Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Assembles an answer from a stream.
pub trait Assembler: Send {
    /// Processes the next event.
    fn push(&mut self, event: StreamEvent<'_>) -> Result<(), Failure>;

    /// True once the finish reason is known and final: only token counts may still follow, and a broken connection no
    /// longer matters.
    fn has_ended(&self) -> bool;

    /// True once the stream has said that nothing follows. Until then more may follow a pause.
    fn is_marked_as_ended(&self) -> bool {
        self.has_ended()
    }

    /// True if the answer may be over where the body has no mark of its end and the connection just closes.
    fn ends_with_connection(&self) -> bool {
        true
    }

    /// True if the answer repeats itself endlessly, so that reading on only costs tokens. The answer is then kept with
    /// the finish reason `loop`.
    fn sees_loop(&mut self) -> bool {
        false
    }

    /// Ends the stream. An answer without a known finish reason is a failure.
    fn finish(self: Box<Self>, question: &Question, attempt: u32) -> Result<Answer, Failure>;
}

/// The capabilities of a dialect. The default is the minimum for a text model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each names a capability of its own")]
pub struct Capabilities {
    /// The kind of output.
    pub output: Output,
    /// How the user's base URL is completed.
    pub path: EndpointPath,
    /// True if requests support [`RequestFormat::cache_key`].
    pub takes_cache_key: bool,
    /// True if requests support [`RequestFormat::cache_control`].
    pub takes_cache_control: bool,
    /// True if requests support [`RequestFormat::structured`].
    pub takes_schema: bool,
    /// True if servers may give the token ids of prompts and answers.
    pub gives_tokens: bool,
    /// The tiers that requests can ask for, besides the standard one.
    pub tiers: &'static [ServiceTier],
    /// True if requests name a version of the API, which is configurable.
    pub has_versions: bool,
}

/// The kind of output that a model produces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// Text, which costs tokens.
    #[default]
    Text,
    /// One number, which costs no tokens.
    Number,
}

/// How the user's base URL is completed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndpointPath {
    /// The URL is used unchanged.
    #[default]
    AsGiven,
    /// This path is appended unless the URL ends in it; after `/v1` if the URL has no path at all.
    Below(&'static str),
    /// This path is appended unless the URL ends in it, after a version such as `/v1`, which is added if it is missing.
    BelowVersion(&'static str),
}
