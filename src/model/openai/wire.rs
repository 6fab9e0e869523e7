//! A chat completion and a chunk of one, in their wire format.

use std::borrow::Cow;
use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::conversation::Usage;

/// A token count above this is invalid.
const TOKENS_MAX: u64 = 1 << 40;

#[derive(Deserialize)]
pub struct Completion<'a> {
    #[serde(borrow, default)]
    pub choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    pub model: Option<WireText<'a>>,
    #[serde(borrow)]
    pub system_fingerprint: Option<WireText<'a>>,
    pub usage: Option<WireUsage>,
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub struct Choice<'a> {
    #[serde(borrow)]
    pub message: Option<WireMessage<'a>>,
    #[serde(borrow)]
    pub delta: Option<WireMessage<'a>>,
    #[serde(borrow)]
    pub finish_reason: Option<WireText<'a>>,
    #[serde(borrow)]
    pub native_finish_reason: Option<WireText<'a>>,
    #[serde(borrow)]
    pub provider_specific_fields: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
pub struct WireMessage<'a> {
    #[serde(borrow)]
    pub content: Option<WireContent<'a>>,
    #[serde(borrow)]
    pub reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    pub reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub refusal: Option<WireText<'a>>,
    pub tool_calls: Option<Vec<Value>>,
}

pub enum WireContent<'a> {
    Text(WireText<'a>),
    Parts(Vec<WirePart>),
}

/// Written by hand: serde's untagged enums copy the input before they decide, for each chunk of a stream.
impl<'de: 'a, 'a> Deserialize<'de> for WireContent<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ContentVisitor;

        impl<'de> Visitor<'de> for ContentVisitor {
            type Value = WireContent<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("text or a list of parts")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(WireContent::Text(WireText(text.into())))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(WireContent::Text(WireText(text.to_owned().into())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = items.next_element()? {
                    parts.push(part);
                }
                Ok(WireContent::Parts(parts))
            }
        }

        deserializer.deserialize_any(ContentVisitor)
    }
}

/// Text that borrows from the reply unless it has escapes: serde's `Option<Cow<str>>` always copies.
pub struct WireText<'a>(Cow<'a, str>);

impl std::ops::Deref for WireText<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for WireText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = WireText<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(WireText(text.into()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(WireText(text.to_owned().into()))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

#[derive(Deserialize)]
pub struct WirePart {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    text: Option<String>,
    /// Text, or a list of text parts from Mistral.
    thinking: Option<Value>,
}

impl WirePart {
    pub fn text(&self) -> Cow<'_, str> {
        match (&self.text, &self.thinking) {
            (Some(text), _) => text.into(),
            (None, Some(Value::String(text))) => text.into(),
            (None, Some(Value::Array(parts))) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
            _ => "".into(),
        }
    }
}

#[derive(Deserialize)]
pub struct WireUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

impl From<&WireUsage> for Usage {
    fn from(wire: &WireUsage) -> Self {
        let believed = |count: Option<u64>| count.filter(|count| *count <= TOKENS_MAX);
        let cached = wire.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens);
        let reasoning = wire.completion_tokens_details.as_ref().and_then(|details| details.reasoning_tokens);
        Self {
            prompt_tokens: believed(wire.prompt_tokens),
            cached_tokens: believed(cached.or(wire.prompt_cache_hit_tokens)),
            cache_write_tokens: None,
            completion_tokens: believed(wire.completion_tokens),
            reasoning_tokens: believed(reasoning),
        }
    }
}
