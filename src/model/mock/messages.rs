//! Anthropic's Messages: what a request must have, and how a reply looks.

use std::sync::Arc;

use hyper::{HeaderMap, Response};
use serde_json::{Value, json};

use super::reply::NamedEvent;
use super::request::Wanted;
use super::{Body, MockSettings, reply};
use crate::conversation::{
    Answer, Finish, Message, Question, Role, Sampling, ServiceTier, Slot, Target, ToolCall, ToolSet,
};
use crate::model::Simulated;
use crate::model::anthropic::version;

/// Why a request is refused.
pub(super) struct RequestFault {
    status: u16,
    message: String,
}

impl RequestFault {
    pub fn response(&self) -> Response<Body> {
        error(self.status, &self.message)
    }
}

/// Parses a request.
pub(super) fn parse_request(headers: &HeaderMap, body: &[u8], settings: &MockSettings) -> Result<Wanted, RequestFault> {
    let Prompt { value, messages, caches } = parse_prompt(headers, body, settings)?;
    let limit = value["max_tokens"].as_u64().filter(|limit| *limit > 0);
    let limit = limit.ok_or_else(|| bad("max_tokens: Field required"))?;
    let sampling = Sampling {
        temperature: value["temperature"].as_f64(),
        top_p: value["top_p"].as_f64(),
        max_tokens: limit.try_into().ok(),
        seed: None,
    };
    if sampling.temperature.is_some_and(|value| !(0.0..=1.0).contains(&value)) {
        return Err(bad("temperature: range: 0..1"));
    }
    let tools = value["tools"].as_array().map(|tools| ToolSet::new(tools.clone()));
    let target = Target::new(value["model"].as_str().unwrap_or_default(), Simulated::DIALECT, sampling);
    let target = target.keeping_calls(tools.as_ref());
    Ok(Wanted {
        question: Question { slot: Slot::main(0), target, sample: 0, messages: messages.into() },
        stream: value["stream"].as_bool().unwrap_or(false),
        include_usage: true,
        tier: ServiceTier::Standard,
        caches,
    })
}

/// Returns the number of tokens of a prompt, for the route that only counts.
pub(super) fn count_tokens(headers: &HeaderMap, body: &[u8], settings: &MockSettings) -> Result<Value, RequestFault> {
    Ok(json!({"input_tokens": tokens_of(&parse_prompt(headers, body, settings)?.messages)}))
}

struct Prompt {
    value: Value,
    messages: Vec<Arc<Message>>,
    /// A block is marked for the cache.
    caches: bool,
}

fn parse_prompt(headers: &HeaderMap, body: &[u8], settings: &MockSettings) -> Result<Prompt, RequestFault> {
    let api_version = headers.get("anthropic-version").and_then(|value| value.to_str().ok());
    let api_version = api_version.ok_or_else(|| bad("anthropic-version: header is required"))?;
    let value: Value = serde_json::from_slice(body).map_err(|error| bad(&error.to_string()))?;
    let model = value["model"].as_str().ok_or_else(|| bad("model: Field required"))?;
    if !settings.models.is_empty() && settings.models.iter().all(|known| known != model) {
        return Err(RequestFault { status: 404, message: format!("model: {model}") });
    }
    let sampling = ["temperature", "top_p", "top_k"].into_iter().find(|name| value.get(name).is_some());
    if let Some(name) = sampling.filter(|_| !version::takes_sampling(api_version)) {
        return Err(bad(&format!("{name}: Extra inputs are not permitted")));
    }
    let list = value["messages"].as_array().filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| bad("messages: at least one message is required"))?;
    if list[0]["role"] != "user" {
        return Err(bad("messages: first message must use the \"user\" role"));
    }
    let mut messages = Vec::with_capacity(list.len() + 1);
    if let Some(system) = value.get("system") {
        messages.push(Message::new(Role::System, text_of(system).ok_or_else(|| bad("system: Input should be text"))?));
    }
    for (index, message) in list.iter().enumerate() {
        messages.push(read_message(message).map_err(|fault| bad(&format!("messages.{index}: {fault}")))?);
    }
    let tokens = tokens_of(&messages);
    if tokens > settings.context_tokens {
        return Err(bad(&format!("prompt is too long: {tokens} tokens > {} maximum", settings.context_tokens)));
    }
    let caches = is_marked(&value["system"]) || list.iter().any(|message| is_marked(&message["content"]));
    Ok(Prompt { value, messages, caches })
}

fn tokens_of(messages: &[Arc<Message>]) -> u64 {
    messages.iter().map(|message| message.estimated_tokens()).sum()
}

fn is_marked(content: &Value) -> bool {
    content.as_array().into_iter().flatten().any(|block| block["cache_control"]["type"] == "ephemeral")
}

fn read_message(value: &Value) -> Result<Arc<Message>, &'static str> {
    let role = match value["role"].as_str() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        _ => return Err("role: Input should be 'user' or 'assistant'"),
    };
    let blocks = value["content"].as_array();
    let is_empty = |block: &Value| block["type"] == "text" && block["text"].as_str().is_none_or(str::is_empty);
    if blocks.is_some_and(|blocks| blocks.is_empty() || blocks.iter().any(is_empty)) {
        return Err("text content blocks must be non-empty");
    }
    let text = text_of(&value["content"]).filter(|text| blocks.is_some() || !text.is_empty());
    let text = text.ok_or("content: Input should be text or a list of blocks")?;
    let is = |kind: &'static str| move |block: &&Value| block["type"] == kind;
    let calls: Vec<ToolCall> = blocks.into_iter().flatten().filter(is("tool_use")).map(call_of).collect();
    let is_result = blocks.is_some_and(|blocks| blocks.iter().all(|block| is("tool_result")(&block)));
    Ok(Message::with_fields(if is_result { Role::Tool } else { role }, text, ToolCall::fields(&calls)))
}

