use serde_json::Value;

use super::message::MessageFormat;
use super::{InputFormat, SourceMessage};
use crate::conversation::Columns;
use crate::dataset::unread::Unread;

/// `{"messages": [{"role", "content"}]}`, as in `OpenAI`'s fine-tuning files, Anthropic's and Bedrock's requests. Other
/// names of the column are read where the messages have roles.
pub struct OpenAiInput;

const COLUMNS: [&str; 8] =
    ["messages", "dialog", "dialogue", "dialogs", "chat", "chat_messages", "turns", "message_list"];

impl InputFormat for OpenAiInput {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn matches(&self, row: &Columns) -> bool {
        MessageFormat::COMMON.column(row, &COLUMNS).is_some()
    }

    fn matches_empty(&self, row: &Columns) -> bool {
        matches!(row.get("messages"), Some(Value::Array(items)) if items.is_empty())
    }

    fn take(&self, row: &mut Columns, unread: &mut Unread) -> Result<Vec<SourceMessage>, String> {
        MessageFormat::COMMON.take_first(row, &COLUMNS, unread)
    }

    fn list_columns(&self) -> &'static [&'static str] {
        &COLUMNS
    }
}
