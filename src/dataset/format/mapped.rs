use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::Value;

use super::message::MessageFormat;
use super::{InputFormat, SourceMessage};
use crate::conversation::Columns;

/// A format that the user describes: the column of the message list, and the keys of role and content in its items.
/// `role=from,content=value` and, where several columns are lists, `messages=dialog`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedFormat {
    messages: Option<String>,
    role: String,
    content: String,
}

/// The text is not a mapping.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write role=NAME,content=NAME and, where the column is ambiguous, messages=NAME")]
pub struct ParseMappingError;

impl FromStr for MappedFormat {
    type Err = ParseMappingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pairs = text.split(',').map(|pair| pair.split_once('=').ok_or(ParseMappingError));
        let mut names: BTreeMap<&str, &str> = pairs.collect::<Result<_, _>>()?;
        let mut take = |name: &str| names.remove(name).filter(|value| !value.is_empty()).map(str::to_owned);
        let (role, content, messages) = (take("role"), take("content"), take("messages"));
        match (role, content, names.is_empty()) {
            (Some(role), Some(content), true) => Ok(Self { messages, role, content }),
            _ => Err(ParseMappingError),
        }
    }
}

impl MappedFormat {
    fn column<'a>(&'a self, row: &'a Columns) -> Option<&'a str> {
        let fits = |value: &Value| match value {
            Value::Array(items) => items.first().is_none_or(|item| item.get(&self.role).is_some()),
            _ => false,
        };
        match &self.messages {
            Some(name) => Some(name),
            None => row.iter().find(|(_, value)| fits(value)).map(|(name, _)| name.as_str()),
        }
    }
}

impl InputFormat for MappedFormat {
    fn name(&self) -> &'static str {
        "mapped"
    }

    fn matches(&self, row: &Columns) -> bool {
        self.column(row).is_some_and(|column| row.contains_key(column))
    }

    fn take(&self, row: &mut Columns) -> Result<Vec<SourceMessage>, String> {
        let column = self.column(row).unwrap_or_default().to_owned();
        MessageFormat { role: &self.role, content: &self.content }.take_list(row, &column)
    }
}
