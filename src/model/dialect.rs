use std::fmt;

use super::failure::Failure;
use super::refusal::{ErrorBody, RefusedRequest};
use super::request::{Header, Learned, RequestFormat};
use super::sse::StreamEvent;
use crate::conversation::{Answer, Question};

/// One wire format: how a question is asked, how its answer is read, what a refusal means. Pure: no I/O, no clock.
///
/// [`HttpModel`](super::HttpModel) sends for any dialect. [`DIALECTS`](super::DIALECTS) lists those that the
/// configuration can name; a new one is a folder with an implementation and a line in that list.
///
/// Only [`name`](Dialect::name), [`body`](Dialect::body) and [`read_whole`](Dialect::read_whole) must be written. This
/// dialect sends the last message as it is and takes the reply as it is:
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
///     fn headers(&self) -> Vec<Header> {
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
///         })
///     }
/// }
///
/// use cohobate::conversation::{Sampling, Slot, Target};
///
/// let target = Target::new("parrot", PlainText.name(), Sampling::default());
/// let messages = vec![Message::new(Role::User, "Hello")];
/// let question = Question { slot: Slot::main(0), target, sample: 0, messages };
/// let body = PlainText.body(&question, &RequestFormat::default())?;
/// assert_eq!(PlainText.read_whole(&body, &question, 1)?.text(), "Hello");
/// assert!(!PlainText.streams());
/// # Ok::<(), Failure>(())
/// ```
pub trait Dialect: Send + Sync {
    /// Returns its name in fingerprints and in the configuration. It never changes: with another name, every stored
    /// answer would belong to another question.
    fn name(&self) -> &'static str;

    /// Returns what it can do.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Returns the headers of every request, the one that carries the key included. Asked once for each server.
    fn headers(&self) -> Vec<Header> {
        vec![Header::JSON, Header::BEARER]
    }

    /// Returns a request's body, or why the format cannot ask this question.
    fn body(&self, question: &Question, format: &RequestFormat<'_>) -> Result<Vec<u8>, Failure>;

    /// Reads a reply that came in one piece.
    fn read_whole(&self, body: &[u8], question: &Question, attempt: u32) -> Result<Answer, Failure>;

    /// Returns a reader for a reply that comes as a stream of events; `None` where the format has none.
    fn assembler(&self) -> Option<Box<dyn Assembler>> {
        None
    }

    /// True where replies can be streamed.
    fn streams(&self) -> bool {
        self.assembler().is_some()
    }

    /// Decides what a refused request means. Error bodies of the usual forms and the statuses of HTTP are understood
    /// where a dialect does not say otherwise.
    fn failure_of(&self, refusal: RefusedRequest<'_>) -> Failure {
        refusal.into_failure(ErrorBody::parse(refusal.body))
    }

    /// Returns what the refusal of a request in `format` says about how this server wants its requests, where that is
    /// not in `format.learned` yet. The question is asked again at once, with it.
    fn learn(&self, failure: &Failure, format: &RequestFormat<'_>) -> Option<Learned> {
        let _ = (failure, format);
        None
    }
}

impl fmt::Debug for dyn Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Puts an answer together from a stream.
pub trait Assembler: Send {
    /// Takes the next event.
    fn push(&mut self, event: StreamEvent<'_>) -> Result<(), Failure>;

    /// True where the reason for the end is known: only a count of tokens may still come. How the connection ends does
    /// not matter any more.
    fn has_ended(&self) -> bool;

    /// True where the answer has become a loop, so that nothing that still comes is worth its price. Ended now, it is
    /// kept as an answer with the reason `loop`.
    fn sees_loop(&mut self) -> bool {
        false
    }

    /// Ends the stream. An answer without a known reason for its end is a failure.
    fn finish(self: Box<Self>, question: &Question, attempt: u32) -> Result<Answer, Failure>;
}

/// What a dialect can do. The default is the least that a model of text needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// What a model gives.
    pub output: Output,
    /// Where a model lives at the address that a person writes.
    pub path: EndpointPath,
    /// Takes [`RequestFormat::cache_key`].
    pub takes_cache_key: bool,
}

/// What a model gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// Text, which costs tokens.
    #[default]
    Text,
    /// One number, which costs none.
    Number,
}

/// Where a model lives at the address that a person writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndpointPath {
    /// The address is taken as it is.
    #[default]
    AsGiven,
    /// This path is added where the address does not end in it, after `/v1` where the address has no path at all.
    Below(&'static str),
}
