//! The fields of a chat completion and of a chunk of one. The text is read strictly, everything beside it leniently: a
//! side field of an unexpected type counts as absent.

use crate::conversation::{FailureCode, ServiceTier, Usage};
use crate::model::failure::{Failure, FailureClass};
use crate::model::json::Json;
use crate::model::partial::PartialAnswer;
use crate::model::text::TextBuffer;

/// A token count above this is invalid.
const TOKENS_MAX: u64 = 1 << 40;
/// The fields that hold reasoning. A server that fills several repeats itself, so the first with text counts.
const REASONING: [&str; 6] =
    ["reasoning", "reasoning_content", "reasoning_text", "thinking", "thought", "reasoning_details"];

/// The field that names the tier, in requests and in replies.
pub const TIER: &str = "service_tier";

/// Shortest text that a whole message may be seen to repeat.
const REPEATED_BYTES_MIN: usize = 16;

/// Adds a chunk of a message to the answer; `is_whole` if the server calls it a message.
pub fn take_message(answer: &mut PartialAnswer, message: &Json<'_>, is_whole: bool) -> Result<(), Failure> {
    let is_thought = message.get("thought") == Some(&Json::Bool(true));
    let mut said = Said::default();
    if let Some(content) = message.get("content") {
        said.take_content(content, is_thought)?;
    }
    // Some servers end a stream with the whole message: it replaces what it repeats.
    let is_long = answer.text.len() >= REPEATED_BYTES_MIN;
    if is_whole && is_long && said.text.as_bytes().starts_with(answer.text.as_bytes()) {
        answer.text.clear();
    }
    answer.text.push(said.text.as_bytes());
    if said.reasoning.is_empty() {
        let fields = REASONING.iter().filter_map(|field| message.get(field));
        said.reasoning = fields.map(words_in).find(|words| !words.is_empty()).unwrap_or_default();
    }
    answer.reasoning.push(said.reasoning.as_bytes());
    let refusal = message.get("refusal").and_then(Json::text).unwrap_or_default();
    answer.refusal.push_str(&said.refusal);
    answer.refusal.push_str(&refusal);
    let calls = message.get("tool_calls").is_some_and(|calls| calls.items().iter().any(|call| !call.is_empty()));
    let call = message.get("function_call").is_some_and(|call| matches!(call, Json::Object(_)) && !call.is_empty());
    answer.called_tool |= calls || call;
    if answer.called_tool {
        answer.calls.take_message(message, is_whole);
    }
    Ok(())
}

/// What one message says.
#[derive(Default)]
struct Said {
    text: TextBuffer,
    reasoning: TextBuffer,
    refusal: String,
}

impl Said {
    /// Reads `content`: text, a part, or a list of parts. Anything else is not skipped: it may be the answer.
    fn take_content(&mut self, content: &Json<'_>, is_thought: bool) -> Result<(), Failure> {
        match content {
            Json::Null => {}
            Json::Text(text) => if is_thought { &mut self.reasoning } else { &mut self.text }.push(text),
            Json::List(parts) => parts.iter().try_for_each(|part| self.take_content(part, is_thought))?,
            Json::Object(fields) if fields.is_empty() => {}
            Json::Object(_) => self.take_part(content, is_thought)?,
            Json::Bool(_) | Json::Number(_) => return Err(unreadable(content)),
        }
        Ok(())
    }

    fn take_part(&mut self, part: &Json<'_>, is_thought: bool) -> Result<(), Failure> {
        let kind = part.get("type").and_then(Json::text).unwrap_or_default();
        let is_thought = is_thought || part.get("thought") == Some(&Json::Bool(true));
        match &*kind {
            "thinking" | "reasoning" | "thought" | "redacted_thinking" => {
                self.reasoning.push(words_in(part).as_bytes());
            }
            "refusal" => self.refusal.push_str(&part.get("refusal").and_then(Json::text).unwrap_or_default()),
            "" | "text" | "output_text" => match part.any_of(&["text", "content", "value"]) {
                Some(text @ (Json::Text(_) | Json::List(_) | Json::Object(_))) => {
                    self.take_content(text, is_thought)?;
                }
                Some(Json::Null) => {}
                _ => return Err(unreadable(part)),
            },
            // An image or a call of a tool has no text; a kind that is not known may.
            _ => {
                if let Some(text @ Json::Text(_)) = part.get("text") {
                    self.take_content(text, is_thought)?;
                }
            }
        }
        Ok(())
    }
}

/// Returns the words of a field for reasoning: text, a part, or a list of parts.
fn words_in(value: &Json<'_>) -> TextBuffer {
    let mut words = TextBuffer::default();
    match value {
        Json::Text(text) => words.push(text),
        Json::List(parts) => parts.iter().for_each(|part| words.push(words_in(part).as_bytes())),
        Json::Object(_) => {
            if let Some(inner) = value.any_of(&["text", "thinking", "reasoning", "summary", "content"]) {
                words = words_in(inner);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
    words
}

fn unreadable(content: &Json<'_>) -> Failure {
    let message = format!("the content of the reply is neither text nor a list of parts: {}", content.to_value());
    Failure::new(FailureClass::Transient, FailureCode::Garbage, message)
}

/// Takes over the tier that a reply or a chunk says was charged, beside the counts or with them. The last one counts.
pub fn take_tier(usage: &mut Usage, holder: &Json<'_>) {
    let named = name_in(holder, TIER).or_else(|| name_in(holder.get("usage")?, TIER));
    if let Some(name) = named {
        usage.tier = ServiceTier::named(&name);
    }
}

/// Adds the token counts of a reply, a chunk or a choice. A count that is no whole number stays unknown.
pub fn take_usage(usage: &mut Usage, holder: &Json<'_>) {
    let Some(counts) = holder.get("usage").filter(|usage| matches!(usage, Json::Object(_))) else { return };
    let believed = |count: Option<&Json<'_>>| count.and_then(Json::count).filter(|count| *count <= TOKENS_MAX);
    let detail = |list: &str, name: &str| believed(counts.get(list).and_then(|details| details.get(name)));
    let cached = detail("prompt_tokens_details", "cached_tokens");
    let read = Usage {
        prompt_tokens: believed(counts.get("prompt_tokens")),
        cached_tokens: cached.or_else(|| believed(counts.get("prompt_cache_hit_tokens"))),
        // OpenAI and OpenRouter, where writing to the cache has a price.
        cache_write_tokens: detail("prompt_tokens_details", "cache_write_tokens"),
        completion_tokens: believed(counts.get("completion_tokens")),
        reasoning_tokens: detail("completion_tokens_details", "reasoning_tokens"),
        tier: usage.tier,
    };
    *usage = Usage {
        prompt_tokens: read.prompt_tokens.or(usage.prompt_tokens),
        cached_tokens: read.cached_tokens.or(usage.cached_tokens),
        cache_write_tokens: read.cache_write_tokens.or(usage.cache_write_tokens),
        completion_tokens: read.completion_tokens.or(usage.completion_tokens),
        reasoning_tokens: read.reasoning_tokens.or(usage.reasoning_tokens),
        tier: usage.tier,
    };
}

/// Returns a text field that is not empty.
pub fn name_in(value: &Json<'_>, field: &str) -> Option<String> {
    value.get(field).and_then(Json::text).filter(|name| !name.is_empty()).map(Into::into)
}
