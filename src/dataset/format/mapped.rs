use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::Value;

use super::message::MessageFormat;
use super::{InputFormat, SourceMessage};
use crate::conversation::Columns;
use crate::dataset::role::SourceRole;
use crate::dataset::unread::Unread;

/// A format that the user describes: the place of the message list, and the keys of role and content in its items, each a
/// name or a path such as `state.history`. `role=from,content=value` and, where several columns are lists,
/// `messages=dialog`. Roles with names of their own are mapped by `user=Alice`, `assistant=Bob`, `system=`, `tool=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedFormat {
    messages: Option<String>,
    role: String,
    content: String,
    /// The row's name of a role, in lower case, and the role that is meant.
    roles: Vec<(String, &'static str)>,
}

/// The text is not a mapping.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "write role=NAME,content=NAME and, where needed, messages=NAME, user=NAME, assistant=NAME, system=NAME, tool=NAME; a \
     name may be a path such as state.history"
)]
pub struct ParseMappingError;

const ROLES: [&str; 4] = ["user", "assistant", "system", "tool"];

impl FromStr for MappedFormat {
    type Err = ParseMappingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (mut names, mut roles) = (BTreeMap::new(), Vec::new());
        for pair in text.split(',') {
            let (name, value) = pair.split_once('=').ok_or(ParseMappingError)?;
            let (name, value) = (name.trim(), value.trim());
            if value.is_empty() {
                return Err(ParseMappingError);
            }
            match ROLES.iter().find(|role| **role == name) {
                // Several names may mean one role.
                Some(role) => roles.push((value.to_lowercase(), *role)),
                None if names.insert(name, value.to_owned()).is_some() => return Err(ParseMappingError),
                None => {}
            }
        }
        let (role, content, messages) = (names.remove("role"), names.remove("content"), names.remove("messages"));
        match (role, content, names.is_empty()) {
            (Some(role), Some(content), true) => Ok(Self { messages, role, content, roles }),
            _ => Err(ParseMappingError),
        }
    }
}

impl MappedFormat {
    /// Returns the path of the list.
    fn place<'a>(&'a self, row: &'a Columns) -> Option<&'a str> {
        let fits = |value: &Value| match value {
            Value::Array(items) => items.first().is_none_or(|item| at_path(item, &self.role).is_some()),
            _ => false,
        };
        match &self.messages {
            Some(name) => Some(name),
            None => row.iter().find(|(_, value)| fits(value)).map(|(name, _)| name.as_str()),
        }
    }

    fn role_of(&self, name: &str) -> Option<&'static str> {
        let name = name.trim().to_lowercase();
        self.roles.iter().find(|(known, _)| *known == name).map(|(_, role)| *role)
    }

    /// Brings a message into the common form: the content of its paths under the names that the reader knows.
    fn renamed(&self, item: Value) -> Result<Value, String> {
        let Value::Object(mut fields) = item else { return Ok(item) };
        let role = take_path(&mut fields, &self.role).unwrap_or_default();
        let name = role.as_str().ok_or_else(|| format!("has no `{}`", self.role))?;
        let role = match self.role_of(name) {
            Some(role) => role.to_owned(),
            None if SourceRole::from_name(name).is_some() => name.to_owned(),
            None => return Err(format!("has the unknown role `{name}`; --map role=…,user={name} gives it a meaning")),
        };
        let content = take_path(&mut fields, &self.content);
        // Fields of the common names that were not chosen are no part of the message, and are listed under another name.
        for name in ["role", "content"] {
            if let Some(other) = fields.shift_remove(name) {
                fields.insert(format!("{name} (not mapped)"), other);
            }
        }
        fields.insert("role".to_owned(), role.into());
        fields.extend(content.map(|content| ("content".to_owned(), content)));
        Ok(Value::Object(fields))
    }
}

impl InputFormat for MappedFormat {
    fn name(&self) -> &'static str {
        "mapped"
    }

    fn matches(&self, row: &Columns) -> bool {
        self.place(row).is_some_and(|place| path_in(row, place).is_some())
    }

    fn take(&self, row: &mut Columns, unread: &mut Unread) -> Result<Vec<SourceMessage>, String> {
        let place = self.place(row).unwrap_or_default().to_owned();
        let items = match take_path(row, &place) {
            Some(Value::Array(items)) => items,
            Some(Value::String(text)) if text.trim_start().starts_with('[') => {
                serde_json::from_str(&text).map_err(|error| format!("`{place}` is not a list: {error}"))?
            }
            _ => return Err(format!("`{place}` is not a list")),
        };
        let renamed = |(index, item)| self.renamed(item).map_err(|reason| format!("message {} {reason}", index + 1));
        let items = items.into_iter().enumerate().map(renamed).collect::<Result<Vec<_>, _>>()?;
        MessageFormat::COMMON.read_list(items, &place, unread)
    }
}

/// Returns the value at a path, or under a name that has dots itself.
fn path_in<'a>(fields: &'a Columns, path: &str) -> Option<&'a Value> {
    if let Some(value) = fields.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    at_path(fields.get(first)?, rest)
}

fn at_path<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    value.as_object().and_then(|fields| path_in(fields, path))
}

/// Takes the value at a path out of the fields; what is around it stays.
fn take_path(fields: &mut Columns, path: &str) -> Option<Value> {
    if fields.contains_key(path) {
        return fields.shift_remove(path);
    }
    let (first, rest) = path.split_once('.')?;
    take_path(fields.get_mut(first)?.as_object_mut()?, rest)
}
