use super::message::MessageFormat;
use super::{InputFormat, SourceMessage, is_message_list};
use crate::conversation::Columns;
use crate::dataset::unread::Unread;

/// `{"contents": [{"role": "user" | "model", "parts": [{"text"}]}]}`: requests and tuning files of Gemini.
pub struct Gemini;

impl InputFormat for Gemini {
    fn name(&self) -> &'static str {
        "gemini"
    }

    fn matches(&self, row: &Columns) -> bool {
        is_message_list(row, "contents", "role")
    }

    fn take(&self, row: &mut Columns, unread: &mut Unread) -> Result<Vec<SourceMessage>, String> {
        MessageFormat { role: "role", content: "parts" }.take_list(row, "contents", unread)
    }

    fn list_columns(&self) -> &'static [&'static str] {
        &["contents"]
    }
}
