use std::collections::BTreeMap;
use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::secret::Secret;

/// The value of a header in a profile: text, `"$NAME"` or `{ env = "NAME" }` for an environment variable. `$$` begins a text
/// with a dollar sign. Never printed and never stored.
#[derive(Clone)]
pub enum HeaderSource {
    /// The value itself.
    Text(String),
    /// The environment variable that holds it.
    Variable(String),
}

/// Reads the headers of a profile. An error never quotes a value.
pub fn headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, HeaderSource>, D::Error> {
    let Value::Object(fields) = Value::deserialize(deserializer)? else {
        return Err(D::Error::custom("headers must be a table of names and values"));
    };
    let header = |(name, value): (String, Value)| match HeaderSource::from_value(value) {
        Some(source) => Ok((name, source)),
        None => Err(D::Error::custom(format!("the header {name} must be text, \"$NAME\" or {{ env = \"NAME\" }}"))),
    };
    fields.into_iter().map(header).collect()
}

impl HeaderSource {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(match text.strip_prefix('$') {
                Some(escaped) if escaped.starts_with('$') => Self::Text(escaped.to_owned()),
                Some(name) => Self::Variable(name.to_owned()),
                None => Self::Text(text),
            }),
            Value::Object(table) if table.len() == 1 => Some(Self::Variable(table.get("env")?.as_str()?.to_owned())),
            _ => None,
        }
    }

    /// Returns the variable that holds the value, if one does.
    pub fn variable(&self) -> Option<&str> {
        match self {
            Self::Text(_) => None,
            Self::Variable(name) => Some(name),
        }
    }

    /// Returns the text, if the value is given as such; `None` for an empty one too.
    pub fn text(&self) -> Option<Secret> {
        match self {
            Self::Text(text) => Secret::new(text),
            Self::Variable(_) => None,
        }
    }
}

impl fmt::Debug for HeaderSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("***"),
            Self::Variable(name) => write!(f, "${name}"),
        }
    }
}
