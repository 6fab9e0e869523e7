use serde_json::Value;

use super::{InputFormat, SourceMessage};
use crate::conversation::Columns;
use crate::dataset::role::SourceRole;

/// `{"turns": ["…", "…"]}`: user messages only, as in MT-Bench.
pub struct Turns;

impl InputFormat for Turns {
    fn name(&self) -> &'static str {
        "mt-bench"
    }

    fn matches(&self, row: &Columns) -> bool {
        matches!(row.get("turns"), Some(Value::Array(items)) if items.iter().all(Value::is_string))
    }

    fn take(&self, row: &mut Columns) -> Result<Vec<SourceMessage>, String> {
        let Some(Value::Array(items)) = row.shift_remove("turns") else {
            return Err("`turns` is not a list".to_owned());
        };
        // Each message is a turn of its own, so an empty answer follows it.
        let message = SourceMessage::text;
        let messages = items.into_iter().filter_map(|item| match item {
            Value::String(text) => Some(text),
            _ => None,
        });
        Ok(messages
            .flat_map(|text| [message(SourceRole::User, text), message(SourceRole::Assistant, String::new())])
            .collect())
    }

    fn list_columns(&self) -> &'static [&'static str] {
        &["turns"]
    }
}
