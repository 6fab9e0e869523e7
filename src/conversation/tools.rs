use std::sync::Arc;

use serde_json::Value;

/// The tools that the assistant of a conversation may call, as `OpenAI`'s `tools` has them. Shared by every question of
/// the conversation.
#[derive(Clone, Debug)]
pub struct ToolSet {
    tools: Arc<[Value]>,
    json: Arc<str>,
}

impl ToolSet {
    /// Makes a set of definitions: `{"type": "function", "function": {"name", "description", "parameters"}}`.
    pub fn new(tools: Vec<Value>) -> Self {
        let json = serde_json::to_string(&tools).expect("a JSON value is always valid JSON");
        Self { tools: tools.into(), json: json.into() }
    }

    /// Returns the definitions.
    pub fn tools(&self) -> &[Value] {
        &self.tools
    }

    /// Returns the definitions as compact JSON, which is what identities hold.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Returns the definitions as one JSON value.
    pub fn to_value(&self) -> Value {
        Value::Array(self.tools.to_vec())
    }
}

/// True for an answer that calls a tool in its text, as servers without a parser for calls pass it on: `<tool_call>` with a
/// JSON object behind it.
pub fn calls_tool_in_text(text: &str) -> bool {
    text.match_indices("<tool_call>").any(|(at, tag)| text[at + tag.len()..].trim_start().starts_with('{'))
}

impl PartialEq for ToolSet {
    fn eq(&self, other: &Self) -> bool {
        self.json == other.json
    }
}

impl Eq for ToolSet {}
