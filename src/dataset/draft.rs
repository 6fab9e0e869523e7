use std::sync::Arc;

use serde_json::Value;

use super::format::{SourceContent, SourceMessage};
use super::notes::Notes;
use super::role::SourceRole;
use super::rules::DoubleUser;
use crate::conversation::{Columns, Message, Role, ToolCall, Turn};

/// A turn under construction.
#[derive(Default)]
pub struct Draft {
    /// The messages before the user's last one. After a tool call: all messages of the turn.
    pub messages: Vec<Arc<Message>>,
    /// The user's last message, to which consecutive ones may be joined.
    user: Option<Spoken>,
    /// System messages to be put before the next user message.
    folded: Vec<String>,
    /// Tools were called after the user's message.
    pub has_called: bool,
    /// The ids of calls without a result.
    open_calls: Vec<String>,
    /// The calls that the turn's results answer, where calls are regenerated.
    follows: Vec<ToolCall>,
    pub was_abandoned: bool,
}

/// What one person says.
struct Spoken {
    text: String,
    name: Option<String>,
}

impl Spoken {
    fn into_message(self) -> Arc<Message> {
        Message::with_fields(Role::User, self.text, named(self.name))
    }
}

/// Returns the fields of a message with a name.
pub fn named(name: Option<String>) -> Columns {
    name.into_iter().map(|name| ("name".to_owned(), name.into())).collect()
}

impl Draft {
    pub fn has_user(&self) -> bool {
        self.user.is_some() || self.has_called
    }

    /// Returns how many system messages stand before the user's.
    pub fn system_messages(&self) -> u64 {
        let kept = self.messages.iter().filter(|message| message.role() == Role::System);
        (kept.count() + self.folded.len()) as u64
    }

    pub fn waits_for_result(&self) -> bool {
        !self.open_calls.is_empty()
    }

    /// True where the turn begins with results of calls that are regenerated.
    pub fn follows_calls(&self) -> bool {
        !self.follows.is_empty()
    }

    /// Takes the first user message of the turn.
    pub fn begin(&mut self, text: String, name: Option<String>) {
        let mut parts = std::mem::take(&mut self.folded);
        parts.push(text);
        self.user = Some(Spoken { text: parts.join("\n\n"), name });
    }

    /// Takes a consecutive user message. Messages of different people are never joined.
    pub fn hear_more(&mut self, text: String, name: Option<String>, rule: DoubleUser) {
        let Some(earlier) = self.user.take() else { return self.begin(text, name) };
        if rule == DoubleUser::Join && earlier.name == name {
            self.begin(format!("{}\n\n{text}", earlier.text), name);
        } else {
            self.messages.push(earlier.into_message());
            self.begin(text, name);
        }
    }

    /// True where a message of this person would be joined to the last one.
    pub fn is_by(&self, name: Option<&str>) -> bool {
        self.user.as_ref().is_some_and(|user| user.name.as_deref() == name)
    }

    /// Folds a system message into the user message of this turn, or into the next one.
    pub fn fold(&mut self, text: String) {
        match &mut self.user {
            Some(user) => user.text = format!("{}\n\n{text}", user.text),
            None => self.folded.push(text),
        }
    }

    /// Takes a tool call or result; false where it is not valid at this point: a call before all results of the last one
    /// are there, or a result of no open call.
    pub fn replay(&mut self, message: &SourceMessage) -> bool {
        let SourceContent::Text(text) = &message.content else { return false };
        let role = match message.role {
            SourceRole::Assistant if self.has_user() && !self.waits_for_result() && message.has_calls() => {
                let calls = message.fields.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
                self.open_calls = calls.filter_map(|call| call["id"].as_str().map(str::to_owned)).collect();
                Role::Assistant
            }
            SourceRole::Tool if message.answers_all => return self.replay_joint(text),
            SourceRole::Tool => {
                let id = message.fields.get("tool_call_id").and_then(Value::as_str);
                let Some(at) = self.open_calls.iter().position(|open| Some(open.as_str()) == id) else { return false };
                self.open_calls.remove(at);
                Role::Tool
            }
            _ => return false,
        };
        self.messages.extend(self.user.take().map(Spoken::into_message));
        self.has_called = true;
        self.messages.push(Message::with_fields(role, text.as_str(), message.fields.clone()));
        true
    }

    /// Ends the turn at a call, which is regenerated: its results begin the next turn. `None` where a call is not valid at this
    /// point.
    pub fn call(&mut self, message: &SourceMessage) -> Option<Turn> {
        let SourceContent::Text(text) = &message.content else { return None };
        if !self.has_user() || self.waits_for_result() || !message.has_calls() {
            return None;
        }
        let turn = self.finish(Some(text.clone()).filter(|text| !text.is_empty()))?;
        self.follows = ToolCall::of(&Message::with_fields(Role::Assistant, "", message.fields.clone()));
        self.open_calls = self.follows.iter().map(|call| call.id.clone()).collect();
        self.has_called = true;
        Some(turn)
    }

    /// True where nothing has followed the calls of the turn before: the source ends with them.
    pub fn is_after_last_calls(&self) -> bool {
        !self.follows.is_empty() && self.open_calls.len() == self.follows.len() && self.messages.is_empty()
    }

    /// Passes over a call or a result: the turn has had its answer, although no words of it.
    pub fn pass_over_call(&mut self) {
        self.has_called |= self.user.is_some();
    }

    /// Takes the one result of several calls: a JSON list with an item for each.
    fn replay_joint(&mut self, text: &str) -> bool {
        let Ok(Value::Array(items)) = serde_json::from_str(text) else { return false };
        if items.len() != self.open_calls.len() {
            return false;
        }
        for (id, item) in self.open_calls.drain(..).zip(items) {
            let text = item.as_str().map_or_else(|| item.to_string(), str::to_owned);
            let fields = Columns::from_iter([("tool_call_id".to_owned(), id.into())]);
            self.messages.push(Message::with_fields(Role::Tool, text, fields));
        }
        true
    }

    /// Abandons the turn, because a tool call in it has no result.
    pub fn abandon(&mut self, notes: &mut Notes) {
        notes.note("turns_dropped", u64::from(self.has_user()));
        notes.note("cut_before_tools", 1);
        *self = Self { was_abandoned: true, ..Self::default() };
    }

    /// Returns the turn, if it has a user message.
    pub fn finish(&mut self, replaced: Option<String>) -> Option<Turn> {
        if !self.has_user() {
            return None;
        }
        let mut messages = std::mem::take(&mut self.messages);
        messages.extend(self.user.take().map(Spoken::into_message));
        self.has_called = false;
        self.open_calls.clear();
        Some(Turn {
            messages,
            replaced,
            given: Vec::new(),
            follows: std::mem::take(&mut self.follows),
            ends_in_calls: false,
        })
    }
}
