use std::time::{SystemTime, UNIX_EPOCH};

use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Full};
use hyper::Response;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};

use super::{Body, Hangup};
use crate::conversation::Answer;
use crate::model::simulated::token_ends;

/// Tokens in each chunk of a stream.
const CHUNK_TOKENS: usize = 4;
const STREAM_QUEUE_CHUNKS: usize = 16;
/// What some servers send before an answer.
const NOISE: &str = ": keep-alive\n\ndata: ping\n\ndata: null\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\ndata: {\"choices\": [], \
                     \"usage\": \"pending\", \"error\": {}}\n\n";
/// Fields that some servers send with an answer.
const ODD_FIELDS: &str = "\n{\"cost\": NaN, \"error\": {\"code\": 0, \"message\": \"success\"}, \"system_fingerprint\": 7, \"note\": \
                          \"\\ud83e\", ";

/// Returns the answer in one JSON reply.
pub(super) fn whole(answer: &Answer) -> Response<Body> {
    json(200, &whole_value(answer))
}

/// Returns the answer in one JSON reply with odd fields, as a stream by its content type.
pub(super) fn noisy(answer: &Answer) -> Response<Body> {
    let text = whole_value(answer).to_string().replacen('{', ODD_FIELDS, 1);
    typed(200, "text/event-stream", full(format!("{text}\n\ndata: [DONE]\n\n")))
}

/// Returns the answer as a stream of server-sent events, after noise if `is_noisy`.
pub(super) fn stream(answer: Answer, include_usage: bool, is_noisy: bool) -> Response<Body> {
    let (mut sender, body) = Channel::<Bytes, Hangup>::new(STREAM_QUEUE_CHUNKS);
    tokio::spawn(async move {
        if is_noisy && sender.send_data(Bytes::from_static(NOISE.as_bytes())).await.is_err() {
            return;
        }
        for event in stream_events(&answer, include_usage) {
            // The client may have disconnected.
            if sender.send_data(Bytes::from(format!("data: {event}\n\n"))).await.is_err() {
                return;
            }
        }
        let _ = sender.send_data(Bytes::from_static(b"data: [DONE]\n\n")).await;
    });
    typed(200, if is_noisy { "text/plain" } else { "text/event-stream" }, body.boxed())
}

/// Returns the answer with an empty finish reason.
pub(super) fn without_finish(mut answer: Answer, streamed: bool) -> Response<Body> {
    answer.finish_reason.clear();
    if streamed { stream(answer, false, false) } else { whole(&answer) }
}

/// Returns a reply that is truncated in the middle, with a finish reason in every chunk if `stops_early`.
pub(super) fn half(answer: &Answer, streamed: bool, stops_early: bool) -> Response<Body> {
    let text = if streamed {
        let mut events = stream_events(answer, false);
        for event in events.iter_mut().filter(|_| stops_early) {
            event["choices"][0]["finish_reason"] = json!(answer.finish_reason);
        }
        events.iter().fold(String::new(), |text, event| format!("{text}data: {event}\n\n"))
    } else {
        whole_value(answer).to_string()
    };
    let first_half = Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2]);
    let (mut sender, body) = Channel::<Bytes, Hangup>::new(STREAM_QUEUE_CHUNKS);
    tokio::spawn(async move {
        let _ = sender.send_data(first_half).await;
        sender.abort(Hangup);
    });
    typed(200, if streamed { "text/event-stream" } else { "application/json" }, body.boxed())
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

fn whole_value(answer: &Answer) -> Value {
    json!({
        "id": "chatcmpl-simulated",
        "object": "chat.completion",
        "created": now_seconds(),
        "model": answer.model,
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": answer.text()},
            "finish_reason": answer.finish_reason,
        }],
        "usage": usage_value(answer),
    })
}

fn stream_events(answer: &Answer, include_usage: bool) -> Vec<Value> {
    let created = now_seconds();
    let event = |choices: Value, usage: Value| {
        let mut event = json!({
            "id": "chatcmpl-simulated", "object": "chat.completion.chunk",
            "created": created, "model": answer.model, "choices": choices,
        });
        if include_usage {
            event["usage"] = usage;
        }
        event
    };
    let choice = |delta: Value, finish: Value| json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
    let mut events = vec![event(choice(json!({"role": "assistant", "content": ""}), Value::Null), Value::Null)];
    let text = answer.text();
    let mut start = 0;
    let ends: Vec<usize> = token_ends(text).collect();
    for group in ends.chunks(CHUNK_TOKENS) {
        let end = group.last().copied().unwrap_or(start);
        events.push(event(choice(json!({"content": &text[start..end]}), Value::Null), Value::Null));
        start = end;
    }
    events.push(event(choice(json!({}), json!(answer.finish_reason)), Value::Null));
    if include_usage {
        events.push(event(json!([]), usage_value(answer)));
    }
    events
}

fn usage_value(answer: &Answer) -> Value {
    let prompt = answer.usage.prompt_tokens.unwrap_or(0);
    let completion = answer.usage.completion_tokens.unwrap_or(0);
    let mut usage =
        json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion});
    if let Some(cached) = answer.usage.cached_tokens {
        usage["prompt_tokens_details"] = json!({"cached_tokens": cached});
    }
    usage
}

fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
