use super::message::MessageFormat;
use super::{InputFormat, SourceMessage, is_list_of, present_column};
use crate::conversation::Columns;

/// `{"conversation": [{"role", "content"}]}`: LMSYS-Chat-1M, `WildChat`, distilabel.
pub struct Lmsys;

/// The list's column. distilabel's Magpie and some re-uploads use the plural.
const COLUMNS: [&str; 2] = ["conversation", "conversations"];

impl InputFormat for Lmsys {
    fn name(&self) -> &'static str {
        "lmsys"
    }

    fn matches(&self, row: &Columns) -> bool {
        COLUMNS.iter().any(|column| is_list_of(row, column, &["role", "content"]))
    }

    fn take(&self, row: &mut Columns) -> Result<Vec<SourceMessage>, String> {
        let column = present_column(row, &COLUMNS);
        MessageFormat::COMMON.take_list(row, column)
    }

    fn list_columns(&self) -> &'static [&'static str] {
        &COLUMNS
    }
}
