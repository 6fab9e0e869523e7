use std::sync::Arc;

use super::format::{SourceContent, SourceMessage};
use super::notes::Notes;
use super::role::SourceRole;
use super::rules::DoubleUser;
use crate::conversation::{Message, Role, Turn};

/// A turn under construction.
#[derive(Default)]
pub struct Draft {
    /// The messages before the user's last one. After a tool call: all messages of the turn.
    pub messages: Vec<Arc<Message>>,
    /// The user's last message, to which consecutive ones may be joined.
    pub user: Option<String>,
    /// System messages to be put before the next user message.
    folded: Vec<String>,
    /// Tools were called after the user's message.
    pub has_called: bool,
    /// Calls without a result.
    open_calls: usize,
    pub was_abandoned: bool,
}

impl Draft {
    pub fn has_user(&self) -> bool {
        self.user.is_some() || self.has_called
    }

    pub fn waits_for_result(&self) -> bool {
        self.open_calls > 0
    }

    /// Takes the first user message of the turn.
    pub fn begin(&mut self, text: String) {
        let mut parts = std::mem::take(&mut self.folded);
        parts.push(text);
        self.user = Some(parts.join("\n\n"));
    }

    /// Takes a consecutive user message.
    pub fn hear_more(&mut self, text: String, rule: DoubleUser) {
        let earlier = self.user.take().unwrap_or_default();
        if rule == DoubleUser::Join {
            self.begin(format!("{earlier}\n\n{text}"));
        } else {
            self.messages.push(Message::new(Role::User, earlier));
            self.begin(text);
        }
    }

    /// Folds a system message into the user message of this turn, or into the next one.
    pub fn fold(&mut self, text: String) {
        match &mut self.user {
            Some(user) => *user = format!("{user}\n\n{text}"),
            None => self.folded.push(text),
        }
    }

    /// Takes a tool call or result; false where it is not valid at this point.
    pub fn replay(&mut self, message: &SourceMessage) -> bool {
        let SourceContent::Text(text) = &message.content else { return false };
        let calls = message.fields.get("tool_calls").and_then(serde_json::Value::as_array).map_or(0, Vec::len);
        let role = match message.role {
            SourceRole::Assistant if self.has_user() && self.open_calls == 0 && calls > 0 => Role::Assistant,
            SourceRole::Tool if self.open_calls > 0 => Role::Tool,
            _ => return false,
        };
        self.messages.extend(self.user.take().map(|user| Message::new(Role::User, user)));
        self.open_calls = if role == Role::Tool { self.open_calls - 1 } else { calls };
        self.has_called = true;
        self.messages.push(Message::with_fields(role, text.as_str(), message.fields.clone()));
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
        messages.extend(self.user.take().map(|user| Message::new(Role::User, user)));
        (self.has_called, self.open_calls) = (false, 0);
        Some(Turn { messages, replaced, given: Vec::new() })
    }
}
