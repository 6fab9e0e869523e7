use std::collections::HashSet;

use serde_json::{Map, Value};

use super::hermes::{Written, split_calls, split_results};
use crate::conversation::Columns;
use crate::dataset::format::{Mask, SourceContent, SourceMessage, SourceRole};

/// Reads calls and results that are written into the texts of messages. Calls in a notation that is not read are marked.
pub fn read_written_calls(mut messages: Vec<SourceMessage>) -> Vec<SourceMessage> {
    let mut is_read = false;
    for message in &mut messages {
        let SourceContent::Text(text) = &message.content else { continue };
        let written = Written::of(text);
        is_read |= written.is_read;
        message.says_call = written.is_other && message.role == SourceRole::Assistant;
        if written.is_media && message.role == SourceRole::User {
            message.content = SourceContent::Media(text.clone());
        }
    }
    if is_read { messages.into_iter().flat_map(read_written).collect() } else { messages }
}

fn read_written(mut message: SourceMessage) -> Vec<SourceMessage> {
    let SourceContent::Text(text) = &mut message.content else { return vec![message] };
    match message.role {
        SourceRole::Assistant if !message.fields.contains_key("tool_calls") => {
            if let Some((words, calls)) = split_calls(text) {
                *text = words;
                message.fields.insert("tool_calls".to_owned(), Value::Array(calls));
            }
        }
        SourceRole::User => {
            if let Some((results, rest)) = split_results(text) {
                let rest = Some(rest).filter(|rest| !rest.is_empty()).map(str::to_owned);
                let told = results.into_iter().map(|result| SourceMessage::text(SourceRole::Tool, result));
                let rest = rest.map(|rest| SourceMessage { content: SourceContent::Text(rest), ..message });
                return told.chain(rest).collect();
            }
        }
        SourceRole::Tool => match split_results(text) {
            Some((results, "")) if results.len() == 1 => *text = results.concat(),
            Some((results, "")) if !message.fields.contains_key("tool_call_id") => {
                return results.into_iter().map(|result| SourceMessage::text(SourceRole::Tool, result)).collect();
            }
            _ => {}
        },
        _ => {}
    }
    vec![message]
}

/// Joins calls that one assistant made at once into one message, gives every call an id of its own, and every result the
/// id of its call. Servers require all three.
///
/// A result without an id belongs to the first open call of its name, or else to the first open one.
pub fn link_calls(messages: Vec<SourceMessage>) -> Vec<SourceMessage> {
    if !messages.iter().any(SourceMessage::is_tool_use) {
        return messages;
    }
    let mut messages = joined(messages);
    let mut taken: HashSet<String> = messages.iter().flat_map(calls_of).filter_map(id_of).collect();
    let mut seen = HashSet::new();
    let mut open: Vec<OpenCall> = Vec::new();
    let mut number = 0;
    let is_result = |message: Option<&SourceMessage>| message.is_some_and(|message| message.role == SourceRole::Tool);
    let neighbours: Vec<bool> = (0..messages.len())
        .map(|at| is_result(messages.get(at + 1)) || (at > 0 && is_result(messages.get(at - 1))))
        .collect();
    for (message, has_neighbour) in messages.iter_mut().zip(neighbours) {
        if message.role == SourceRole::Tool {
            message.answers_all = open.len() > 1 && !has_neighbour && !message.fields.contains_key("tool_call_id");
            close(&mut message.fields, &mut open);
            continue;
        }
        let Some(Value::Array(calls)) = message.fields.get_mut("tool_calls") else { continue };
        open.clear();
        for call in calls.iter_mut() {
            number += 1;
            let source_id = id_of(call);
            let id = match &source_id {
                Some(id) if seen.insert(id.clone()) => id.clone(),
                other => free_id(other.as_deref(), number, &mut taken),
            };
            seen.insert(id.clone());
            let name = call["function"]["name"].as_str().unwrap_or_default().to_owned();
            set_id(call, &id);
            open.push(OpenCall { id, source_id, name });
        }
    }
    messages
}

struct OpenCall {
    id: String,
    source_id: Option<String>,
    name: String,
}

