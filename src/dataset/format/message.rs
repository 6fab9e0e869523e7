//! Reads messages that are objects with a role and a content, as in most formats.

use serde_json::{Map, Value};

use super::content::{Content, reasoning_words};
use super::mask::Mask;
use super::tools::{self, UnreadableCall};
use super::{SourceContent, SourceMessage, is_message_list, take_items};
use crate::conversation::Columns;
use crate::dataset::media::is_media;
use crate::dataset::meta::scalar_text;
use crate::dataset::role::SourceRole;
use crate::dataset::unread::{Unread, has_words};

/// The keys of a format's messages.
#[derive(Clone, Copy, Debug)]
pub struct MessageFormat<'a> {
    /// The key of the role.
    pub role: &'a str,
    /// The key of the content. Where it is missing, the other keys that are used for it are tried.
    pub content: &'a str,
}

/// Keys of a message's words, in the order in which they count.
const CONTENTS: [&str; 6] = ["content", "value", "text", "parts", "message", "contents"];
/// Keys of a message's reasoning.
const REASONING: [&str; 5] = ["reasoning_content", "reasoning", "thinking", "thoughts", "reasoning_details"];
/// Keys of a message's role, where the format's own is missing.
const ROLES: [&str; 4] = ["role", "from", "speaker", "author"];

impl MessageFormat<'_> {
    /// `{"role", "content"}`.
    pub const COMMON: MessageFormat<'static> = MessageFormat { role: "role", content: "content" };

    /// Returns the first of these columns that is a list of messages in this format.
    pub fn column<'a>(&self, row: &Columns, columns: &[&'a str]) -> Option<&'a str> {
        columns.iter().find(|column| is_message_list(row, column, self.role)).copied()
    }

    /// Takes the list of messages in the first of these columns that has one out of the row.
    pub fn take_first(
        &self,
        row: &mut Columns,
        columns: &[&str],
        unread: &mut Unread,
    ) -> Result<Vec<SourceMessage>, String> {
        // A format that was named explicitly, or an empty list, may have no message to tell by.
        let present = || columns.iter().find(|column| row.contains_key(**column)).copied();
        let column = self.column(row, columns).or_else(present).unwrap_or(columns[0]);
        self.take_list(row, column, unread)
    }

    /// Takes a column's list of messages out of the row.
    pub fn take_list(
        &self,
        row: &mut Columns,
        column: &str,
        unread: &mut Unread,
    ) -> Result<Vec<SourceMessage>, String> {
        self.read_list(take_items(row, column)?, column, unread)
    }

    /// Reads a list of messages. `column` is its place in the row.
    pub fn read_list(
        &self,
        items: Vec<Value>,
        column: &str,
        unread: &mut Unread,
    ) -> Result<Vec<SourceMessage>, String> {
        let mut messages = Vec::with_capacity(items.len());
        let place = format!("{column}[]");
        for (index, item) in items.into_iter().enumerate() {
            self.read(item, &place, unread, &mut messages)
                .map_err(|reason| format!("message {} {reason}", index + 1))?;
        }
        Ok(messages)
    }

    /// Reads one message, which may become several: a result of a tool stands in a message of its own. `place` is where it
    /// stands in the row.
    pub fn read(
        &self,
        item: Value,
        place: &str,
        unread: &mut Unread,
        messages: &mut Vec<SourceMessage>,
    ) -> Result<(), String> {
        let Value::Object(mut fields) = item else { return Err("is not an object with a role".to_owned()) };
        fields.retain(|_, value| !value.is_null());
        let name = self.take_role(&mut fields)?;
        let role = SourceRole::from_name(&name).ok_or_else(|| format!("has the unknown role `{name}`"))?;
        let is_call = tools::is_call_role(&name);
        let role = if is_call { SourceRole::Assistant } else { role };
        let mut message = SourceMessage::text(role, String::new());
        let mut content = self.take_content(&mut fields, role, place, unread)?;
        take_tool_fields(&mut fields, role, &mut message, &mut content, place, unread);
        if let Some(Value::String(speaker)) = fields.get("name").filter(|name| has_words(name)) {
            message.fields.insert("name".to_owned(), speaker.as_str().into());
            fields.swap_remove("name");
        }
        message.mask = Mask::both(Mask::take(&mut fields), content.mask);
        let before = fields.len();
        fields.retain(|name, value| !is_media(name, value));
        content.has_media |= fields.len() < before;
        if role == SourceRole::Assistant {
            for key in REASONING {
                take_reasoning(&mut fields, key, &mut content.reasoning);
            }
        } else if !content.reasoning.is_empty() {
            return Err("has reasoning, and is no answer".to_owned());
        }
        unread.add(|| place.to_owned(), &Value::Object(fields));
        if role == SourceRole::Assistant && !content.results.is_empty() {
            return Err("has a call of a tool and its result".to_owned());
        }
        if content.is_missing() && message.fields.get("tool_calls").is_none() {
            return Err("has no content".to_owned());
        }
        finish(message, content, is_call, place, unread, messages);
        Ok(())
    }

    fn take_role(&self, fields: &mut Map<String, Value>) -> Result<String, String> {
        let key = [self.role].into_iter().chain(ROLES).find(|key| fields.get(*key).is_some_and(Value::is_string));
        match key.and_then(|key| fields.swap_remove(key)) {
            Some(Value::String(name)) => Ok(name),
            _ => Err(format!("has no `{}`", self.role)),
        }
    }

    /// Takes the words of a message from wherever they stand. Two different texts are a fault: one of them would be lost.
    fn take_content(
        &self,
        fields: &mut Map<String, Value>,
        role: SourceRole,
        place: &str,
        unread: &mut Unread,
    ) -> Result<Content, String> {
        let mut content = Content::default();
        let mut taken_from: Option<&str> = None;
        let keys = [self.content].into_iter().chain(CONTENTS.into_iter().filter(|key| *key != self.content));
        for key in keys {
            let Some(value) = fields.get(key) else { continue };
            if let Some(first) = taken_from.filter(|_| has_words(value)) {
                if value.as_str() == content.text.as_deref() {
                    fields.swap_remove(key);
                    continue;
                }
                if content.text.as_deref().is_some_and(|text| !text.is_empty()) || !content.calls.is_empty() {
                    return Err(format!("has two texts, under `{first}` and under `{key}`"));
                }
            } else if taken_from.is_some() {
                continue;
            }
            let value = fields.swap_remove(key).unwrap_or_default();
            taken_from = Some(key);
            match value {
                value if role == SourceRole::Tool => content.add_returned(value),
                Value::String(text) => content.add_text(text, place, unread)?,
                value => content.add(value, &format!("{place}.{key}"), unread)?,
            }
        }
        if let Some(Value::String(refusal)) = fields.get("refusal") {
            content.refusal.push_str(refusal);
            fields.swap_remove("refusal");
        }
        if !content.refusal.is_empty() && content.text.as_deref().is_some_and(|text| !text.is_empty()) {
            return Err("has both a content and a refusal".to_owned());
        }
        Ok(content)
    }
}

