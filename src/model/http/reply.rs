//! Reads the body of a reply: whole, or event by event with timeouts.

use std::time::Duration;

use hyper::body::Bytes;
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::decoding::Decoding;
use super::kind::{ReplyKind, start_of};
use super::settings::Timeouts;
use crate::conversation::{FailureCode, TimeoutKind};
use crate::model::dialect::Assembler;
use crate::model::failure::{Failure, FailureClass};
use crate::model::json::Json;
use crate::model::rejected::Excerpt;
use crate::model::sse::{EventLines, LineTooLong};

/// Maximum bytes of a reply that is not streamed.
const BODY_BYTES_MAX: usize = 64 << 20;
/// Maximum bytes that are read of a refusal.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// Time limit for a refusal's body; after it the status alone decides.
const ERROR_BODY_TIME: Duration = Duration::from_secs(30);
/// Time limit for the token counts and the end of a stream that says that it has ended.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Time limit for the end of a stream after a finish reason. Text may still follow.
const END_OF_STREAM: Duration = Duration::from_secs(30);

/// The body of a reply while it is read.
pub struct ReplyBody {
    response: reqwest::Response,
    decoding: Decoding,
    /// A bounded part of the text, for a person to look at if it is rejected.
    pub excerpt: Excerpt,
    /// True if the transfer marks the end of the body, so that a closed connection cannot look like one.
    is_delimited: bool,
    has_ended: bool,
}

impl ReplyBody {
    pub fn new(response: reqwest::Response) -> Self {
        let headers = response.headers();
        let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Self {
            decoding: Decoding::of(encoding),
            excerpt: Excerpt::default(),
            is_delimited: headers.contains_key(TRANSFER_ENCODING) || headers.contains_key(CONTENT_LENGTH),
            has_ended: false,
            response,
        }
    }

