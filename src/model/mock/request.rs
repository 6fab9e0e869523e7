use hyper::Response;
use serde_json::Value;

use super::{Body, MockSettings, reply};
use crate::conversation::{Columns, Message, Question, Role, Sampling, Slot, Target, estimate_tokens};
use crate::model::Simulated;

/// A client's parsed request.
pub(super) struct Wanted {
    pub question: Question,
    pub stream: bool,
    pub include_usage: bool,
}

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
    let prompt_tokens: u64 = messages.iter().map(|message| estimate_tokens(message.content())).sum();
    if prompt_tokens > settings.context_tokens {
        let message = format!(
            "this model's maximum context length is {} tokens, your messages are {prompt_tokens}",
            settings.context_tokens
        );
        return Err(bad("context_length_exceeded", &message));
    }
    let max_tokens = request["max_tokens"].as_u64().or(request["max_completion_tokens"].as_u64());
    let sampling = Sampling {
        temperature,
        top_p: request["top_p"].as_f64(),
        max_tokens: max_tokens.and_then(|tokens| tokens.try_into().ok()),
        seed: request["seed"].as_i64(),
    };
    let target = Target::new(model, Simulated::DIALECT, sampling);
    Ok(Wanted {
        question: Question { slot: Slot::main(0), target, sample: 0, messages },
        stream: request["stream"].as_bool().unwrap_or(false),
        include_usage: request["stream_options"]["include_usage"].as_bool().unwrap_or(false),
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
