use serde_json::Value;

use super::{InputFormat, SourceMessage, assistant_message, user_message};
use crate::conversation::Columns;

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

    fn take(&self, row: &mut Columns) -> Result<Vec<SourceMessage>, String> {
        let Some(Value::String(text)) = row.shift_remove("chosen") else {
            return Err("`chosen` is not a text".to_owned());
        };
        let mut messages = Vec::new();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let is_human = rest.starts_with(HUMAN);
            let body = &rest[if is_human { HUMAN.len() } else { ASSISTANT.len() }..];
            let end = [HUMAN, ASSISTANT].iter().filter_map(|marker| body.find(marker)).min().unwrap_or(body.len());
            let said = body[..end].trim().to_owned();
            messages.push(if is_human { user_message(said) } else { assistant_message(said) });
            rest = &body[end..];
        }
        Ok(messages)
    }
}
