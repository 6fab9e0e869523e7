use std::collections::BTreeSet;

use serde_json::Value;

/// What a row holds and nobody reads: fields of messages that no format knows. Columns of the row itself are not among
/// them, since they go to `meta`.
#[derive(Clone, Debug, Default)]
pub struct Unread {
    /// Fields with a value.
    pub count: u64,
    /// Their places in the row, such as `messages[].toxic`, where they are listed.
    pub paths: Option<BTreeSet<String>>,
}

/// Places are named to this depth.
const DEPTH_MAX: usize = 16;

impl Unread {
    /// Lists the places too, which takes longer.
    pub fn listing() -> Self {
        Self { count: 0, paths: Some(BTreeSet::new()) }
    }

    /// Takes what is left of a value after everything known was taken out. `place` says where it stands.
    pub fn add(&mut self, place: impl FnOnce() -> String, value: &Value) {
        if !has_words(value) {
            return;
        }
        self.count += 1;
        if let Some(paths) = &mut self.paths {
            add_paths(place(), value, paths, 0);
        }
    }
}

/// False for null and for what holds nothing but null, as tables fill up rows.
pub fn has_words(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => items.iter().any(has_words),
        Value::Object(fields) => fields.values().any(has_words),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn add_paths(place: String, value: &Value, paths: &mut BTreeSet<String>, depth: usize) {
    match value {
        Value::Object(fields) if depth < DEPTH_MAX => {
            for (name, value) in fields.iter().filter(|(_, value)| has_words(value)) {
                add_paths(format!("{place}.{name}"), value, paths, depth + 1);
            }
        }
        Value::Array(items) if depth < DEPTH_MAX => {
            for item in items.iter().filter(|item| has_words(item)) {
                add_paths(format!("{place}[]"), item, paths, depth + 1);
            }
        }
        _ => drop(paths.insert(place)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_are_named_down_to_the_value() {
        let mut unread = Unread::listing();
        unread.add(|| "messages[]".to_owned(), &json!({"header": {"agent": "x", "empty": null}, "marks": [{"a": 1}]}));
        unread.add(|| "messages[]".to_owned(), &json!({"header": null, "marks": []}));
        let paths: Vec<&str> = unread.paths.iter().flatten().map(String::as_str).collect();
        assert_eq!((unread.count, paths), (1, vec!["messages[].header.agent", "messages[].marks[].a"]));
    }
}
