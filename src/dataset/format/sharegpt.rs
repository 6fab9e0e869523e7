use serde_json::Value;

use super::message::MessageFormat;
use super::{InputFormat, SourceMessage};
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
        SHAPE.column(row, &COLUMNS).is_some()
    }

    fn matches_empty(&self, row: &Columns) -> bool {
        matches!(row.get("conversations"), Some(Value::Array(items)) if items.is_empty())
    }

    fn take(&self, row: &mut Columns, unread: &mut Unread) -> Result<Vec<SourceMessage>, String> {
        SHAPE.take_first(row, &COLUMNS, unread)
    }

    fn list_columns(&self) -> &'static [&'static str] {
        &COLUMNS
    }
}
