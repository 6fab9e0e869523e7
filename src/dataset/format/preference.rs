use serde_json::Value;

use super::alpaca::PROMPTS;
use super::message::MessageFormat;
use super::transcript::split_transcript;
use super::{InputFormat, SourceMessage, is_message_list, user_message};
use crate::conversation::Columns;
use crate::dataset::role::SourceRole;
use crate::dataset::unread::Unread;

/// Preference pairs whose dialogue is a list: TRL's `{"prompt": [...], "chosen" | "completion": [...]}`, also without
/// `prompt` or with a text there, and LLaMA-Factory's `{"chosen_messages", "rejected_messages"}`. The better side is read;
/// the other remains a column.
pub struct Preference {
    /// A side is read that holds the whole dialogue, also beside a prompt that is a text.
    pub reads_whole_sides: bool,
}

const BETTER: [&str; 2] = ["chosen", "completion"];

impl InputFormat for Preference {
    fn name(&self) -> &'static str {
        "preference"
    }

    fn matches(&self, row: &Columns) -> bool {
        let is_list = |column: &str| is_message_list(row, column, "role") || is_message_list(row, column, "from");
        is_list("chosen_messages") || is_list("prompt") || (self.reads_whole_sides && is_list("chosen"))
    }

    fn take(&self, row: &mut Columns, unread: &mut Unread) -> Result<Vec<SourceMessage>, String> {
        if row.contains_key("chosen_messages") {
            return MessageFormat::COMMON.take_list(row, "chosen_messages", unread);
        }
        let prompt = match row.get("prompt") {
            Some(Value::Array(_)) => MessageFormat::COMMON.take_list(row, "prompt", unread)?,
            _ => take_text_prompt(row),
        };
        let better = BETTER.into_iter().find(|name| matches!(row.get(*name), Some(Value::Array(_) | Value::Object(_))));
        let Some(name) = better else { return Ok(prompt) };
        let side = match row.shift_remove(name) {
            Some(Value::Array(items)) => items,
            Some(message) => vec![message],
            None => Vec::new(),
        };
        let side = MessageFormat::COMMON.read_list(side, name, unread)?;
        let is_whole = |message: &SourceMessage| matches!(message.role, SourceRole::User | SourceRole::System);
        if !side.first().is_some_and(is_whole) {
            // It continues the prompt.
            return Ok([prompt, side].concat());
        }
        // The side repeats the prompt.
        let asked = |messages: &[SourceMessage]| -> Vec<String> {
            let users = messages.iter().filter(|message| message.role == SourceRole::User);
            users.map(|message| message.text_or_empty().trim().to_owned()).collect()
        };
        let (prompt_asks, side_asks) = (asked(&prompt), asked(&side));
        let leading =
            |messages: &[SourceMessage]| messages.first().filter(|first| first.role == SourceRole::System).cloned();
        if !side_asks.starts_with(&prompt_asks) && !prompt_asks.iter().all(|asked| side_asks.contains(asked)) {
            return Err(format!("the prompt is no part of `{name}`, so what is asked is not known"));
        }
        let system = leading(&prompt).filter(|_| leading(&side).is_none());
        Ok(system.into_iter().chain(side).collect())
    }

    fn list_columns(&self) -> &'static [&'static str] {
        &["chosen_messages", "rejected_messages"]
    }
}

/// Takes a prompt that is a text, or a transcript.
fn take_text_prompt(row: &mut Columns) -> Vec<SourceMessage> {
    let name = PROMPTS.iter().find(|name| row.get(**name).is_some_and(Value::is_string));
    let Some(Value::String(text)) = name.and_then(|name| row.shift_remove(*name)) else { return Vec::new() };
    split_transcript(&text).unwrap_or_else(|| vec![user_message(text)])
}
