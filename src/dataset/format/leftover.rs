//! Finds conversations in what a format left of a row.

use serde_json::Value;

use super::exchanges::is_exchange;
use super::transcript::is_transcript;
use crate::conversation::Columns;

/// Names of columns that hold conversations.
const NAMES: [&str; 22] = [
    "messages",
    "conversations",
    "conversation",
    "dialog",
    "dialogue",
    "dialogs",
    "dialogues",
    "chat",
    "chats",
    "turns",
    "history",
    "chat_history",
    "contents",
    "replies",
    "context_messages",
    "chosen",
    "chosen_messages",
    "rejected_messages",
    "conversation_a",
    "conversation_b",
    "state",
    "instances",
];

/// Returns the first column that is named like a conversation and still holds one: a list of messages, of exchanges or of
/// texts, the same as JSON text, or a transcript. Also one with such a list in it. Lists of anything else, such as sources,
/// are no conversations.
pub fn conversation_left(row: &Columns) -> Option<&str> {
    let is_named = |name: &str| NAMES.contains(&name.to_lowercase().as_str());
    let holds = |value: &Value| match value {
        Value::Object(fields) => fields.iter().any(|(name, value)| is_named(name) && is_conversation(value)),
        _ => false,
    };
    let left = row.iter().find(|(name, value)| (is_named(name) && is_conversation(value)) || holds(value));
    left.map(|(name, _)| name.as_str())
}

fn is_conversation(value: &Value) -> bool {
    match value {
        Value::String(text) => {
            let looks_like_list = text.trim_start().starts_with('[');
            let parsed = looks_like_list.then(|| serde_json::from_str::<Value>(text).ok()).flatten();
            parsed.as_ref().is_some_and(is_conversation) || is_transcript(text)
        }
        Value::Array(items) => {
            let is_pair =
                |item: &Value| matches!(item, Value::Array(sides) if sides.len() == 2 && sides[0].is_string());
            let is_list_of_texts = items.len() > 1 && items.iter().all(Value::is_string);
            is_list_of_texts
                || items.first().is_some_and(|first| match first {
                    Value::Object(fields) => is_exchange(fields) || is_message(fields),
                    other => is_pair(other),
                })
        }
        Value::Object(fields) => fields.values().any(|value| value.is_array() && is_conversation(value)),
        _ => false,
    }
}

fn is_message(fields: &Columns) -> bool {
    let has = |names: &[&str]| names.iter().any(|name| fields.get(*name).is_some_and(|value| !value.is_null()));
    has(&["role", "from", "speaker", "author", "sender"])
        || has(&["content", "value", "text", "message", "utterance", "parts"])
}
