use super::message::MessageFormat;
use super::{InputFormat, SourceMessage, is_message_list};
use crate::conversation::Columns;
use crate::dataset::unread::Unread;

/// `{"CONVERSATION": [{"role", "content"}], "AXIS", "TARGET_QUESTION", "PASS_CRITERIA"}`: `MultiChallenge`'s dialogues,
/// which end with the user.
pub struct MultiChallenge;

impl InputFormat for MultiChallenge {
    fn name(&self) -> &'static str {
        "multichallenge"
    }

    fn matches(&self, row: &Columns) -> bool {
        is_message_list(row, "CONVERSATION", "role")
    }

    fn take(&self, row: &mut Columns, unread: &mut Unread) -> Result<Vec<SourceMessage>, String> {
        MessageFormat::COMMON.take_list(row, "CONVERSATION", unread)
    }
}