fn call_of(block: &Value) -> ToolCall {
    let text = |field: &str| block[field].as_str().unwrap_or_default().to_owned();
    ToolCall { id: text("id"), name: text("name"), arguments: block["input"].to_string() }
}

/// Returns the blocks of an answer's calls, whole. Arguments that are not JSON are text.
fn call_blocks(answer: &Answer) -> Vec<Value> {
    let block = |call: ToolCall| {
        let input: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| call.arguments.as_str().into());
        json!({"type": "tool_use", "id": format!("toolu_{}", call.id), "name": call.name, "input": input})
    };
    ToolCall::of(&answer.message).into_iter().map(block).collect()
}

/// Returns a content's text; calls to tools and their results count as text.
fn text_of(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Array(blocks) => Some(blocks.iter().filter_map(block_text).collect::<Vec<_>>().join("\n\n")),
        _ => None,
    }
}

fn block_text(block: &Value) -> Option<String> {
    match block["type"].as_str()? {
        "text" => block["text"].as_str().map(str::to_owned),
        "tool_use" => Some(format!("{} {}", block["name"].as_str()?, block["input"])),
        "tool_result" => text_of(&block["content"]),
        _ => None,
    }
}

/// Returns the answer in one piece.
pub(super) fn whole(answer: &Answer) -> Value {
    json!({
        "id": "msg_simulated", "type": "message", "role": "assistant", "model": answer.model,
        "content": content(answer),
        "stop_reason": stop_reason(answer), "stop_sequence": null, "usage": usage(answer, None),
    })
}

fn content(answer: &Answer) -> Vec<Value> {
    let calls = call_blocks(answer);
    let has_words = calls.is_empty() || !answer.text().is_empty();
    has_words.then(|| json!({"type": "text", "text": answer.text()})).into_iter().chain(calls).collect()
}

/// Returns the answer as events.
pub(super) fn events(answer: &Answer) -> Vec<NamedEvent> {
    let mut start = whole(answer);
    (start["content"], start["stop_reason"], start["usage"]) = (json!([]), Value::Null, usage(answer, Some(1)));
    let named = |name: &'static str, mut payload: Value| {
        payload["type"] = name.into();
        (name, payload)
    };
    let mut events = vec![named("message_start", json!({"message": start})), named("ping", json!({}))];
    for (index, block) in content(answer).into_iter().enumerate() {
        let (field, kind, said) = match block["type"].as_str() {
            Some("tool_use") => ("partial_json", "input_json_delta", block["input"].to_string()),
            _ => ("text", "text_delta", answer.text().to_owned()),
        };
        let mut open = block;
        if kind == "text_delta" {
            open["text"] = "".into();
        } else {
            open["input"] = json!({});
        }
        events.push(named("content_block_start", json!({"index": index, "content_block": open})));
        events.extend(
            reply::pieces(&said).map(|piece| {
                named("content_block_delta", json!({"index": index, "delta": {"type": kind, field: piece}}))
            }),
        );
        events.push(named("content_block_stop", json!({"index": index})));
    }
    let delta = json!({"stop_reason": stop_reason(answer), "stop_sequence": null});
    events.extend([
        named("message_delta", json!({"delta": delta, "usage": usage(answer, None)})),
        named("message_stop", json!({})),
    ]);
    events
}

/// Returns the answer as events, with the stop reason after each piece.
pub(super) fn early_stops(answer: &Answer) -> Vec<NamedEvent> {
    let all = events(answer);
    let stop = all.iter().find(|(name, _)| *name == "message_delta").cloned();
    let with_stop = |event: NamedEvent| {
        let stop = stop.clone().filter(|_| event.0 == "content_block_delta");
        std::iter::once(event).chain(stop)
    };
    all.into_iter().flat_map(with_stop).collect()
}

/// Returns an error with the type of its status.
pub(super) fn error(status: u16, message: &str) -> Response<Body> {
    reply::json(status, &error_value(status, message))
}

pub(super) fn error_value(status: u16, message: &str) -> Value {
    let kind = match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_simulated"})
}

fn bad(message: &str) -> RequestFault {
    RequestFault { status: 400, message: message.to_owned() }
}

fn stop_reason(answer: &Answer) -> &'static str {
    match answer.finish {
        // A fault: the answer has no reason.
        _ if answer.finish_reason.is_empty() => "",
        Finish::Complete | Finish::Empty | Finish::Loop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::Filtered | Finish::Refused => "refusal",
        Finish::Tools => "tool_use",
    }
}

/// Tokens from the cache and tokens written to it are counted apart from `input_tokens`.
fn usage(answer: &Answer, output_so_far: Option<u64>) -> Value {
    let usage = &answer.usage;
    let (read, written) = (usage.cached_tokens.unwrap_or(0), usage.cache_write_tokens.unwrap_or(0));
    json!({
        "input_tokens": usage.prompt_tokens.unwrap_or(0).saturating_sub(read + written),
        "cache_read_input_tokens": read, "cache_creation_input_tokens": written,
        "output_tokens": output_so_far.or(usage.completion_tokens).unwrap_or(0),
    })
}