/// Takes a field with reasoning, unless there is another one already. What is not text stays.
fn take_reasoning(fields: &mut Map<String, Value>, key: &str, reasoning: &mut String) {
    let Some(words) = fields.get(key).and_then(reasoning_words) else { return };
    if reasoning.is_empty() || *reasoning == words {
        fields.swap_remove(key);
        *reasoning = words;
    }
}

/// Takes the fields about tools out of a message.
fn take_tool_fields(
    fields: &mut Map<String, Value>,
    role: SourceRole,
    message: &mut SourceMessage,
    content: &mut Content,
    place: &str,
    unread: &mut Unread,
) {
    match role {
        SourceRole::Assistant => {
            for key in ["tool_calls", "function_call"] {
                let Some(calls) = fields.swap_remove(key) else { continue };
                match tools::normalised_calls(calls, &format!("{place}.{key}"), unread) {
                    Ok(calls) if content.calls.is_empty() => content.calls = calls,
                    // `function_call` repeats a call of `tool_calls` where both are there.
                    Ok(calls) => {
                        let said = |call: &Value| call["function"].clone();
                        let known: Vec<Value> = content.calls.iter().map(said).collect();
                        content.calls.extend(calls.into_iter().filter(|call| !known.contains(&said(call))));
                    }
                    Err(UnreadableCall) => content.has_unreadable_call = true,
                }
            }
        }
        SourceRole::Tool => {
            let id = ["tool_call_id", "tool_use_id", "call_id"].iter().find_map(|key| fields.swap_remove(*key));
            message.fields.extend(id.and_then(scalar_text).map(|id| ("tool_call_id".to_owned(), id.into())));
        }
        SourceRole::System | SourceRole::User => {}
    }
}

/// Puts the pieces of a message together.
fn finish(
    mut message: SourceMessage,
    mut content: Content,
    is_call: bool,
    place: &str,
    unread: &mut Unread,
    messages: &mut Vec<SourceMessage>,
) {
    let has_results = !content.results.is_empty();
    for result in content.results.drain(..) {
        let mut told = SourceMessage::text(SourceRole::Tool, result.text);
        told.fields.extend(result.id.map(|id| ("tool_call_id".to_owned(), id.into())));
        told.fields.extend(result.name.map(|name| ("name".to_owned(), name.into())));
        messages.push(told);
    }
    let mut text = content.text.unwrap_or_default();
    if !content.refusal.is_empty() {
        text = content.refusal;
    }
    if is_call {
        match tools::normalised_calls(Value::String(std::mem::take(&mut text)), place, unread) {
            Ok(calls) if !calls.is_empty() || !content.calls.is_empty() => content.calls.extend(calls),
            _ => content.has_unreadable_call = true,
        }
    }
    if has_results && message.role == SourceRole::User && text.trim().is_empty() && !content.has_media {
        return;
    }
    if !content.calls.is_empty() {
        message.fields.insert("tool_calls".to_owned(), Value::Array(content.calls));
    }
    message.reasoning = Some(content.reasoning).filter(|words| !words.trim().is_empty());
    message.content = match () {
        () if content.has_unreadable_call => SourceContent::UnreadableCall,
        () if content.has_media => SourceContent::Media(text),
        () => SourceContent::Text(text),
    };
    messages.push(message);
}
