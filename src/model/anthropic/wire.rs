//! The fields of a reply that come in one piece and in a stream. Fields beside the content may have any type.

use std::borrow::Cow;

use serde_json::Value;

use super::refusal::error_inside;
use crate::conversation::{FailureCode, Finish, Usage};
use crate::model::calls::CallPiece;
use crate::model::failure::{Failure, FailureClass};
use crate::model::json::Json;
use crate::model::partial::PartialAnswer;
use crate::model::text::TextBuffer;

/// A token count above this is invalid.
const TOKENS_MAX: u64 = 1 << 40;

/// Parses a reply or an event.
pub fn parse<'a>(body: &'a [u8], what: &str) -> Result<Json<'a>, Failure> {
    Json::read(body).map(|(value, _)| value).map_err(|error| garbage(format!("{what} is not JSON: {error}")))
}

/// Returns the failure that a reply or an event reports.
pub fn error_in(value: &Json<'_>) -> Option<Failure> {
    let is_named = name_in(value, "type").as_deref() == Some("error");
    let is_error = || value.get("error").is_some_and(|error| is_error(&error.to_value()));
    (is_named || is_error()).then(|| error_inside(&value.to_value()))
}

/// Returns a field that is a text and not empty.
pub fn name_in<'a>(value: &'a Json<'_>, field: &str) -> Option<Cow<'a, str>> {
    value.get(field)?.text().filter(|text| !text.is_empty())
}

/// False for a field that some servers send with every reply: empty, or an object that reports success.
fn is_error(error: &Value) -> bool {
    match error {
        Value::Null => false,
        Value::Bool(is_error) => *is_error,
        Value::Number(_) | Value::String(_) => !is_success(error),
        Value::Array(items) => items.iter().any(is_error),
        Value::Object(fields) => {
            let code = fields.get("code").or(fields.get("status")).filter(|code| !code.is_null());
            !code.is_some_and(is_success) && fields.values().any(is_error)
        }
    }
}

fn is_success(code: &Value) -> bool {
    match code {
        Value::Number(number) => matches!(number.as_u64(), Some(0 | 200)),
        Value::String(text) => {
            matches!(&*text.trim().to_ascii_lowercase(), "" | "null" | "none" | "0" | "200" | "ok" | "success")
        }
        _ => false,
    }
}

/// Reads the model and the usage of a message.
pub fn take_head(answer: &mut PartialAnswer, message: &Json<'_>) {
    if let Some(model) = name_in(message, "model") {
        answer.model = Some(model.into_owned());
    }
    take_usage(&mut answer.usage, message);
}

/// Reads a content block, whole or at its start. Redacted reasoning is encrypted and ignored, as are the blocks of the
/// server's own tools.
pub fn take_block(answer: &mut PartialAnswer, block: &Json<'_>, index: u64) -> Result<(), Failure> {
    match name_in(block, "type").as_deref().unwrap_or("text") {
        "text" => take_words(&mut answer.text, block, "text")?,
        "thinking" => {
            if !answer.reasoning.is_empty() {
                answer.reasoning.push("\n\n");
            }
            take_words(&mut answer.reasoning, block, "thinking")?;
        }
        "tool_use" => {
            answer.called_tool = true;
            answer.calls.take(CallPiece::of_block(block, index));
        }
        _ => {}
    }
    Ok(())
}

/// Appends a text field. Content that is not text cannot be used.
pub fn take_words(words: &mut TextBuffer, holder: &Json<'_>, field: &str) -> Result<(), Failure> {
    match holder.get(field) {
        None | Some(Json::Null) => Ok(()),
        Some(Json::Text(text)) => {
            words.push(text);
            Ok(())
        }
        Some(_) => Err(garbage(format!("the content's `{field}` is not text"))),
    }
}

fn garbage(message: String) -> Failure {
    Failure::new(FailureClass::Transient, FailureCode::Garbage, message)
}

/// Reads why the answer ended. `""` and `"null"` are no reasons.
pub fn take_stop(answer: &mut PartialAnswer, holder: &Json<'_>) {
    let Some(reason) = name_in(holder, "stop_reason").filter(|word| word != "null") else { return };
    let details = holder.get("stop_details").filter(|_| reason == "refusal");
    if let Some(words) = details.and_then(|details| name_in(details, "explanation")) {
        answer.refusal = words.into_owned();
    }
    answer.finish = Some(reason.into_owned());
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
pub fn take_usage(usage: &mut Usage, holder: &Json<'_>) {
    let Some(wire) = holder.get("usage") else { return };
    let count = |holder: &Json<'_>, field: &str| holder.get(field)?.count().filter(|count| *count <= TOKENS_MAX);
    let read = count(wire, "cache_read_input_tokens");
    let written = count(wire, "cache_creation_input_tokens");
    let prompt = count(wire, "input_tokens").map(|input| input + read.unwrap_or(0) + written.unwrap_or(0));
    usage.prompt_tokens = usage.prompt_tokens.max(prompt);
    usage.cached_tokens = usage.cached_tokens.max(read);
    usage.cache_write_tokens = usage.cache_write_tokens.max(written);
    usage.completion_tokens = usage.completion_tokens.max(count(wire, "output_tokens"));
    let reasoning = wire.get("output_tokens_details").and_then(|details| count(details, "thinking_tokens"));
    usage.reasoning_tokens = usage.reasoning_tokens.max(reasoning);
}
