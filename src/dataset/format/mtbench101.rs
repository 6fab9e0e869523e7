use super::{InputFormat, SourceMessage, assistant_message, is_list_of, take_items, take_text, user_message};
use crate::conversation::Columns;

/// `{"history": [{"user", "bot"}]}`, as in MT-Bench-101. The last `bot` may be null.
pub struct MtBench101;

impl InputFormat for MtBench101 {
    fn name(&self) -> &'static str {
        "mtbench101"
    }

    fn matches(&self, row: &Columns) -> bool {
        is_list_of(row, "history", &["user"])
    }

    fn take(&self, row: &mut Columns) -> Result<Vec<SourceMessage>, String> {
        let mut messages = Vec::new();
        for mut item in take_items(row, "history")? {
            messages.push(user_message(take_text(&mut item, "user")?.unwrap_or_default()));
            messages.extend(take_text(&mut item, "bot")?.map(assistant_message));
        }
        Ok(messages)
    }

    fn list_columns(&self) -> &'static [&'static str] {
        &["history"]
    }
}
