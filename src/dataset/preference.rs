//! The preference columns of a row: which answer is better, or whether one is good.

use serde_json::Value;

use crate::conversation::{Columns, Line, Message, Role};

const REJECTED: [&str; 3] = ["rejected", "rejected_messages", "rejected_response"];
const LABELS: [&str; 2] = ["label", "kto_tag"];
/// The marker of the last answer in hh-rlhf's transcripts.
const LAST_ANSWER: &str = "\n\nAssistant:";

/// Returns the better answer, if it has a column of its own.
pub fn chosen(columns: &Columns) -> Option<Line> {
    columns.get("chosen").and_then(answer_of_side)
}

/// Returns the rejected answer.
pub fn rejected(columns: &Columns) -> Option<Line> {
    REJECTED.iter().find_map(|name| columns.get(*name)).and_then(answer_of_side)
}

/// Returns the label that says whether the answer is good.
pub fn label(columns: &Columns) -> Option<bool> {
    LABELS.iter().find_map(|name| columns.get(*name)).and_then(Value::as_bool)
}

/// Reads one side of a pair: a text, a message, or the last message of a dialogue.
fn answer_of_side(value: &Value) -> Option<Line> {
    let text = match value {
        Value::String(text) => text.rsplit_once(LAST_ANSWER).map_or(text.as_str(), |(_, last)| last.trim()).to_owned(),
        Value::Object(message) => content_text(message.get("content").or(message.get("value"))?)?,
        Value::Array(messages) => return messages.last().filter(|last| last.is_object()).and_then(answer_of_side),
        _ => return None,
    };
    Some(Line { message: Message::new(Role::Assistant, text), reasoning: None, is_trained: true })
}

fn content_text(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            let texts = parts.iter().map(|part| part["text"].as_str().or(part["value"].as_str()));
            texts.collect::<Option<Vec<_>>>().map(|texts| texts.concat())
        }
        _ => None,
    }
}
