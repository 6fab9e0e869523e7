use serde_json::Value;

use super::{InputFormat, SourceMessage, assistant_message, take_items, user_message};
use crate::conversation::Columns;
use crate::dataset::unread::Unread;

/// `{"data": ["…", "…"]}`: user and assistant alternate, as in `UltraChat`.
pub struct UltraChat;

impl InputFormat for UltraChat {
    fn name(&self) -> &'static str {
        "ultrachat"
    }

    fn matches(&self, row: &Columns) -> bool {
        matches!(row.get("data"), Some(Value::Array(items)) if !items.is_empty() && items.iter().all(Value::is_string))
    }

    fn take(&self, row: &mut Columns, _: &mut Unread) -> Result<Vec<SourceMessage>, String> {
        let texts = take_items(row, "data")?.into_iter().filter_map(|item| match item {
            Value::String(text) => Some(text),
            _ => None,
        });
        Ok(texts
            .enumerate()
            .map(|(index, text)| if index % 2 == 0 { user_message(text) } else { assistant_message(text) })
            .collect())
    }
}
