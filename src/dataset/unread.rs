use std::collections::HashMap;

use serde_json::Value;

/// What rows hold and nobody reads: fields of messages that no format knows. Columns of the row itself are not among them,
/// since they go to `meta`.
#[derive(Clone, Debug, Default)]
pub struct Unread {
    /// Fields with a value.
    pub count: u64,
    /// Where they stand, where that is listed.
    places: Option<Places>,
}

#[derive(Clone, Debug, Default)]
struct Places {
    /// The row that is being read.
    row: u64,
    /// For each place, such as `messages[].toxic`, the rows that have it and the last of them.
    rows: HashMap<String, (u64, u64)>,
}

/// Places are named to this depth.
const DEPTH_MAX: usize = 16;
/// Places that are listed; a dataset whose keys differ from row to row would have any number of them.
const PLACES_MAX: usize = 10_000;

impl Unread {
    /// Lists the places too, which takes longer.
    pub fn listing() -> Self {
        Self { count: 0, places: Some(Places::default()) }
    }

    /// Says that another row begins.
    pub fn begin_row(&mut self) {
        if let Some(places) = &mut self.places {
            places.row += 1;
        }
    }

    /// Takes what is left of a value after everything known was taken out. `place` says where it stands.
    pub fn add(&mut self, place: impl FnOnce() -> String, value: &Value) {
        if !has_words(value) {
            return;
        }
        self.count += 1;
        if let Some(places) = &mut self.places {
            places.add(&mut place(), value, 0);
        }
    }

    /// Returns the places with the number of rows that have them.
    pub fn places(&self) -> impl Iterator<Item = (&str, u64)> {
        self.places.iter().flat_map(|places| &places.rows).map(|(place, (rows, _))| (place.as_str(), *rows))
    }
}

impl Places {
    /// Adds the places below `place`, which is extended in turn and left as it was.
    fn add(&mut self, place: &mut String, value: &Value, depth: usize) {
        let length = place.len();
        match value {
            Value::Object(fields) if depth < DEPTH_MAX => {
                for (name, value) in fields.iter().filter(|(_, value)| has_words(value)) {
                    if length > 0 {
                        place.push('.');
                    }
                    place.push_str(name);
                    self.add(place, value, depth + 1);
                    place.truncate(length);
                }
            }
            Value::Array(items) if depth < DEPTH_MAX => {
                place.push_str("[]");
                items.iter().filter(|item| has_words(item)).for_each(|item| self.add(place, item, depth + 1));
                place.truncate(length);
            }
            _ => self.count(place),
        }
    }

    fn count(&mut self, place: &str) {
        if let Some((rows, last)) = self.rows.get_mut(place) {
            *rows += u64::from(*last != self.row);
            *last = self.row;
        } else if self.rows.len() < PLACES_MAX {
            self.rows.insert(place.to_owned(), (1, self.row));
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_are_named_down_to_the_value() {
        let mut unread = Unread::listing();
        unread.add(|| "messages[]".to_owned(), &json!({"header": {"agent": "x", "empty": null}, "marks": [{"a": 1}]}));
        unread.add(|| "messages[]".to_owned(), &json!({"header": null, "marks": []}));
        unread.begin_row();
        unread.add(|| "messages[]".to_owned(), &json!({"marks": [{"a": 1}, {"a": 2}]}));
        let mut places: Vec<_> = unread.places().collect();
        places.sort_unstable();
        assert_eq!((unread.count, places), (2, vec![("messages[].header.agent", 1), ("messages[].marks[].a", 2)]));
    }
}
