//! Reads the content of a message: a text, or a list of parts as `OpenAI`, Anthropic, Bedrock, Gemini and LLaMA-Factory
//! write them.

use serde_json::{Map, Value};

use super::mask::Mask;
use super::tools::{UnreadableCall, normalised_calls};
use crate::dataset::media::is_media;
use crate::dataset::python_literal::written_value;
use crate::dataset::unread::{Unread, has_words};

/// What the content of a message holds.
#[derive(Debug, Default)]
pub struct Content {
    /// The words; `None` where there is no text at all, not even an empty one.
    pub text: Option<String>,
    /// The reasoning before them.
    pub reasoning: String,
    /// The words of a refusal.
    pub refusal: String,
    /// Calls of tools, normalised.
    pub calls: Vec<Value>,
    /// Results of calls.
    pub results: Vec<ToolResult>,
    /// There is a picture, sound or a film.
    pub has_media: bool,
    /// There is a call that cannot be read.
    pub has_unreadable_call: bool,
    /// The masks of single parts, as far as they have any.
    pub mask: Option<Mask>,
    /// Parts with words and without a mask.
    unmasked: bool,
}

/// The result of a call, as a part of a message.
#[derive(Debug)]
pub struct ToolResult {
    /// The id of the call.
    pub id: Option<String>,
    /// The name of the function.
    pub name: Option<String>,
    /// What it returned.
    pub text: String,
}

/// Keys of a part's words, in the order in which they count.
const WORDS: [&str; 5] = ["text", "value", "content", "answer", "parts"];
/// Keys of the words of reasoning, in the order in which they count.
const REASONING: [&str; 8] =
    ["thinking", "reasoning", "thought", "text", "value", "content", "summary", "reasoningText"];
/// Keys of media in parts.
const MEDIA: [&str; 12] = [
    "image",
    "image_url",
    "input_image",
    "inlineData",
    "inline_data",
    "fileData",
    "file_data",
    "video",
    "audio",
    "input_audio",
    "document",
    "file",
];
/// Content within content is read to this depth.
const DEPTH_MAX: usize = 8;

impl Content {
    /// Adds a text, which may hold a list of parts.
    pub fn add_text(&mut self, text: String, place: &str, unread: &mut Unread) -> Result<(), String> {
        if let Some(parts) = parts_in(&text) {
            return self.add_nested(parts, place, unread, 1);
        }
        if text.starts_with("data:image/") || text.starts_with("data:audio/") {
            self.has_media = true;
        } else {
            self.push_text(text);
        }
        Ok(())
    }

    /// Adds a value of a message's content. Fails with the reason for which it cannot be read.
    pub fn add(&mut self, value: Value, place: &str, unread: &mut Unread) -> Result<(), String> {
        self.add_nested(value, place, unread, 0)
    }

    /// True where there is nothing: no text, call, result, refusal, reasoning or media.
    pub fn is_missing(&self) -> bool {
        let has_calls = !self.calls.is_empty() || !self.results.is_empty() || self.has_unreadable_call;
        let has_words = self.text.is_some() || !self.refusal.is_empty() || !self.reasoning.is_empty();
        !has_calls && !has_words && !self.has_media
    }

    fn add_nested(&mut self, value: Value, place: &str, unread: &mut Unread, depth: usize) -> Result<(), String> {
        match value {
            Value::Null => Ok(()),
            Value::String(text) => {
                self.push_text(text);
                Ok(())
            }
            Value::Array(parts) if depth < DEPTH_MAX => {
                let place = format!("{place}[]");
                parts.into_iter().try_for_each(|part| self.add_nested(part, &place, unread, depth + 1))
            }
            Value::Object(part) if depth < DEPTH_MAX => self.add_part(part, place, unread, depth + 1),
            Value::Array(_) | Value::Object(_) => {
                Err(format!("has a `content` that is nested deeper than {DEPTH_MAX}"))
            }
            Value::Bool(_) | Value::Number(_) => {
                Err("has a `content` that is neither text nor a list of parts".to_owned())
            }
        }
    }

    /// Adds what a tool returned.
    pub fn add_returned(&mut self, returned: Value) {
        self.has_media |= returns_media(&returned);
        self.text = Some(result_text(returned));
    }

    fn push_text(&mut self, more: String) {
        match &mut self.text {
            Some(text) => text.push_str(&more),
            none => *none = Some(more),
        }
    }

