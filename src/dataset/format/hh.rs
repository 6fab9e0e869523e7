use serde_json::Value;

use super::{InputFormat, SourceMessage, assistant_message, user_message};
use crate::conversation::Columns;
use crate::dataset::unread::Unread;

/// `{"chosen": "\n\nHuman: …\n\nAssistant: …", "rejected": …}`: the transcripts of Anthropic's hh-rlhf. The chosen one is
/// read; the rejected one remains a column.
pub struct HhRlhf;

const HUMAN: &str = "\n\nHuman:";
const ASSISTANT: &str = "\n\nAssistant:";

impl InputFormat for HhRlhf {
    fn name(&self) -> &'static str {
        "hh-rlhf"
    }

    fn matches(&self, row: &Columns) -> bool {
        row.get("chosen").and_then(Value::as_str).is_some_and(|text| text.starts_with(HUMAN))
    }

    fn take(&self, row: &mut Columns, _: &mut Unread) -> Result<Vec<SourceMessage>, String> {
        let Some(Value::String(text)) = row.shift_remove("chosen") else {
            return Err("`chosen` is not a text".to_owned());
        };
        // What is asked is the beginning of the transcript, where it is given once more.
        if let Some(Value::String(prompt)) = row.get("prompt")
            && text.trim_start().starts_with(prompt.trim_start().trim_end())
        {
            row.shift_remove("prompt");
        }
        split_hh(&text).ok_or_else(|| "`chosen` is not a transcript".to_owned())
    }
}

/// Splits a transcript. `None` for a text that does not begin with the user's marker.
pub fn split_hh(text: &str) -> Option<Vec<SourceMessage>> {
    if !text.starts_with(HUMAN) {
        return None;
    }
    let mut messages = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let is_human = rest.starts_with(HUMAN);
        let body = &rest[if is_human { HUMAN.len() } else { ASSISTANT.len() }..];
        let end = [HUMAN, ASSISTANT].iter().filter_map(|marker| body.find(marker)).min().unwrap_or(body.len());
        let said = body[..end].trim().to_owned();
        messages.push(if is_human { user_message(said) } else { assistant_message(said) });
        rest = &body[end..];
    }
    Some(messages)
}
