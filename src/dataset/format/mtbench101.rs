use serde_json::Value;

use super::alpaca::PROMPTS;
use super::exchanges::read_exchanges;
use super::{InputFormat, SourceMessage, is_list_of, take_items};
use crate::conversation::Columns;
use crate::dataset::unread::Unread;

/// `{"history": [{"user", "bot"}]}`, as in MT-Bench-101. The last `bot` may be null. Beside a prompt it is the history of
/// that prompt, and the row is in another format.
pub struct MtBench101;

impl InputFormat for MtBench101 {
    fn name(&self) -> &'static str {
        "mtbench101"
    }

    fn matches(&self, row: &Columns) -> bool {
        let has_prompt = || PROMPTS.iter().any(|name| row.get(*name).is_some_and(Value::is_string));
        is_list_of(row, "history", &["user"]) && !has_prompt()
    }

    fn take(&self, row: &mut Columns, unread: &mut Unread) -> Result<Vec<SourceMessage>, String> {
        read_exchanges(take_items(row, "history")?, "history", unread)
    }

    fn list_columns(&self) -> &'static [&'static str] {
        &["history"]
    }
}
