//! `OpenAI`'s chat completions: what a request must have, and how a reply looks.

use std::time::{SystemTime, UNIX_EPOCH};

use hyper::Response;
use serde_json::{Value, json};

use super::reply::NamedEvent;
use super::request::Wanted;
use super::{Body, MockSettings, reply};
use crate::conversation::{
    Answer, Columns, Message, Question, Role, Sampling, ServiceTier, Slot, Target, ToolCall, ToolSet,
};
use crate::model::Simulated;

/// Parses a chat completion request as strictly as real servers do.
pub(super) fn parse_request(body: &[u8], settings: &MockSettings) -> Result<Wanted, Box<Response<Body>>> {
    let bad = |code: &str, message: &str| Box::new(reply::error(400, "invalid_request_error", code, message));
    let request: Value = serde_json::from_slice(body).map_err(|error| bad("invalid_json", &error.to_string()))?;
    let model = request["model"].as_str().ok_or_else(|| bad("missing_model", "you must name a model"))?;
    if !settings.models.is_empty() && settings.models.iter().all(|known| known != model) {
        let message = format!("the model `{model}` does not exist");
        return Err(Box::new(reply::error(404, "invalid_request_error", "model_not_found", &message)));
    }
    let messages = request["messages"].as_array().filter(|list| !list.is_empty());
    let messages = messages.ok_or_else(|| bad("missing_messages", "`messages` must be a list with something in it"))?;
    let messages = messages.iter().map(read_message).collect::<Option<Vec<_>>>();
    let messages = messages.ok_or_else(|| bad("invalid_message", "a message has no known role or no content"))?;
    let temperature = request["temperature"].as_f64();
    if temperature.is_some_and(|value| !(0.0..=2.0).contains(&value)) {
        return Err(bad("invalid_temperature", "`temperature` must be between 0 and 2"));
    }
    let prompt_tokens: u64 = messages.iter().map(|message| message.estimated_tokens()).sum();
    if prompt_tokens > settings.context_tokens {
        let message = format!(
            "this model's maximum context length is {} tokens, your messages are {prompt_tokens}",
            settings.context_tokens
        );
        return Err(bad("context_length_exceeded", &message));
    }
    if let Some(refusal) = settings.token_fields.refusal(&request) {
        return Err(Box::new(refusal));
    }
    let max_tokens = request["max_tokens"].as_u64().or(request["max_completion_tokens"].as_u64());
    let sampling = Sampling {
        temperature,
        top_p: request["top_p"].as_f64(),
        max_tokens: max_tokens.and_then(|tokens| tokens.try_into().ok()),
        seed: request["seed"].as_i64(),
    };
    let tools = request["tools"].as_array().map(|tools| ToolSet::new(tools.clone()));
    let target = Target::new(model, Simulated::DIALECT, sampling).keeping_calls(tools.as_ref());
    let target = target.with_detail(settings.token_fields.asked(&request), &[]);
    Ok(Wanted {
        question: Question { slot: Slot::main(0), target, sample: 0, messages: messages.into() },
        stream: request["stream"].as_bool().unwrap_or(false),
        include_usage: request["stream_options"]["include_usage"].as_bool().unwrap_or(false),
        tier: ServiceTier::named(request["service_tier"].as_str().unwrap_or_default()),
        caches: true,
    })
}

fn read_message(value: &Value) -> Option<std::sync::Arc<Message>> {
    let role = match value["role"].as_str()? {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        _ => return None,
    };
    let mut fields = Columns::new();
    for name in ["tool_calls", "tool_call_id", "name"] {
        fields.extend(value.get(name).map(|value| (name.to_owned(), value.clone())));
    }
    let content = match &value["content"] {
        Value::Null if !fields.is_empty() => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => return None,
    };
    Some(Message::with_fields(role, content, fields))
}

/// Returns the answer in one piece.
pub(super) fn whole(answer: &Answer) -> Value {
    json!({
        "id": "chatcmpl-simulated",
        "object": "chat.completion",
        "created": now_seconds(),
        "model": answer.model,
        "choices": [{
            "index": 0,
            "message": message(answer),
            "finish_reason": answer.finish_reason,
        }],
        "usage": usage_value(answer),
        "service_tier": tier_word(answer),
    })
}

fn message(answer: &Answer) -> Value {
    let mut message = json!({"role": "assistant", "content": answer.text()});
    if let Some(calls) = answer.message.fields().and_then(|fields| fields.get("tool_calls")) {
        (message["content"], message["tool_calls"]) = (Value::Null, calls.clone());
    }
    message
}

/// Characters of a piece of a call's arguments.
const ARGUMENTS_PIECE: usize = 7;

/// Returns the deltas of an answer's calls: each begins with its id and its name, its arguments follow in pieces.
fn call_deltas(answer: &Answer) -> Vec<Value> {
    let delta = |index: usize, call: Value| {
        let mut call = call;
        call["index"] = index.into();
        json!({"tool_calls": [call]})
    };
    let mut deltas = Vec::new();
    for (index, call) in ToolCall::of(&answer.message).into_iter().enumerate() {
        let function = json!({"name": call.name, "arguments": ""});
        deltas.push(delta(index, json!({"id": call.id, "type": "function", "function": function})));
        let letters: Vec<char> = call.arguments.chars().collect();
        let pieces = letters.chunks(ARGUMENTS_PIECE).map(|piece| piece.iter().collect::<String>());
        deltas.extend(pieces.map(|piece| delta(index, json!({"function": {"arguments": piece}}))));
    }
    deltas
}

fn tier_word(answer: &Answer) -> &'static str {
    match answer.usage.tier {
        ServiceTier::Standard => "default",
        ServiceTier::Flex => ServiceTier::FLEX,
    }
}

/// Returns the answer as events.
pub(super) fn events(answer: &Answer, include_usage: bool) -> Vec<NamedEvent> {
    let created = now_seconds();
    let event = |choices: Value, usage: Value| {
        let mut event = json!({
            "id": "chatcmpl-simulated", "object": "chat.completion.chunk",
            "created": created, "model": answer.model, "choices": choices, "service_tier": tier_word(answer),
        });
        if include_usage {
            event["usage"] = usage;
        }
        ("", event)
    };
    let choice = |delta: Value, finish: Value| json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
    let mut events = vec![event(choice(json!({"role": "assistant", "content": ""}), Value::Null), Value::Null)];
    let pieces = reply::pieces(answer.text());
    events.extend(pieces.map(|piece| event(choice(json!({"content": piece}), Value::Null), Value::Null)));
    events.extend(call_deltas(answer).into_iter().map(|delta| event(choice(delta, Value::Null), Value::Null)));
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

/// Returns the answer as events, each with the finish reason.
pub(super) fn early_stops(answer: &Answer) -> Vec<NamedEvent> {
    let mut events = events(answer, false);
    for (_, event) in &mut events {
        event["choices"][0]["finish_reason"] = json!(answer.finish_reason);
    }
    events
}
