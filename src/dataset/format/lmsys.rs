use super::message::MessageFormat;
use super::{InputFormat, SourceMessage, is_message_list, present_column};
use crate::conversation::Columns;
use crate::dataset::unread::Unread;

/// `{"conversation": [{"role", "content"}]}`: LMSYS-Chat-1M, `WildChat`, distilabel.
pub struct Lmsys;

/// The list's column. distilabel's Magpie and some re-uploads use the plural.
const COLUMNS: [&str; 2] = ["conversation", "conversations"];

impl InputFormat for Lmsys {
    fn name(&self) -> &'static str {
        "lmsys"
    }

    fn matches(&self, row: &Columns) -> bool {
        COLUMNS.iter().any(|column| is_message_list(row, column, "role"))
    }

    fn take(&self, row: &mut Columns, unread: &mut Unread) -> Result<Vec<SourceMessage>, String> {
        let column = COLUMNS.iter().find(|column| is_message_list(row, column, "role"));
        let column = column.copied().unwrap_or_else(|| present_column(row, &COLUMNS));
        MessageFormat::COMMON.take_list(row, column, unread)
    }

    fn list_columns(&self) -> &'static [&'static str] {
        &COLUMNS
    }
}
