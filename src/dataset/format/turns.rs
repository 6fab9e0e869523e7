use serde_json::Value;

use super::{InputFormat, SourceMessage, assistant_message, take_items, user_message};
use crate::conversation::Columns;

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
        let texts = take_items(row, "turns")?.into_iter().filter_map(|item| match item {
            Value::String(text) => Some(text),
            _ => None,
        });
        // Each message is a turn of its own, so an empty answer follows it.
        Ok(texts.flat_map(|text| [user_message(text), assistant_message(String::new())]).collect())
    }

    fn list_columns(&self) -> &'static [&'static str] {
        &["turns"]
    }
}
