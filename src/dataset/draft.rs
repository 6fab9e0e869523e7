use std::sync::Arc;

use super::format::{SourceContent, SourceMessage};
use super::notes::Notes;
use super::role::SourceRole;
use super::rules::DoubleUser;
use crate::conversation::{Message, Role, Turn};

/// A turn that is being put together.
#[derive(Default)]
pub struct Draft {
    /// What stands before the user's last words, or, behind a call, everything.
    pub messages: Vec<Arc<Message>>,
    /// The user's last words, which may yet be joined by more.
    pub user: Option<String>,
    /// Words to be put before the user's next ones.
    folded: Vec<String>,
    /// Tools were called after the user's words.
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

    /// Takes the first words of a user.
    pub fn begin(&mut self, text: String) {
        let mut parts = std::mem::take(&mut self.folded);
        parts.push(text);
        self.user = Some(parts.join("\n\n"));
    }

    /// Takes more words of a user who has spoken already.
    pub fn hear_more(&mut self, text: String, rule: DoubleUser) {
        let earlier = self.user.take().unwrap_or_default();
        if rule == DoubleUser::Join {
            self.begin(format!("{earlier}\n\n{text}"));
        } else {
            self.messages.push(Message::new(Role::User, earlier));
            self.begin(text);
        }
    }

    /// Takes a system message that goes with the user's words, those that are there or the next.
    pub fn fold(&mut self, text: String) {
        match &mut self.user {
            Some(user) => *user = format!("{user}\n\n{text}"),
            None => self.folded.push(text),
        }
    }

    /// Takes a call or a result; false where it can be none here.
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

    /// Gives the turn up: a tool's call in it has no result.
    pub fn abandon(&mut self, notes: &mut Notes) {
        notes.note("turns_dropped", u64::from(self.has_user()));
        notes.note("cut_before_tools", 1);
        *self = Self { was_abandoned: true, ..Self::default() };
    }

    /// Returns the turn, if the user has spoken.
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
