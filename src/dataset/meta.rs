//! What goes to `meta`: the columns of a row that are no part of its conversation.

use std::path::Path;

use serde_json::Value;

use crate::conversation::{Columns, free_name};

/// Columns with a row's id. The first one that has a value takes precedence.
const ID_COLUMNS: [&str; 12] = [
    "id",
    "conversation_id",
    "question_id",
    "conversation_hash",
    "uuid",
    "message_tree_id",
    "uid",
    "_id",
    "conversationId",
    "session_id",
    "dialog_id",
    "dialogue_id",
];

/// The columns that say where a row without an id stands.
const SOURCE_FILE: &str = "source_file";
/// The line of the row in it.
const SOURCE_LINE: &str = "source_line";

/// Returns a row's id, whatever its type, as text.
pub fn row_id(columns: &Columns) -> Option<String> {
    ID_COLUMNS.iter().find_map(|name| columns.get(*name).and_then(id_text))
}

/// True for a column that holds the row's id as it is.
pub fn is_row_id(name: &str, value: &Value, id: Option<&str>) -> bool {
    ID_COLUMNS.contains(&name) && (value.is_string() || value.is_number()) && id_text(value).as_deref() == id
}

/// Returns an id that is a text or a number as text; `None` for an empty one and for anything else.
pub fn scalar_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()).filter(|text| !text.trim().is_empty()),
        // The extended JSON of `MongoDB`: `{"$oid": "…"}`.
        Value::Object(fields) if fields.len() == 1 => match fields.iter().next() {
            Some((name, Value::String(text))) if name.starts_with('$') && !text.is_empty() => Some(text.clone()),
            _ => Some(value.to_string()),
        },
        Value::Object(fields) if fields.is_empty() => None,
        Value::Array(items) if items.is_empty() => None,
        other => Some(other.to_string()),
    }
}

/// Removes `id` and merges the fields of a `meta` column, as this program writes it, into the columns. What this program
/// wrote there about answers is dropped where the answers are regenerated.
pub fn flatten_meta(mut columns: Columns, keeps_answers: bool) -> Columns {
    // An id of another type than text stays, so that nothing of it is lost.
    if columns.get("id").is_none_or(|id| id.is_null() || id.is_string() || id.is_number()) {
        columns.shift_remove("id");
    }
    if let Some(Value::String(text)) = columns.get("meta")
        && let Ok(meta @ Value::Object(_)) = serde_json::from_str(text)
    {
        // Tables store it as text.
        columns.insert("meta".to_owned(), meta);
    }
    if let Some(Value::Object(_)) = columns.get("meta")
        && let Some(Value::Object(meta)) = columns.shift_remove("meta")
    {
        for (name, value) in meta.into_iter().filter(|(name, value)| keeps_answers || !is_own(name, value)) {
            match columns.get(&name) {
                Some(other) if *other == value => {}
                Some(_) => {
                    let name = free_name(&columns, &format!("meta_{name}"));
                    columns.insert(name, value);
                }
                None => drop(columns.insert(name, value)),
            }
        }
    }
    columns
}

/// True for what this program writes about the answers of a conversation: `turns`, a list of objects with `finish_reason`.
fn is_own(name: &str, value: &Value) -> bool {
    let is_answer = |turn: &Value| turn.get("finish_reason").is_some() && turn.get("attempts").is_some();
    name == "turns" && value.as_array().is_some_and(|turns| turns.iter().all(is_answer))
}

/// Notes in a row without an id where it stands. Of the file only the name, so that the output does not depend on where the
/// input lies.
pub fn note_origin(columns: &mut Columns, file: &str, line: u64) {
    let file = Path::new(file).file_name().and_then(|name| name.to_str()).unwrap_or(file);
    for (name, value) in [(SOURCE_FILE, Value::from(file)), (SOURCE_LINE, Value::from(line))] {
        let name = free_name(columns, name);
        columns.insert(name, value);
    }
}