    fn add_part(
        &mut self,
        mut part: Map<String, Value>,
        place: &str,
        unread: &mut Unread,
        depth: usize,
    ) -> Result<(), String> {
        part.retain(|_, value| !value.is_null());
        let kind = match part.swap_remove("type") {
            Some(Value::String(kind)) => kind,
            Some(_) => return Err("has a part whose `type` is not a text".to_owned()),
            None => String::new(),
        };
        let is_reasoning = part.swap_remove("thought").is_some_and(|flag| match flag {
            Value::Bool(flag) => flag,
            other => {
                part.insert("thought".to_owned(), other);
                true
            }
        });
        self.add_mask(&mut part);
        if !is_media_kind(&kind) {
            self.take_media(&mut part);
        }
        match kind.as_str() {
            _ if is_reasoning => self.add_reasoning(&mut part),
            "thinking" | "reasoning" | "thought" | "redacted_thinking" => self.add_reasoning(&mut part),
            "" => self.add_untyped(&mut part, place, unread, depth)?,
            "text" | "input_text" | "output_text" => self.add_words(&mut part, place, unread, depth)?,
            "refusal" => {
                for name in ["refusal", "text"] {
                    if let Some(Value::String(words)) = part.get(name) {
                        self.refusal.push_str(words);
                        part.swap_remove(name);
                        break;
                    }
                }
            }
            "tool_use" | "tool_call" | "function_call" | "toolUse" | "function" | "server_tool_use" => {
                self.add_call(&mut part, place, unread);
            }
            "tool_result" | "function_call_output" | "tool_response" | "toolResult" => self.add_result(&mut part),
            "document" if part.get("source").is_some_and(|source| source["type"] == "text") => {
                let mut source = part.get_mut("source").map(Value::take).unwrap_or_default();
                if let Some(Value::String(words)) = source.get_mut("data").map(Value::take) {
                    self.push_text(words);
                }
            }
            kind if is_media_kind(kind) => {
                self.has_media = true;
                // The picture itself is what `--media` is about.
                part.retain(|name, _| name == "text");
            }
            other => return Err(format!("has a part of the unknown type `{other}`")),
        }
        unread.add(|| place.to_owned(), &Value::Object(part));
        Ok(())
    }

    /// Reads a part without a type by its keys, as Bedrock and Gemini write them.
    fn add_untyped(
        &mut self,
        part: &mut Map<String, Value>,
        place: &str,
        unread: &mut Unread,
        depth: usize,
    ) -> Result<(), String> {
        for key in ["toolUse", "functionCall", "function_call"] {
            if let Some(call) = part.swap_remove(key) {
                self.take_calls(normalised_calls(call, &format!("{place}.{key}"), unread));
            }
        }
        for key in ["toolResult", "functionResponse", "function_response"] {
            if let Some(Value::Object(mut result)) = part.swap_remove(key) {
                self.add_result(&mut result);
                unread.add(|| format!("{place}.{key}"), &Value::Object(result));
            }
        }
        for key in ["executableCode", "codeExecutionResult"] {
            self.has_unreadable_call |= part.swap_remove(key).is_some();
        }
        if let Some(Value::Object(mut reasoning)) = part.swap_remove("reasoningContent") {
            self.add_reasoning(&mut reasoning);
        }
        if let Some(refusal) = part.get("refusal").and_then(Value::as_str) {
            self.refusal.push_str(refusal);
            part.swap_remove("refusal");
        }
        let is_known = part.is_empty() || WORDS.iter().any(|name| part.contains_key(*name));
        if !is_known && part.values().any(|value| is_media("", value)) {
            self.has_media = true;
            part.clear();
        } else if is_known {
            self.add_words(part, place, unread, depth)?;
        } else if self.is_missing() {
            let names: Vec<&str> = part.keys().take(4).map(String::as_str).collect();
            return Err(format!("has a part with the keys {}, none of which holds its text", names.join(", ")));
        }
        Ok(())
    }

    /// Takes media, which may stand beside the words of a part.
    fn take_media(&mut self, part: &mut Map<String, Value>) {
        let before = part.len();
        part.retain(|name, value| !(MEDIA.contains(&name.as_str()) && has_words(value)));
        self.has_media |= part.len() < before;
    }

    fn add_words(
        &mut self,
        part: &mut Map<String, Value>,
        place: &str,
        unread: &mut Unread,
        depth: usize,
    ) -> Result<(), String> {
        for name in WORDS {
            if let Some(words) = part.swap_remove(name) {
                return self.add_nested(words, &format!("{place}.{name}"), unread, depth);
            }
        }
        Ok(())
    }

    fn add_reasoning(&mut self, part: &mut Map<String, Value>) {
        for name in REASONING {
            if let Some(words) = part.get(name).and_then(reasoning_words) {
                self.reasoning.push_str(&words);
                part.swap_remove(name);
                return;
            }
        }
    }

