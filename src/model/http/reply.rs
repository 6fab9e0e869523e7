//! Reads the body of a reply: whole, or event by event with timeouts.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::settings::Timeouts;
use crate::conversation::{FailureCode, TimeoutKind};
use crate::model::dialect::Assembler;
use crate::model::failure::{Failure, FailureClass};
use crate::model::sse::{EventLines, LineTooLong};

/// Maximum bytes of a reply that is not streamed.
const BODY_BYTES_MAX: usize = 64 << 20;
/// Maximum bytes that are read of a refusal.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// Time limit for a refusal's body; after it the status alone decides.
const ERROR_BODY_TIME: Duration = Duration::from_secs(30);
/// Time limit for the token counts and the end of a stream whose answer is complete.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Reads a stream to its end.
pub async fn read_stream(
    mut response: reqwest::Response,
    mut assembler: Box<dyn Assembler>,
    Timeouts { first_byte, idle, .. }: Timeouts,
) -> Result<Box<dyn Assembler>, Failure> {
    let mut lines = EventLines::default();
    let mut deadline = Instant::now() + first_byte;
    // One timer for the whole stream, reset only when it fires: chunks come by the hundred.
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
                // The answer is complete; a broken connection no longer matters.
                if assembler.has_ended() {
                    break;
                }
                return Err(timed_out(TimeoutKind::Idle, "the stream sent nothing for", idle));
            }
        };
        let chunk = match chunk {
            Err(_) if assembler.has_ended() => break,
            chunk => chunk.map_err(|error| connection_failure(&error))?,
        };
        let Some(chunk) = chunk else {
            lines.finish(|event| assembler.push(event))?;
            break;
        };
        let mut progressed = false;
        lines.push(&chunk, |event| {
            progressed = true;
            assembler.push(event)
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
    Ok(assembler)
}

/// Reads a reply that is not streamed.
pub async fn read_full_body(
    response: reqwest::Response,
    Timeouts { first_byte, .. }: Timeouts,
) -> Result<Vec<u8>, Failure> {
    let body = timeout(first_byte, read_limited(response, BODY_BYTES_MAX)).await;
    body.map_err(|_| timed_out(TimeoutKind::Idle, "no complete answer within", first_byte))?
}

/// Reads the body of a refusal; empty if it does not arrive.
pub async fn read_error(response: reqwest::Response) -> Vec<u8> {
    let body = timeout(ERROR_BODY_TIME, read_limited(response, ERROR_BYTES_MAX)).await;
    body.ok().and_then(Result::ok).unwrap_or_default()
}

/// Reads a body of at most `bytes_max` bytes.
pub async fn read_limited(mut response: reqwest::Response, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| connection_failure(&error))? {
        if body.len() + chunk.len() > bytes_max {
            return Err(Failure::new(
                FailureClass::Transient,
                FailureCode::TooLong,
                format!("the reply exceeds {bytes_max} bytes"),
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
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
        Failure::new(FailureClass::Transient, FailureCode::Garbage, "the stream contains a line of more than 8 MB")
    }
}
