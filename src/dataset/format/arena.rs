use serde_json::Value;

use super::message::MessageFormat;
use super::{InputFormat, SourceMessage, assistant_message, is_message_list, user_message};
use crate::conversation::Columns;
use crate::dataset::python_literal::written_value;
use crate::dataset::unread::Unread;

/// Tables of votes between two models: `{"prompt": ["…", "…"], "response_a": […], "response_b": […]}` with the user's
/// messages and each model's answers, or `{"conversation_a": [{"role", "content"}], "conversation_b"}`. The answers of the
/// winner are read; without one the user's messages alone are.
pub struct Arena;

const SIDES: [&str; 2] = ["response_a", "response_b"];
const CONVERSATIONS: [&str; 2] = ["conversation_a", "conversation_b"];

impl InputFormat for Arena {
    fn name(&self) -> &'static str {
        "arena"
    }

    fn matches(&self, row: &Columns) -> bool {
        let is_texts = |name: &str| texts(row, name).is_some_and(|texts| !texts.is_empty());
        (is_texts("prompt") && SIDES.iter().any(|side| row.contains_key(*side)))
            || CONVERSATIONS.iter().all(|side| is_message_list(row, side, "role"))
    }

    fn take(&self, row: &mut Columns, unread: &mut Unread) -> Result<Vec<SourceMessage>, String> {
        let winner = winner(row);
        if is_message_list(row, CONVERSATIONS[0], "role") {
            let Some(side) = winner else {
                // Nobody won: the first one's messages of the user are read, and the whole stays a column.
                let mut copy = row.clone();
                let messages = MessageFormat::COMMON.take_list(&mut copy, CONVERSATIONS[0], &mut Unread::default())?;
                let users = messages.into_iter().filter(|message| !message.is_answer());
                return Ok(users.map(|message| SourceMessage { is_turn: true, ..message }).collect());
            };
            return MessageFormat::COMMON.take_list(row, CONVERSATIONS[side], unread);
        }
        let prompts = texts(row, "prompt").ok_or_else(|| "`prompt` is not a list of texts".to_owned())?;
        let answers = match winner {
            None => Vec::new(),
            Some(side) => {
                let answers = texts(row, SIDES[side]).unwrap_or_default();
                if answers.len() != prompts.len() {
                    let (name, count, asked) = (SIDES[side], answers.len(), prompts.len());
                    return Err(format!("`{name}` has {count} answers to {asked} messages in `prompt`"));
                }
                row.shift_remove(SIDES[side]);
                answers
            }
        };
        row.shift_remove("prompt");
        let mut answers = answers.into_iter();
        Ok(prompts
            .into_iter()
            .flat_map(|text| {
                let asked = SourceMessage { is_turn: true, ..user_message(text) };
                [Some(asked), answers.next().map(assistant_message)].into_iter().flatten()
            })
            .collect())
    }

    fn list_columns(&self) -> &'static [&'static str] {
        &["conversation_a", "conversation_b"]
    }
}

/// Returns a list of texts, also one that is written as text.
fn texts(row: &Columns, name: &str) -> Option<Vec<String>> {
    let parsed: Value;
    let items = match row.get(name)? {
        Value::Array(items) => items,
        Value::String(text) if text.trim_start().starts_with('[') => {
            parsed = written_value(text)?;
            parsed.as_array()?
        }
        _ => return None,
    };
    // An answer that a model did not give is null.
    items
        .iter()
        .map(|item| if item.is_null() { Some(String::new()) } else { item.as_str().map(str::to_owned) })
        .collect()
}

/// Returns the side that won: 0 or 1; `None` for a tie or where no vote is there.
fn winner(row: &Columns) -> Option<usize> {
    let is_set = |name: &str| match row.get(name) {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::Number(number)) => number.as_f64().is_some_and(|number| number > 0.0),
        Some(Value::String(text)) => matches!(text.trim().to_lowercase().as_str(), "1" | "1.0" | "true"),
        _ => false,
    };
    let named = row.get("winner").and_then(Value::as_str).map(|name| name.trim().to_lowercase());
    match named.as_deref() {
        Some("model_a" | "a") => return Some(0),
        Some("model_b" | "b") => return Some(1),
        _ => {}
    }
    match (is_set("winner_model_a"), is_set("winner_model_b")) {
        (true, false) => Some(0),
        (false, true) => Some(1),
        _ => None,
    }
}
