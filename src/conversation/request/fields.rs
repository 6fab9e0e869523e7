use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::error::BodyError;

/// Fields of a request's body, by name.
///
/// Two of them are equal if their canonical JSON is: the order of names does not count, and `1.0` is `1`.
#[derive(Clone, Debug, Default)]
pub struct BodyFields(pub(super) Map<String, Value>);

impl BodyFields {
    /// Makes fields from a JSON object.
    pub fn new(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// True without fields.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the fields in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Returns the value at a path of names joined by dots.
    pub fn get(&self, path: &str) -> Option<&Value> {
        let mut names = path.split('.');
        let first = self.0.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name))
    }

    /// Sets the value at a path of names joined by dots, and makes the objects on the way.
    pub fn set(&mut self, path: &str, value: Value) {
        let field =
            path.rsplit('.').fold(value, |value, name| Value::Object(Map::from_iter([(name.to_owned(), value)])));
        if let Value::Object(field) = field {
            merge(&mut self.0, field);
        }
    }

    /// Adds `other`, whose values take precedence; objects are merged.
    #[must_use]
    pub fn merged(mut self, other: &BodyFields) -> Self {
        merge(&mut self.0, other.0.clone());
        self
    }

    /// Adds the fields of a shortcut. Fails where a field has another value already.
    pub fn add_shortcut(&mut self, shortcut: &str, path: &str, value: Value) -> Result<(), BodyError> {
        match self.get(path) {
            Some(given) if canonical(given) != canonical(&value) => {
                Err(BodyError::contradiction(shortcut, format!("the body field `{path}` = {given}")))
            }
            _ => {
                self.set(path, value);
                Ok(())
            }
        }
    }

    /// Returns the canonical JSON: names sorted, no spaces, whole numbers without a fraction.
    pub fn canonical(&self) -> String {
        canonical_object(&self.0)
    }
}

fn merge(into: &mut Map<String, Value>, other: Map<String, Value>) {
    for (name, value) in other {
        match (into.get_mut(&name), value) {
            (Some(Value::Object(inside)), Value::Object(value)) => merge(inside, value),
            (_, value) => drop(into.insert(name, value)),
        }
    }
}

fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => canonical_object(fields),
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            // Up to 2^53 every whole number has a floating-point number of its own.
            Some(whole) if whole.fract() == 0.0 && whole.abs() < 9_007_199_254_740_992.0 => format!("{}", whole as i64),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

fn canonical_object(fields: &Map<String, Value>) -> String {
    let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
    fields.sort_by_key(|(name, _)| *name);
    let field = |(name, value): (&String, &Value)| format!("{}:{}", Value::from(name.as_str()), canonical(value));
    format!("{{{}}}", fields.into_iter().map(field).collect::<Vec<_>>().join(","))
}

impl PartialEq for BodyFields {
    fn eq(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }
}

impl fmt::Display for BodyFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical())
    }
}

impl FromStr for BodyFields {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err("write a JSON object, such as {\"top_k\": 20}".to_owned()),
            Err(error) => Err(format!("this is not JSON: {error}; write an object, such as {{\"top_k\": 20}}")),
        }
    }
}

/// As text: TOML has no null.
impl Serialize for BodyFields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Value::Object(self.0.clone()).to_string())
    }
}

/// From a table, or from JSON as text.
impl<'de> Deserialize<'de> for BodyFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Object(fields) => Ok(Self(fields)),
            Value::String(text) => text.parse().map_err(serde::de::Error::custom),
            _ => Err(serde::de::Error::custom("write a table, or JSON as text")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> BodyFields {
        json.parse().unwrap()
    }

    #[test]
    fn canonical_json_knows_no_order_and_no_way_to_write_a_number() {
        let one = fields(r#"{"b": {"y": 1.0, "x": [1, 2.5]}, "a": "ä\n"}"#);
        assert_eq!(one.canonical(), r#"{"a":"ä\n","b":{"x":[1,2.5],"y":1}}"#);
        assert_eq!(one, fields(r#"{"a": "\u00e4\n", "b": {"x": [1.0, 2.5], "y": 1}}"#));
        assert_ne!(fields(r#"{"a": "1"}"#), fields(r#"{"a": 1}"#));
    }

    #[test]
    fn objects_are_merged_and_a_shortcut_contradicts_nothing() {
        let base = fields(r#"{"chat_template_kwargs": {"a": 1, "b": 2}, "top_k": 1}"#);
        let mut merged = base.merged(&fields(r#"{"chat_template_kwargs": {"b": 3}, "top_k": 2}"#));
        assert_eq!(merged, fields(r#"{"chat_template_kwargs": {"a": 1, "b": 3}, "top_k": 2}"#));
        let path = "chat_template_kwargs.enable_thinking";
        merged.add_shortcut("--thinking off", path, false.into()).unwrap();
        assert_eq!(merged.get(path), Some(&Value::from(false)));
        assert!(merged.add_shortcut("--thinking on", path, true.into()).is_err());
    }

    #[test]
    fn fields_are_read_and_written_by_path() {
        let mut set = BodyFields::default();
        assert!(set.is_empty());
        set.set("a.b", 1.into());
        set.set("a.c", 2.into());
        set.set("d", Value::Null);
        assert_eq!(set.to_string(), r#"{"a":{"b":1,"c":2},"d":null}"#);
        assert!(!set.is_empty());
        assert_eq!((set.get("a.c"), set.get("a.x"), set.get("x")), (Some(&Value::from(2)), None, None));
        assert_eq!(set.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "d"]);
        assert!(set.clone().add_shortcut("--x", "a.b", 1.0.into()).is_ok(), "the same number");
        assert!(set.add_shortcut("--x", "a.b", 2.into()).is_err());
    }

    /// Fingerprints hold this text.
    #[test]
    fn whole_numbers_are_written_without_a_fraction_up_to_two_to_the_53() {
        let canonical = |json: &str| fields(&format!("{{\"a\": {json}}}")).canonical();
        assert_eq!(canonical("-3.0"), r#"{"a":-3}"#);
        assert_eq!(canonical("0.5"), r#"{"a":0.5}"#);
        assert_eq!(canonical("9007199254740991.0"), r#"{"a":9007199254740991}"#);
        assert_eq!(canonical("9007199254740992.0"), r#"{"a":9007199254740992.0}"#);
        assert_eq!(canonical("-9007199254740992.0"), r#"{"a":-9007199254740992.0}"#);
        assert_eq!(canonical("9007199254740993"), r#"{"a":9007199254740993}"#);
    }

    #[test]
    fn fields_are_an_object_or_its_text() {
        let error = |text: &str| text.parse::<BodyFields>().unwrap_err();
        assert_eq!(error("[1]"), "write a JSON object, such as {\"top_k\": 20}");
        assert!(error("{").starts_with("this is not JSON: "), "{}", error("{"));
        let read = |json: &str| serde_json::from_str::<BodyFields>(json).map_err(|error| error.to_string());
        assert_eq!(read(r#"{"a": 1}"#).unwrap(), fields(r#"{"a": 1}"#));
        assert_eq!(read(r#""{\"a\": 1}""#).unwrap(), fields(r#"{"a": 1}"#));
        assert!(read("1").unwrap_err().starts_with("write a table, or JSON as text"));
        assert_eq!(serde_json::to_string(&fields(r#"{"b": 1, "a": null}"#)).unwrap(), r#""{\"b\":1,\"a\":null}""#);
    }
}
