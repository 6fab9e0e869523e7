use serde_json::Value;

use super::message::MessageFormat;
use super::{InputFormat, SourceMessage, is_list_of, present_column, system_message};
use crate::conversation::Columns;
use crate::dataset::role::SourceRole;

/// `{"conversations": [{"from", "value"}]}`, optionally with a `system` column.
pub struct ShareGptInput;

/// The list's column. Both names are common.
const COLUMNS: [&str; 2] = ["conversations", "conversation"];
const SHAPE: MessageFormat<'_> = MessageFormat { role: "from", content: "value" };

impl InputFormat for ShareGptInput {
    fn name(&self) -> &'static str {
        "sharegpt"
    }

    fn matches(&self, row: &Columns) -> bool {
        COLUMNS.iter().any(|column| is_list_of(row, column, &["from", "value"]))
            || matches!(row.get("conversations"), Some(Value::Array(items)) if items.is_empty())
    }

    fn take(&self, row: &mut Columns) -> Result<Vec<SourceMessage>, String> {
        let column = present_column(row, &COLUMNS);
        let mut messages = SHAPE.take_list(row, column)?;
        if let Some(Value::String(system)) = row.get("system") {
            if !system.trim().is_empty() {
                // The row's column takes precedence over a system message in the list.
                if messages.first().is_some_and(|message| message.role == SourceRole::System) {
                    messages.remove(0);
                }
                messages.insert(0, system_message(system.clone()));
            }
            row.shift_remove("system");
        }
        // This format stores the tools as text, which is empty where only other rows have tools.
        if let Some(Value::String(tools)) = row.get("tools") {
            match serde_json::from_str(tools) {
                _ if tools.is_empty() || tools == "[]" => drop(row.shift_remove("tools")),
                Ok(list @ Value::Array(_)) => drop(row.insert("tools".to_owned(), list)),
                _ => {}
            }
        }
        Ok(messages)
    }

    fn list_columns(&self) -> &'static [&'static str] {
        &COLUMNS
    }
}