    /// Returns the next bytes of the text; `None` at its end.
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        while !self.has_ended {
            let chunk = self.response.chunk().await.map_err(|error| connection_failure(&error))?;
            let text = match chunk {
                Some(chunk) => self.decoding.decode(&chunk)?.map_or(chunk, Bytes::from),
                None => {
                    self.has_ended = true;
                    self.decoding.finish()?.into()
                }
            };
            if !text.is_empty() {
                self.excerpt.push(&text);
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    /// Reads the rest of the body after `body`.
    pub async fn read_rest(&mut self, mut body: Vec<u8>, bytes_max: usize) -> Result<Vec<u8>, Failure> {
        loop {
            let chunk = match self.next().await {
                // A complete value is one, whatever the length in the header promises.
                Err(_) if is_complete_value(&body) => return Ok(body),
                chunk => chunk?,
            };
            let Some(chunk) = chunk else { return Ok(body) };
            if body.len() + chunk.len() > bytes_max {
                let message = format!("the reply exceeds {} MB, more than any answer", bytes_max >> 20);
                return Err(Failure::new(FailureClass::Permanent, FailureCode::TooLong, message));
            }
            body.extend_from_slice(&chunk);
        }
    }
}

fn is_complete_value(body: &[u8]) -> bool {
    let read = start_of(body).starts_with(b"{").then(|| Json::read(body));
    read.is_some_and(|read| read.is_ok_and(|(_, rest)| rest.trim_ascii().is_empty()))
}

/// A reply as it arrived.
pub enum Reply {
    /// A stream, with all of its events taken in.
    Stream(Box<dyn Assembler>),
    /// One body.
    Whole(Vec<u8>),
}

/// Reads a reply; its first bytes decide how. `assembler` reads a stream.
pub async fn read_reply(
    body: &mut ReplyBody,
    assembler: Option<Box<dyn Assembler>>,
    content_type: &str,
    Timeouts { first_byte, idle, .. }: Timeouts,
) -> Result<Reply, Failure> {
    let deadline = Instant::now() + first_byte;
    let late = |_| timed_out(TimeoutKind::Idle, "no complete answer within", first_byte);
    let mut start = Vec::new();
    let kind = loop {
        let Some(chunk) = timeout_at(deadline, body.next()).await.map_err(late)?? else { break ReplyKind::Whole };
        start.extend_from_slice(&chunk);
        if let Some(kind) = ReplyKind::of(&start, content_type) {
            break kind;
        }
        // White space keeps the connection open, for as long as the answer takes.
        if start_of(&start).is_empty() {
            start.clear();
        }
    };
    match assembler.filter(|_| kind == ReplyKind::Stream) {
        Some(assembler) => read_stream(body, &start, assembler, deadline, idle).await.map(Reply::Stream),
        None => timeout_at(deadline, body.read_rest(start, BODY_BYTES_MAX)).await.map_err(late)?.map(Reply::Whole),
    }
}

/// Reads a stream that begins with `start` to its end. `deadline` is that of its first event.
async fn read_stream(
    body: &mut ReplyBody,
    start: &[u8],
    mut assembler: Box<dyn Assembler>,
    mut deadline: Instant,
    idle: Duration,
) -> Result<Box<dyn Assembler>, Failure> {
    let mut lines = EventLines::default();
    // One timer for the whole stream, reset only when it fires: chunks come by the hundred.
    let mut alarm = std::pin::pin!(sleep_until(deadline));
    let mut chunk = Bytes::copy_from_slice(start);
    loop {
        let mut progressed = false;
        lines.push(&chunk, |event| {
            progressed = true;
            assembler.push(event)
        })?;
        if assembler.sees_loop() {
            break;
        }
        if progressed && assembler.has_ended() {
            let limit = if assembler.is_marked_as_ended() { LAST_WORDS } else { END_OF_STREAM };
            deadline = Instant::now() + idle.min(limit);
            alarm.as_mut().reset(deadline);
        } else if progressed {
            deadline = Instant::now() + idle;
            if deadline < alarm.deadline() {
                alarm.as_mut().reset(deadline);
            }
        }
        let next = loop {
            tokio::select! {
                biased;
                next = body.next() => break Some(next),
                () = &mut alarm => {
                    if deadline <= Instant::now() {
                        break None;
                    }
                    alarm.as_mut().reset(deadline);
                }
            }
        };
        chunk = match next {
            // The answer is complete; a broken or silent connection no longer matters.
            None | Some(Err(_)) if assembler.has_ended() => break,
            None => return Err(timed_out(TimeoutKind::Idle, "the stream sent nothing for", idle)),
            Some(next) => match next? {
                Some(next) => next,
                None => {
                    lines.finish(|event| assembler.push(event))?;
                    if body.is_delimited || assembler.ends_with_connection() {
                        break;
                    }
                    let message = "the connection closed after a finish reason that may not be the last";
                    return Err(Failure::new(FailureClass::Transient, FailureCode::Cut, message));
                }
            },
        };
    }
    Ok(assembler)
}

/// Reads the body of a refusal; empty if it does not arrive.
pub async fn read_error(response: reqwest::Response) -> Vec<u8> {
    let mut body = ReplyBody::new(response);
    let body = timeout(ERROR_BODY_TIME, body.read_rest(Vec::new(), ERROR_BYTES_MAX)).await;
    body.ok().and_then(Result::ok).unwrap_or_default()
}

/// Distinguishes an unreachable server from one that closed the connection.
pub fn connection_failure(error: &reqwest::Error) -> Failure {
    let mut chain = Vec::new();
    let mut source: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(cause) = source {
        chain.push(cause.to_string());
        source = cause.source();
    }
    let said = chain.last().cloned().unwrap_or_else(|| error.to_string());
    let all = chain.join(": ");
    if error.is_connect() {
        // Waiting does not fix an invalid certificate.
        let (class, code) = if all.contains("certificate") {
            (FailureClass::Fatal, FailureCode::Tls)
        } else {
            (FailureClass::Outage, FailureCode::Connect)
        };
        return Failure::new(class, code, format!("cannot connect: {said}"));
    }
    let raced = all.contains("connection closed before message completed") || all.contains("IncompleteMessage");
    if error.is_request() && raced {
        return Failure::new(
            FailureClass::RetryNow,
            FailureCode::Closed,
            "the server closed the connection before it answered",
        );
    }
    if error.is_request() {
        return Failure::new(FailureClass::Transient, FailureCode::Connection, said);
    }
    Failure::new(FailureClass::Transient, FailureCode::Cut, format!("the reply was truncated: {said}"))
}

pub fn timed_out(kind: TimeoutKind, what: &str, limit: Duration) -> Failure {
    Failure::new(FailureClass::Transient, FailureCode::Timeout(kind), format!("{what} {} s", limit.as_secs_f64()))
}

impl From<LineTooLong> for Failure {
    fn from(_: LineTooLong) -> Self {
        Failure::new(
            FailureClass::Transient,
            FailureCode::Garbage,
            "the stream contains a line or an event of more than 8 MB",
        )
    }
}
