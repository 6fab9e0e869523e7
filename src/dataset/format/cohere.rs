use serde_json::Value;

use super::message::MessageFormat;
use super::{InputFormat, SourceMessage, assistant_message, user_message};
use crate::conversation::Columns;
use crate::dataset::unread::Unread;

/// `{"chat_history": [{"role": "USER" | "CHATBOT", "message"}], "message"}`: Cohere's chats. `message` is the last one of
/// the user, `text` or `response` the answer to it, where they are there.
pub struct Cohere;

const ANSWERS: [&str; 4] = ["text", "response", "answer", "output"];
const LAST: [&str; 4] = ["message", "query", "question", "prompt"];

impl InputFormat for Cohere {
    fn name(&self) -> &'static str {
        "cohere"
    }

    fn matches(&self, row: &Columns) -> bool {
        matches!(row.get("chat_history"), Some(Value::Array(items)) if items.first().is_some_and(|first| first.get("role").is_some()))
            || (row.contains_key("chat_history") && row.get("message").is_some_and(Value::is_string))
    }

    fn take(&self, row: &mut Columns, unread: &mut Unread) -> Result<Vec<SourceMessage>, String> {
        let history = match row.shift_remove("chat_history") {
            Some(Value::Array(items)) => items,
            None | Some(Value::Null) => Vec::new(),
            Some(_) => return Err("`chat_history` is not a list".to_owned()),
        };
        let mut messages =
            MessageFormat { role: "role", content: "message" }.read_list(history, "chat_history", unread)?;
        let mut take = |names: &[&str]| {
            let name = names.iter().find(|name| row.get(**name).is_some_and(Value::is_string))?;
            match row.shift_remove(*name) {
                Some(Value::String(text)) => Some(text),
                _ => None,
            }
        };
        if let Some(last) = take(&LAST) {
            messages.push(user_message(last));
            messages.extend(take(&ANSWERS).map(assistant_message));
        }
        Ok(messages)
    }

    fn list_columns(&self) -> &'static [&'static str] {
        &["chat_history"]
    }
}
