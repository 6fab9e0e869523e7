//! The fields of a reply that come in one piece and in a stream. Fields beside the content may have any type.

use serde_json::Value;

use crate::conversation::{FailureCode, Finish, Usage};
use crate::model::failure::{Failure, FailureClass};
use crate::model::partial::PartialAnswer;

/// A token count above this is invalid.
const TOKENS_MAX: u64 = 1 << 40;

/// Parses a reply or an event. Bytes that are not UTF-8 become replacement characters.
pub fn parse(body: &[u8], what: &str) -> Result<Value, Failure> {
    let parsed = match std::str::from_utf8(body) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_str(&String::from_utf8_lossy(body)),
    };
    parsed.map_err(|error| {
        Failure::new(FailureClass::Transient, FailureCode::Garbage, format!("{what} is not JSON: {error}"))
    })
}

/// Returns the error in a reply or an event, if it is one.
pub fn error_in(value: &Value) -> Option<&Value> {
    let is_error = value["type"] == "error";
    let error = value.get("error").filter(|error| match error {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        other => other.as_bool() != Some(false) && other.as_u64() != Some(0),
    });
    error.map(|_| value).or_else(|| is_error.then_some(value))
}

/// Reads the model and the usage of a message.
pub fn take_head(answer: &mut PartialAnswer, message: &Value) {
    if let Some(model) = message["model"].as_str() {
        answer.model = Some(model.to_owned());
    }
    take_usage(&mut answer.usage, &message["usage"]);
}

/// Reads a content block, whole or at its start. Redacted reasoning is encrypted and ignored, as are the blocks of the
/// server's own tools.
pub fn take_block(answer: &mut PartialAnswer, block: &Value) {
    let text = |name: &str| block[name].as_str().unwrap_or_default();
    match block["type"].as_str().unwrap_or("text") {
        "text" => answer.text.push(text("text")),
        "thinking" => {
            if !answer.reasoning.is_empty() {
                answer.reasoning.push("\n\n");
            }
            answer.reasoning.push(text("thinking"));
        }
        "tool_use" => answer.called_tool = true,
        _ => {}
    }
}

/// Reads why the answer ended. `""` and `"null"` are no reasons.
pub fn take_stop(answer: &mut PartialAnswer, holder: &Value) {
    let reason = holder["stop_reason"].as_str().filter(|word| !word.is_empty() && *word != "null");
    if let Some(reason) = reason {
        answer.finish = Some(reason.to_owned());
    }
    if reason == Some("refusal")
        && let Some(words) = holder["stop_details"]["explanation"].as_str()
    {
        words.clone_into(&mut answer.refusal);
    }
}

/// Maps a stop reason; `None` if it means failure. Gateways in front of other models pass on their words.
pub fn finish_of(word: &str) -> Option<Finish> {
    Some(match word {
        "end_turn" | "stop_sequence" | "stop" => Finish::Complete,
        "max_tokens" | "model_context_window_exceeded" | "length" => Finish::Length,
        "refusal" => Finish::Refused,
        "content_filter" => Finish::Filtered,
        "tool_use" | "pause_turn" | "tool_calls" => Finish::Tools,
        _ => return None,
    })
}

/// Reads token counts. Those of a stream are cumulative and come in two events, where one of them may say 0: the
/// largest counts. Tokens from the cache and tokens written to it come in addition to `input_tokens`.
pub fn take_usage(usage: &mut Usage, wire: &Value) {
    let count = |value: &Value| value.as_u64().filter(|count| *count <= TOKENS_MAX);
    let read = count(&wire["cache_read_input_tokens"]);
    let written = count(&wire["cache_creation_input_tokens"]);
    let prompt = count(&wire["input_tokens"]).map(|input| input + read.unwrap_or(0) + written.unwrap_or(0));
    usage.prompt_tokens = usage.prompt_tokens.max(prompt);
    usage.cached_tokens = usage.cached_tokens.max(read);
    usage.cache_write_tokens = usage.cache_write_tokens.max(written);
    usage.completion_tokens = usage.completion_tokens.max(count(&wire["output_tokens"]));
    let reasoning = count(&wire["output_tokens_details"]["thinking_tokens"]);
    usage.reasoning_tokens = usage.reasoning_tokens.max(reasoning);
}
