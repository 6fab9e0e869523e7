use std::fmt;

use serde::Deserialize;

use super::secret::Secret;

/// The value of a header in a profile: text, `"$NAME"` or `{ env = "NAME" }` for an environment variable. `$$` begins a text
/// with a dollar sign. Never printed and never stored.
#[derive(Clone, Deserialize)]
#[serde(from = "Written")]
pub enum HeaderSource {
    /// The value itself.
    Text(String),
    /// The environment variable that holds it.
    Variable(String),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected text, \"$NAME\" or { env = \"NAME\" }")]
enum Written {
    Text(String),
    Table { env: String },
}

impl From<Written> for HeaderSource {
    fn from(written: Written) -> Self {
        match written {
            Written::Table { env } => Self::Variable(env),
            Written::Text(text) => match text.strip_prefix('$') {
                Some(escaped) if escaped.starts_with('$') => Self::Text(escaped.to_owned()),
                Some(name) => Self::Variable(name.to_owned()),
                None => Self::Text(text),
            },
        }
    }
}

impl HeaderSource {
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