    fn add_call(&mut self, part: &mut Map<String, Value>, place: &str, unread: &mut Unread) {
        let written = part.swap_remove("value").or_else(|| part.swap_remove("tool_call"));
        let call = written.unwrap_or_else(|| Value::Object(std::mem::take(part)));
        self.take_calls(normalised_calls(call, place, unread));
    }

    fn take_calls(&mut self, calls: Result<Vec<Value>, UnreadableCall>) {
        match calls {
            Ok(calls) => self.calls.extend(calls),
            Err(UnreadableCall) => self.has_unreadable_call = true,
        }
    }

    fn add_result(&mut self, part: &mut Map<String, Value>) {
        let mut take = |names: &[&str]| names.iter().find_map(|name| part.swap_remove(*name));
        let text = |value: Value| value.as_str().map(str::to_owned);
        let id = take(&["tool_use_id", "toolUseId", "tool_call_id", "call_id", "id"]).and_then(text);
        let name = take(&["name"]).and_then(text);
        let returned = take(&["content", "output", "response", "result", "value", "text"]).unwrap_or_default();
        self.has_media |= returns_media(&returned);
        self.results.push(ToolResult { id, name, text: result_text(returned) });
    }

    fn add_mask(&mut self, part: &mut Map<String, Value>) {
        match Mask::take(part) {
            Some(mask) if self.unmasked => self.mask = Mask::both(Some(mask), Some(Mask::Partial)),
            Some(mask) => self.mask = Mask::both(self.mask, Some(mask)),
            None if self.mask.is_some() => self.mask = Some(Mask::Partial),
            None => self.unmasked = true,
        }
    }
}

/// Returns a list of typed parts that is written as text, as in tables.
fn parts_in(text: &str) -> Option<Value> {
    if !text.starts_with("[{\"type\"") && !text.starts_with("[{'type'") && !text.starts_with("[{\"text\"") {
        return None;
    }
    let parts = written_value(text)?;
    let is_part = |part: &Value| part["type"].is_string() && part.as_object().is_some_and(|part| part.len() > 1);
    parts.as_array().is_some_and(|parts| parts.iter().all(is_part)).then_some(parts)
}

fn is_media_kind(kind: &str) -> bool {
    ["image", "audio", "video", "file", "document", "picture"].iter().any(|word| kind.contains(word))
}

/// True for a result with a picture, sound or a film in it.
fn returns_media(returned: &Value) -> bool {
    let is_part = |part: &Value| {
        let kind = part["type"].as_str().unwrap_or_default();
        is_media_kind(kind) || MEDIA.iter().any(|key| part.get(*key).is_some_and(Value::is_object))
    };
    match returned {
        Value::Array(parts) => parts.iter().any(is_part),
        Value::Object(_) => is_part(returned),
        _ => false,
    }
}

/// Returns what a tool returned as text: words as they are, everything else as JSON.
pub fn result_text(returned: Value) -> String {
    let is_text = |part: &Value| {
        part.is_string()
            || part.as_object().is_some_and(|part| {
                part.get("text").is_some_and(Value::is_string) && part.keys().all(|key| key == "type" || key == "text")
            })
    };
    match returned {
        Value::Null => String::new(),
        Value::String(text) => text,
        Value::Array(parts) if parts.iter().all(is_text) => {
            let texts: Vec<&str> =
                parts.iter().filter_map(|part| part.as_str().or_else(|| part["text"].as_str())).collect();
            texts.join("\n")
        }
        Value::Array(parts) if matches!(&parts[..], [part] if part.get("json").is_some()) => {
            parts[0]["json"].to_string()
        }
        other => other.to_string(),
    }
}

/// Returns the words of reasoning: a text, or parts of it. `None` where there is anything else in it, which would be lost.
pub fn reasoning_words(value: &Value) -> Option<String> {
    let mut words = String::new();
    push_words(value, &mut words)?;
    Some(words).filter(|words| !words.trim().is_empty())
}

fn push_words(value: &Value, words: &mut String) -> Option<()> {
    match value {
        Value::Null => {}
        Value::String(text) => words.push_str(text),
        Value::Array(items) => items.iter().try_for_each(|item| push_words(item, words))?,
        Value::Object(fields) => {
            let is_about = |name: &str| matches!(name, "type" | "signature" | "id" | "format" | "index");
            let mut inner = fields.iter().filter(|(name, value)| !is_about(name) && has_words(value));
            match (inner.next(), inner.next()) {
                (Some((name, inner)), None) if REASONING.contains(&name.as_str()) => push_words(inner, words)?,
                (None, _) => {}
                _ => return None,
            }
        }
        Value::Bool(_) | Value::Number(_) => return None,
    }
    Some(())
}
