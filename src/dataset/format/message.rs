//! Reads messages that are objects with a role and a content, as in most formats.

use serde_json::Value;

use super::{SourceContent, SourceMessage, take_items, tools};
use crate::conversation::Columns;
use crate::dataset::role::SourceRole;

/// The keys of a format's messages.
#[derive(Clone, Copy, Debug)]
pub struct MessageFormat<'a> {
    /// The key of the role.
    pub role: &'a str,
    /// The key of the content.
    pub content: &'a str,
}

/// Keys of a message's reasoning.
const REASONING: [&str; 3] = ["reasoning_content", "reasoning", "thinking"];
/// Keys that say whether a message is trained on: axolotl's, ms-swift's, `OpenAI`'s, LLaMA-Factory's.
const TRAINED: [&str; 4] = ["train", "loss", "weight", "loss_weight"];

impl MessageFormat<'_> {
    /// `{"role", "content"}`.
    pub const COMMON: MessageFormat<'static> = MessageFormat { role: "role", content: "content" };

    /// Takes a column's list of messages out of the row.
    pub fn take_list(&self, row: &mut Columns, column: &str) -> Result<Vec<SourceMessage>, String> {
        let items = take_items(row, column)?;
        let read = |(index, item)| self.read(index, item);
        let mut messages = items.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
        tools::name_calls(&mut messages);
        Ok(messages)
    }

    /// Reads one message; `index` is its position in the list, from 0.
    pub fn read(&self, index: usize, mut item: Value) -> Result<SourceMessage, String> {
        let place = index + 1;
        let (role_key, content_key) = (self.role, self.content);
        let name = item[role_key].as_str().ok_or_else(|| format!("message {place} has no `{role_key}`"))?;
        let role =
            SourceRole::from_name(name).ok_or_else(|| format!("message {place} has the unknown role `{name}`"))?;
        let is_call = tools::is_call_role(name);
        let role = if is_call { SourceRole::Assistant } else { role };
        let mut fields = tools::take_tool_fields(&mut item, role);
        let content = match item.get_mut(content_key).map(Value::take).unwrap_or_default() {
            Value::String(text) if is_call => match tools::written_calls(&text) {
                Some(calls) => {
                    fields.insert("tool_calls".to_owned(), calls);
                    SourceContent::Text(String::new())
                }
                None => SourceContent::UnreadableCall,
            },
            _ if !tools::name_their_functions(&fields) => SourceContent::UnreadableCall,
            Value::String(text) => SourceContent::Text(text),
            Value::Null => SourceContent::Text(String::new()),
            Value::Array(parts) => read_parts(&parts).map_err(|reason| format!("message {place} {reason}"))?,
            _ => return Err(format!("message {place} has a `{content_key}` that is neither text nor a list of parts")),
        };
        let reasoning = REASONING.iter().find_map(|key| item[*key].as_str()).map(str::to_owned);
        let is_trained = TRAINED.iter().find_map(|key| match &item[*key] {
            Value::Bool(flag) => Some(*flag),
            Value::Number(weight) => weight.as_f64().map(|weight| weight > 0.0),
            _ => None,
        });
        Ok(SourceMessage { role, content, fields, reasoning, is_trained })
    }
}

/// Joins the text of content parts. Reasoning is not part of the answer; parts of unknown types count as media.
fn read_parts(parts: &[Value]) -> Result<SourceContent, String> {
    let mut text = String::new();
    let mut has_media = false;
    for part in parts {
        match part["type"].as_str().unwrap_or("text") {
            "text" | "input_text" | "output_text" => {
                let words = ["text", "value", "content"].iter().find_map(|name| part[*name].as_str());
                let words = words.or(part.as_str());
                text.push_str(words.ok_or_else(|| "has a text part without text".to_owned())?);
            }
            "reasoning" | "thinking" => {}
            "tool_call" | "tool_use" | "tool_result" => return Ok(SourceContent::UnreadableCall),
            _ => has_media = true,
        }
    }
    Ok(if has_media { SourceContent::Media(text) } else { SourceContent::Text(text) })
}