fn joined(messages: Vec<SourceMessage>) -> Vec<SourceMessage> {
    let mut joined: Vec<SourceMessage> = Vec::with_capacity(messages.len());
    for message in messages {
        match joined.last_mut() {
            Some(last) if last.has_calls() && message.has_calls() => {
                last.mask = Mask::both(last.mask, message.mask);
                last.append(message);
            }
            _ => joined.push(message),
        }
    }
    joined
}

impl SourceMessage {
    /// Appends a message of the same speaker: its words, its reasoning and its calls.
    pub fn append(&mut self, other: SourceMessage) {
        if let (SourceContent::Text(text), SourceContent::Text(more)) = (&mut self.content, &other.content) {
            if !text.is_empty() && !more.is_empty() {
                text.push_str("\n\n");
            }
            text.push_str(more);
        }
        self.reasoning = match (self.reasoning.take(), other.reasoning) {
            (Some(first), Some(second)) => Some(format!("{first}\n\n{second}")),
            (first, second) => first.or(second),
        };
        let mut calls = self.fields.shift_remove("tool_calls");
        for (name, value) in other.fields {
            match (&mut calls, value) {
                (Some(Value::Array(calls)), Value::Array(more)) if name == "tool_calls" => calls.extend(more),
                (calls, value) if name == "tool_calls" => *calls = Some(value),
                (_, value) => drop(self.fields.insert(name, value)),
            }
        }
        self.fields.extend(calls.map(|calls| ("tool_calls".to_owned(), calls)));
    }
}

fn calls_of(message: &SourceMessage) -> impl Iterator<Item = &Value> {
    message.fields.get("tool_calls").and_then(Value::as_array).into_iter().flatten()
}

fn id_of(call: &Value) -> Option<String> {
    call["id"].as_str().map(str::to_owned)
}

/// Returns an id that no other call has: `call_1`, or the given one with a number.
fn free_id(given: Option<&str>, number: u32, taken: &mut HashSet<String>) -> String {
    let base = given.unwrap_or("call");
    let mut next = number;
    loop {
        let id = format!("{base}_{next}");
        if taken.insert(id.clone()) {
            return id;
        }
        next += 1;
    }
}

fn set_id(call: &mut Value, id: &str) {
    if let Some(fields) = call.as_object_mut() {
        let rest = std::mem::take(fields);
        *fields = Map::from_iter([("id".to_owned(), id.into())]);
        fields.extend(rest.into_iter().filter(|(name, _)| name != "id"));
    }
}

fn close(fields: &mut Columns, open: &mut Vec<OpenCall>) {
    let given = fields.get("tool_call_id").and_then(Value::as_str);
    let by_id = given.and_then(|id| {
        open.iter()
            .position(|call| call.source_id.as_deref() == Some(id) || (call.source_id.is_none() && call.id == id))
    });
    let name = fields.get("name").and_then(Value::as_str);
    // Calls without ids are answered in order, or by name.
    let is_free = |call: &OpenCall| given.is_none() || call.source_id.is_none();
    let by_name = || name.and_then(|name| open.iter().position(|call| call.name == name && is_free(call)));
    let at = by_id.or_else(by_name).or_else(|| open.iter().position(is_free));
    if let Some(at) = at {
        let call = open.remove(at);
        fields.insert("tool_call_id".to_owned(), call.id.into());
    }
}

/// True where every result with an id follows its call at once, before anything else is said. A row whose calls are written in
/// words alone has nothing to check.
pub fn are_linked(messages: &[SourceMessage]) -> bool {
    let is_named = |message: &SourceMessage| message.fields.contains_key("tool_call_id");
    if !messages.iter().any(|message| message.has_calls() || is_named(message)) {
        return true;
    }
    let mut open: Vec<String> = Vec::new();
    for message in messages {
        if message.role == SourceRole::Tool {
            // What a tool says without being asked, in formats without ids, stands where it stands.
            let Some(id) = message.fields.get("tool_call_id").and_then(Value::as_str) else { continue };
            let Some(at) = open.iter().position(|open| open == id) else { return false };
            open.remove(at);
            if message.answers_all {
                open.clear();
            }
        } else {
            if !open.is_empty() || (message.has_calls() && !message.is_answer()) {
                return false;
            }
            open = calls_of(message).filter_map(id_of).collect();
        }
    }
    true
}
