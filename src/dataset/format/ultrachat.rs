use serde_json::Value;

use super::{InputFormat, SourceMessage, assistant_message, take_items, user_message};
use crate::conversation::Columns;
use crate::dataset::unread::Unread;

/// `{"data": ["…", "…"]}`: user and assistant alternate, as in `UltraChat`; `conversations` in LIMA.
pub struct UltraChat;

const COLUMNS: [&str; 3] = ["data", "conversations", "conversation"];

fn is_texts(row: &Columns, column: &str) -> bool {
    matches!(row.get(column), Some(Value::Array(items)) if !items.is_empty() && items.iter().all(Value::is_string))
}

impl InputFormat for UltraChat {
    fn name(&self) -> &'static str {
        "ultrachat"
    }

    fn matches(&self, row: &Columns) -> bool {
        COLUMNS.iter().any(|column| is_texts(row, column))
    }

    fn take(&self, row: &mut Columns, _: &mut Unread) -> Result<Vec<SourceMessage>, String> {
        let column = COLUMNS.into_iter().find(|column| is_texts(row, column)).unwrap_or(COLUMNS[0]);
        let texts = take_items(row, column)?.into_iter().filter_map(|item| match item {
            Value::String(text) => Some(text),
            _ => None,
        });
        Ok(texts
            .enumerate()
            .map(|(index, text)| if index % 2 == 0 { user_message(text) } else { assistant_message(text) })
            .collect())
    }

    fn list_columns(&self) -> &'static [&'static str] {
        &COLUMNS
    }
}
