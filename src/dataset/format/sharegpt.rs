use serde_json::Value;

use super::message::MessageFormat;
use super::{InputFormat, SourceMessage, is_message_list, present_column};
use crate::conversation::Columns;
use crate::dataset::unread::Unread;

/// `{"conversations": [{"from", "value"}]}`, optionally with a `system` column.
pub struct ShareGptInput;

/// The list's column, in the order in which they count.
const COLUMNS: [&str; 5] = ["conversations", "conversation", "messages", "dialog", "dialogue"];
const SHAPE: MessageFormat<'_> = MessageFormat { role: "from", content: "value" };

impl InputFormat for ShareGptInput {
    fn name(&self) -> &'static str {
        "sharegpt"
    }

    fn matches(&self, row: &Columns) -> bool {
        COLUMNS.iter().any(|column| is_message_list(row, column, "from"))
    }

    fn matches_empty(&self, row: &Columns) -> bool {
        matches!(row.get("conversations"), Some(Value::Array(items)) if items.is_empty())
    }

    fn take(&self, row: &mut Columns, unread: &mut Unread) -> Result<Vec<SourceMessage>, String> {
        let column = COLUMNS.iter().find(|column| is_message_list(row, column, "from"));
        let column = column.copied().unwrap_or_else(|| present_column(row, &COLUMNS));
        SHAPE.take_list(row, column, unread)
    }

    fn list_columns(&self) -> &'static [&'static str] {
        &COLUMNS
    }
}
