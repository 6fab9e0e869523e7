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

    /// Returns the names of the tools.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tools.iter().filter_map(|tool| tool.get("function").unwrap_or(tool).get("name")?.as_str())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_equal_where_their_definitions_are() {
        let set = |text: &str| ToolSet::new(serde_json::from_str(text).unwrap());
        let one = r#"[{"type": "function", "function": {"name": "a"}}]"#;
        let other = r#"[{"type": "function", "function": {"name": "b"}}]"#;
        assert_eq!(set(one), set(one));
        assert_ne!(set(one), set(other));
    }

    #[test]
    fn a_call_in_a_text_is_a_tag_with_an_object_behind_it() {
        for text in ["<tool_call>{", "So: <tool_call>\n {\"name\"", "<tool_call>a <tool_call>{}"] {
            assert!(calls_tool_in_text(text), "{text}");
        }
        for text in ["", "<tool_call>", "<tool_call>name", "{ <tool_call>"] {
            assert!(!calls_tool_in_text(text), "{text}");
        }
    }
}
