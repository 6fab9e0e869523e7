use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Full};
use hyper::Response;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};

use super::{Body, Hangup};
use crate::model::simulated::token_ends;

/// Tokens in each chunk of a stream.
pub(super) const CHUNK_TOKENS: usize = 4;
const STREAM_QUEUE_CHUNKS: usize = 16;
/// What some servers send before an answer.
const NOISE: &str = ": keep-alive\n\ndata: ping\n\ndata: null\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\ndata: {\"choices\": [], \
                     \"usage\": \"pending\", \"error\": {}}\n\n";
/// Fields that some servers send with an answer.
const ODD_FIELDS: &str = "\n{\"cost\": NaN, \"error\": {\"code\": 0, \"message\": \"success\"}, \"system_fingerprint\": 7, \"note\": \
                          \"\\ud83e\", ";

/// An event of a stream: its name, which may be empty, and its payload.
pub(super) type NamedEvent = (&'static str, Value);

/// Returns the answer in one JSON reply with odd fields, as a stream by its content type.
pub(super) fn noisy(value: &Value) -> Response<Body> {
    let text = value.to_string().replacen('{', ODD_FIELDS, 1);
    typed(200, "text/event-stream", full(format!("{text}\n\ndata: [DONE]\n\n")))
}

/// Returns a stream of server-sent events, after noise if `is_noisy`, that ends with `last_line`, if there is one.
pub(super) fn stream(events: Vec<NamedEvent>, last_line: Option<&'static str>, is_noisy: bool) -> Response<Body> {
    let (mut sender, body) = Channel::<Bytes, Hangup>::new(STREAM_QUEUE_CHUNKS);
    tokio::spawn(async move {
        if is_noisy && sender.send_data(Bytes::from_static(NOISE.as_bytes())).await.is_err() {
            return;
        }
        for event in &events {
            // The client may have disconnected.
            if sender.send_data(Bytes::from(event_text(event))).await.is_err() {
                return;
            }
        }
        if let Some(line) = last_line {
            let _ = sender.send_data(Bytes::from_static(line.as_bytes())).await;
        }
    });
    typed(200, if is_noisy { "text/plain" } else { "text/event-stream" }, body.boxed())
}

/// Returns the first half of a stream.
pub(super) fn half_stream(events: &[NamedEvent]) -> Response<Body> {
    let text: String = events.iter().map(event_text).collect();
    first_half(&text, "text/event-stream")
}

/// Returns the first half of a JSON reply.
pub(super) fn half(value: &Value) -> Response<Body> {
    first_half(&value.to_string(), "application/json")
}

fn first_half(text: &str, kind: &'static str) -> Response<Body> {
    let bytes = Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2]);
    let (mut sender, body) = Channel::<Bytes, Hangup>::new(STREAM_QUEUE_CHUNKS);
    tokio::spawn(async move {
        let _ = sender.send_data(bytes).await;
        sender.abort(Hangup);
    });
    typed(200, kind, body.boxed())
}

/// Returns an event as it is sent.
fn event_text((name, payload): &NamedEvent) -> String {
    match *name {
        "" => format!("data: {payload}\n\n"),
        name => format!("event: {name}\ndata: {payload}\n\n"),
    }
}

/// Splits a text into the pieces of a stream.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let ends: Vec<usize> = token_ends(text).collect();
    let ends: Vec<usize> = ends.chunks(CHUNK_TOKENS).filter_map(|group| group.last().copied()).collect();
    let starts: Vec<usize> = std::iter::once(0).chain(ends.iter().copied()).collect();
    starts.into_iter().zip(ends).map(|(start, end)| &text[start..end])
}

/// Returns an error in `OpenAI`'s format.
pub(super) fn error(status: u16, kind: &str, code: &str, message: &str) -> Response<Body> {
    json(status, &json!({"error": {"message": message, "type": kind, "param": null, "code": code}}))
}

/// Returns the list of models.
pub(super) fn models(names: &[String]) -> Response<Body> {
    let names = if names.is_empty() { &["simulated".to_owned()] } else { names };
    let list: Vec<Value> = names
        .iter()
        .map(|name| json!({"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "cohobate"}))
        .collect();
    json(200, &json!({"object": "list", "data": list}))
}

pub(super) fn json(status: u16, value: &Value) -> Response<Body> {
    typed(status, "application/json", full(value.to_string()))
}

pub(super) fn html(status: u16, page: &'static str) -> Response<Body> {
    typed(status, "text/html", full(page.to_owned()))
}

fn full(text: String) -> Body {
    Full::new(Bytes::from(text)).map_err(Hangup::from).boxed()
}

fn typed(status: u16, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status.try_into().expect("only real status codes are used here");
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
