use serde_json::Value;

use super::message::MessageFormat;
use super::{InputFormat, SourceMessage, is_list_of};
use crate::conversation::Columns;

/// Preference pairs whose dialogue is a list: TRL's `{"prompt": [...], "chosen" | "completion": [...]}`, and LLaMA-Factory's
/// `{"chosen_messages", "rejected_messages"}`. The better side is read; the other remains a column.
pub struct Preference;

const BETTER: [&str; 2] = ["chosen", "completion"];

impl InputFormat for Preference {
    fn name(&self) -> &'static str {
        "preference"
    }

    fn matches(&self, row: &Columns) -> bool {
        is_list_of(row, "chosen_messages", &["role"]) || is_list_of(row, "prompt", &["role"])
    }

    fn take(&self, row: &mut Columns) -> Result<Vec<SourceMessage>, String> {
        if row.contains_key("chosen_messages") {
            return MessageFormat::COMMON.take_list(row, "chosen_messages");
        }
        let mut messages = MessageFormat::COMMON.take_list(row, "prompt")?;
        let better = BETTER.into_iter().find(|name| matches!(row.get(*name), Some(Value::Array(_) | Value::Object(_))));
        let items = match better.and_then(|name| row.shift_remove(name)) {
            Some(Value::Array(items)) => items,
            Some(message) => vec![message],
            None => Vec::new(),
        };
        for item in items {
            messages.push(MessageFormat::COMMON.read(messages.len(), item)?);
        }
        Ok(messages)
    }
}
