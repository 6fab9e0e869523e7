use super::message::MessageFormat;
use super::{InputFormat, SourceMessage};
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
        MessageFormat::COMMON.column(row, &COLUMNS).is_some()
    }

    fn take(&self, row: &mut Columns, unread: &mut Unread) -> Result<Vec<SourceMessage>, String> {
        MessageFormat::COMMON.take_first(row, &COLUMNS, unread)
    }

    fn list_columns(&self) -> &'static [&'static str] {
        &COLUMNS
    }
}
