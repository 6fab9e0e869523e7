use super::{
    InputFormat, SourceMessage, assistant_message, is_list_of, present_column, system_message, take_items, take_text,
    user_message,
};
use crate::conversation::Columns;

/// `{"conversation": [{"human", "assistant"}]}` or `[{"input", "output"}]`: one object per exchange, as in files for
/// Firefly, ms-swift and `XTuner`. The first may have a `system` field.
pub struct Exchanges;

const COLUMNS: [&str; 2] = ["conversation", "conversations"];
const KEYS: [[&str; 2]; 2] = [["human", "assistant"], ["input", "output"]];

impl InputFormat for Exchanges {
    fn name(&self) -> &'static str {
        "exchanges"
    }

    fn matches(&self, row: &Columns) -> bool {
        COLUMNS.iter().any(|column| KEYS.iter().any(|keys| is_list_of(row, column, keys)))
    }

    fn take(&self, row: &mut Columns) -> Result<Vec<SourceMessage>, String> {
        let column = present_column(row, &COLUMNS);
        let mut messages = Vec::new();
        for (index, mut item) in take_items(row, column)?.into_iter().enumerate() {
            let keys = KEYS.into_iter().find(|keys| item.get(keys[0]).is_some());
            let [asked, said] = keys.ok_or_else(|| format!("exchange {} has no user message", index + 1))?;
            if let Some(text) = take_text(&mut item, "system")?.filter(|_| index == 0) {
                messages.push(system_message(text));
            }
            messages.push(user_message(take_text(&mut item, asked)?.unwrap_or_default()));
            messages.extend(take_text(&mut item, said)?.map(assistant_message));
        }
        Ok(messages)
    }

    fn list_columns(&self) -> &'static [&'static str] {
        &COLUMNS
    }
}
