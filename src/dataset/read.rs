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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::array::Elements;
    use super::super::lines::Lines;
    use super::super::row::RowSource;
    use super::*;

    /// JSON values of any shape, with the names that formats look for among their keys.
    fn values() -> impl Strategy<Value = Value> {
        let names = [
            "messages",
            "conversations",
            "conversation",
            "turns",
            "role",
            "content",
            "from",
            "value",
            "id",
            "meta",
            "type",
            "text",
        ];
        let words = ["user", "assistant", "human", "gpt", "system", "tool", "x", "", "你好 \u{1f642}", "}],[{\"\\"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            prop::sample::select(words.to_vec()).prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, move |inner| {
            let key = prop::sample::select(names.to_vec()).prop_map(str::to_owned);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((key, inner), 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    fn rows(mut source: impl RowSource) -> Vec<Vec<u8>> {
        let mut rows = Vec::new();
        while let Some(row) = source.next().unwrap() {
            rows.push(row.map(|row| row.bytes.to_vec()).unwrap_or_default());
            assert!(rows.len() < 10_000, "the source does not end");
        }
        rows
    }

    proptest! {
        #[test]
        fn no_row_makes_a_reader_panic(value in values(), cut in any::<prop::sample::Index>(), junk in prop::collection::vec(any::<u8>(), 0..80)) {
            let text = value.to_string();
            let _ = read_row(text.as_bytes());
            let _ = read_row(&text.as_bytes()[..cut.index(text.len() + 1)]);
            let _ = read_row(&junk);
        }

        #[test]
        fn an_array_and_its_lines_hold_the_same_rows(values in prop::collection::vec(values(), 0..8), pretty in any::<bool>()) {
            let lines = values.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
            let array = json!(values);
            let array = if pretty { format!("{array:#}") } else { array.to_string() };
            let parse = |rows: Vec<Vec<u8>>| rows.iter().map(|row| serde_json::from_slice(row).unwrap()).collect::<Vec<Value>>();
            prop_assert_eq!(parse(rows(Lines::new(lines.as_bytes()))), values.clone());
            prop_assert_eq!(parse(rows(Elements::new(array.as_bytes()))), values);
        }

        #[test]
        fn no_bytes_keep_a_cutter_from_its_end(bytes in prop::collection::vec(prop::sample::select(b"[]{},:\"\\ \nab1".to_vec()), 0..60)) {
            rows(Elements::new(&bytes[..]));
            rows(Lines::new(&bytes[..]));
        }
    }
}
