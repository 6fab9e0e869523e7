//! The instructions of a row that stand in a column beside its messages.

use serde_json::Value;

use super::format::{SourceContent, SourceMessage};
use super::notes::Notes;
use super::python_literal::written_value;
use super::role::SourceRole;
use super::unread::{Unread, has_words};
use crate::conversation::Columns;

/// The names of such columns without case and underscores, in the order in which they count.
const COLUMNS: [&str; 6] =
    ["system", "systemprompt", "systemmessage", "systeminstruction", "systeminstructions", "preamble"];

/// Keys of the text in an object, in the order in which they count.
const KEYS: [&str; 4] = ["text", "content", "parts", "value"];

/// Puts the text of a row's system column before the messages. A system message that the row has already takes
/// precedence: an equal text counts once, another one is counted and stays in the row.
pub fn apply_system_column(
    messages: &mut Vec<SourceMessage>,
    columns: &mut Columns,
    notes: &mut Notes,
    unread: &mut Unread,
) {
    for name in names(columns) {
        let name = name.as_str();
        let Some(value) = columns.get(name) else { continue };
        let Some(text) = text_of(value) else {
            if has_words(value) {
                notes.note("system_column_not_read", 1);
            }
            continue;
        };
        if text.trim().is_empty() {
            columns.shift_remove(name);
            continue;
        }
        let speaks_first = messages.iter().take_while(|message| message.role == SourceRole::System);
        let known: Vec<&str> = speaks_first.filter_map(said).collect();
        if known.is_empty() {
            notes.note("system_column_used", 1);
            messages.insert(0, SourceMessage::text(SourceRole::System, text));
        } else if known.iter().any(|known| known.trim() == text.trim()) {
            notes.note("system_column_repeated", 1);
        } else {
            notes.note("system_column_overruled", 1);
            continue;
        }
        if let Some(mut value) = columns.shift_remove(name) {
            remove_text(&mut value);
            unread.add(|| name.to_owned(), &value);
        }
    }
}

/// Returns the names of the row's columns with instructions.
fn names(columns: &Columns) -> Vec<String> {
    let place = |name: &str| {
        let plain = name.to_lowercase().replace('_', "");
        COLUMNS.iter().position(|known| *known == plain)
    };
    let may_be = |name: &&String| name.starts_with(['s', 'S', 'p', 'P']);
    let mut found: Vec<(usize, &String)> =
        columns.keys().filter(may_be).filter_map(|name| Some((place(name)?, name))).collect();
    found.sort();
    found.into_iter().map(|(_, name)| name.clone()).collect()
}

/// Removes from a column what [`text_of`] reads.
fn remove_text(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(remove_text),
        Value::Object(fields) => {
            fields.retain(|name, _| !["type", "role", "cachePoint"].contains(&name.as_str()));
            for name in KEYS {
                if let Some(text) = fields.get_mut(name) {
                    remove_text(text);
                }
            }
        }
        text => *text = Value::Null,
    }
}

fn said(message: &SourceMessage) -> Option<&str> {
    match &message.content {
        SourceContent::Text(text) if !text.trim().is_empty() => Some(text),
        _ => None,
    }
}

/// Returns parts or a message that are written as text, as in tables.
fn written_parts(text: &str) -> Option<Value> {
    if !["[{\"type\"", "[{'type'", "[{\"text\"", "{\"role\"", "{'role'", "[{\"role\"", "[{'role'"]
        .iter()
        .any(|begin| text.starts_with(begin))
    {
        return None;
    }
    written_value(text).filter(|value| text_of(value).is_some())
}

/// Returns the text of a column: a text, parts, messages of the system, or an object with one of these. Empty for null. `None`
/// for anything else, and for an object with two texts.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => match written_parts(text) {
            Some(parts) => text_of(&parts),
            None => Some(text.clone()),
        },
        Value::Array(items) => {
            let texts = items.iter().map(text_of).collect::<Option<Vec<_>>>()?;
            Some(texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n"))
        }
        Value::Object(fields) => {
            let role = fields.get("role").and_then(Value::as_str).and_then(SourceRole::from_name);
            if role.is_some_and(|role| role != SourceRole::System) {
                return None;
            }
            let mut texts = KEYS.iter().filter_map(|name| fields.get(*name)).filter(|text| has_words(text));
            match (texts.next(), texts.next()) {
                (Some(text), None) => text_of(text),
                // A mark for the server's cache stands between the texts.
                (None, _) => (fields.contains_key("cachePoint") || !has_words(value)).then(String::new),
                (Some(_), Some(_)) => None,
            }
        }
        Value::Bool(_) | Value::Number(_) => None,
    }
}
