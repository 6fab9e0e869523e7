use serde_json::Value;

use super::{InputFormat, SourceMessage, assistant_message, take_items, take_text, user_message};
use crate::conversation::Columns;
use crate::dataset::unread::Unread;

/// `{"messages": [{"message"}]}` without roles, as in `KdConv`: user and assistant alternate. It must be named explicitly,
/// because nothing in the row says who begins.
pub struct Alternate;

impl InputFormat for Alternate {
    fn name(&self) -> &'static str {
        "alternate"
    }

    fn matches(&self, row: &Columns) -> bool {
        matches!(row.get("messages"), Some(Value::Array(items)) if !items.is_empty())
    }

    fn take(&self, row: &mut Columns, unread: &mut Unread) -> Result<Vec<SourceMessage>, String> {
        let mut messages = Vec::new();
        for (index, mut item) in take_items(row, "messages")?.into_iter().enumerate() {
            let text = match item {
                Value::String(text) => text,
                _ => {
                    let text = ["message", "content", "text", "value"]
                        .iter()
                        .find_map(|name| take_text(&mut item, name).ok().flatten())
                        .ok_or_else(|| format!("message {} has no text", index + 1))?;
                    unread.add(|| "messages[]".to_owned(), &item);
                    text
                }
            };
            messages.push(if index % 2 == 0 { user_message(text) } else { assistant_message(text) });
        }
        Ok(messages)
    }

    fn list_columns(&self) -> &'static [&'static str] {
        &["messages"]
    }
}
