use super::message::MessageFormat;
use super::{InputFormat, SourceMessage, is_list_of};
use crate::conversation::Columns;

/// `{"CONVERSATION": [{"role", "content"}], "AXIS", "TARGET_QUESTION", "PASS_CRITERIA"}`: `MultiChallenge`'s dialogues,
/// which end with the user.
pub struct MultiChallenge;

impl InputFormat for MultiChallenge {
    fn name(&self) -> &'static str {
        "multichallenge"
    }

    fn matches(&self, row: &Columns) -> bool {
        is_list_of(row, "CONVERSATION", &["role", "content"])
    }

    fn take(&self, row: &mut Columns) -> Result<Vec<SourceMessage>, String> {
        MessageFormat::COMMON.take_list(row, "CONVERSATION")
    }
}
