use serde_json::Value;

use super::message::MessageFormat;
use super::{InputFormat, SourceMessage, is_message_list, present_column};
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
        COLUMNS.iter().any(|column| is_message_list(row, column, "role"))
    }

    fn matches_empty(&self, row: &Columns) -> bool {
        matches!(row.get("messages"), Some(Value::Array(items)) if items.is_empty())
    }

    fn take(&self, row: &mut Columns, unread: &mut Unread) -> Result<Vec<SourceMessage>, String> {
        let column = COLUMNS.iter().find(|column| is_message_list(row, column, "role"));
        let column = column.copied().unwrap_or_else(|| present_column(row, &COLUMNS));
        MessageFormat::COMMON.take_list(row, column, unread)
    }

    fn list_columns(&self) -> &'static [&'static str] {
        &COLUMNS
    }
}
