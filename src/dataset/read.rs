use serde_json::Value;

use super::format::FORMATS;
use super::normalise::{Notes, Skip, normalise};
use crate::conversation::{Columns, Seed};

/// What a row's bytes come to.
#[derive(Debug)]
pub enum Reading {
    /// A conversation.
    Ready {
        /// The conversation.
        seed: Seed,
        /// The name of the row's format.
        format: &'static str,
        /// What was done to it.
        notes: Notes,
    },
    /// A row that is well formed and has nothing to distil.
    Skipped {
        /// The row's id, where it names one.
        id: Option<String>,
        /// The name of the row's format.
        format: &'static str,
        /// Why.
        skip: Skip,
    },
    /// A row that cannot be understood.
    Invalid {
        /// Why, in words.
        reason: String,
    },
}

/// Columns that name a row, the first one there wins.
const ID_COLUMNS: [&str; 5] = ["id", "conversation_id", "question_id", "conversation_hash", "uuid"];

/// Reads one row.
pub fn read_row(bytes: &[u8]) -> Reading {
    let invalid = |reason: String| Reading::Invalid { reason };
    let mut columns = match serde_json::from_slice(bytes) {
        Ok(Value::Object(columns)) => columns,
        Ok(_) => return invalid("the row is no JSON object".to_owned()),
        Err(error) => return invalid(format!("not valid JSON: {error}")),
    };
    let Some(format) = FORMATS.iter().find(|format| format.matches(&columns)) else {
        return invalid(unknown_shape(&columns));
    };
    let messages = match format.take(&mut columns) {
        Ok(messages) => messages,
        Err(reason) => return invalid(reason),
    };
    let id = ID_COLUMNS.iter().find_map(|name| columns.get(*name)).and_then(id_text);
    match normalise(messages) {
        Err(skip) => Reading::Skipped { id, format: format.name(), skip },
        Ok((turns, notes)) => {
            let mut seed = Seed { id: id.unwrap_or_default(), turns, columns: flattened(columns) };
            if seed.id.is_empty() {
                seed.id = format!("{:016x}", seed.digest().prefix());
            }
            Reading::Ready { seed, format: format.name(), notes }
        }
    }
}

/// Takes `id` away and puts the fields of a `meta` column, as this program writes it, beside the others.
fn flattened(mut columns: Columns) -> Columns {
    columns.shift_remove("id");
    if let Some(Value::Object(_)) = columns.get("meta")
        && let Some(Value::Object(meta)) = columns.shift_remove("meta")
    {
        for (name, value) in meta {
            columns.entry(name).or_insert(value);
        }
        // What an earlier run said about answers that are now written anew.
        columns.shift_remove("turns");
    }
    columns
}

fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn unknown_shape(columns: &Columns) -> String {
    const NAMES_MAX: usize = 8;
    let names: Vec<&str> = columns.keys().take(NAMES_MAX).map(String::as_str).collect();
    let known = FORMATS.iter().map(|format| format.name()).collect::<Vec<_>>().join(", ");
    format!("no known format ({known}) has the columns {}", names.join(", "))
}
