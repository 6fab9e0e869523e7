use serde_json::Value;

use super::message::MessageFormat;
use super::{InputFormat, SourceMessage};
use crate::conversation::Columns;

/// `{"messages": [{"role", "content"}]}`, as in `OpenAI`'s fine-tuning files.
pub struct OpenAiInput;

impl InputFormat for OpenAiInput {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn matches(&self, row: &Columns) -> bool {
        match row.get("messages") {
            Some(Value::Array(items)) => items.first().is_none_or(|first| first.get("role").is_some()),
            _ => false,
        }
    }

    fn take(&self, row: &mut Columns) -> Result<Vec<SourceMessage>, String> {
        MessageFormat::COMMON.take_list(row, "messages")
    }

    fn list_columns(&self) -> &'static [&'static str] {
        &["messages"]
    }
}
