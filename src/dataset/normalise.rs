use std::sync::Arc;

use super::format::{Content, SourceMessage};
use super::role::SourceRole;
use crate::conversation::{Message, Role, Turn};

/// Why a row that can be read has nothing to distil.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Skip {
    /// No user speaks.
    NoUser,
    /// The user's first turn is empty.
    EmptyUser,
    /// Tools are called: a new answer would have no recorded result to go on with.
    ToolUse,
    /// Something other than text.
    Multimodal,
}

impl Skip {
    /// Returns the reason's code.
    pub fn name(self) -> &'static str {
        match self {
            Skip::NoUser => "no_user",
            Skip::EmptyUser => "empty_user",
            Skip::ToolUse => "tool_use",
            Skip::Multimodal => "multimodal",
        }
    }
}

/// What was done to a row to make turns of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// User messages joined with the one before.
    pub joined_users: u32,
    /// Messages by the assistant before the first user, kept as context.
    pub greetings: u32,
    /// Turns dropped because a user's turn was empty, that one and everything after it.
    pub dropped_turns: u32,
}

impl Notes {
    /// Adds what was done to another row.
    pub fn add(&mut self, other: &Notes) {
        self.joined_users += other.joined_users;
        self.greetings += other.greetings;
        self.dropped_turns += other.dropped_turns;
    }

    /// Returns what was done, with how often, where it was.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u32)> {
        let counts = [
            ("joined_users", self.joined_users),
            ("greeting_kept", self.greetings),
            ("turns_dropped", self.dropped_turns),
        ];
        counts.into_iter().filter(|(_, count)| *count > 0)
    }
}

/// Makes turns of a row's messages.
///
/// Old answers go; user turns and system messages stay in their places. Two user messages in a row become one,
/// joined by an empty line. A greeting by the assistant before the first user stays as context. An empty user
/// turn ends the conversation before it: what comes after has lost its meaning.
pub fn normalise(messages: Vec<SourceMessage>) -> Result<(Vec<Turn>, Notes), Skip> {
    let mut notes = Notes::default();
    let mut turns: Vec<Turn> = Vec::new();
    let mut draft = Draft::default();
    let mut messages = messages.into_iter();
    for SourceMessage { role, content, .. } in messages.by_ref() {
        let text = match content {
            Content::Text(text) => text,
            Content::ToolCall => return Err(Skip::ToolUse),
            Content::Media => return Err(Skip::Multimodal),
        };
        match role {
            SourceRole::Tool => return Err(Skip::ToolUse),
            SourceRole::System => draft.before.push(Message::new(Role::System, text)),
            SourceRole::Assistant if draft.user.is_some() => {
                turns.extend(draft.finish(Some(text).filter(|text| !text.is_empty())));
            }
            SourceRole::Assistant if turns.is_empty() => {
                notes.greetings += 1;
                draft.before.push(Message::new(Role::Assistant, text));
            }
            // A second answer in a row, or an answer to nothing but a system message: it goes as the others do.
            SourceRole::Assistant => {}
            SourceRole::User if text.trim().is_empty() => {
                turns.extend(draft.finish(None));
                notes.dropped_turns += 1;
                break;
            }
            SourceRole::User => notes.joined_users += u32::from(draft.hear(text)),
        }
    }
    notes.dropped_turns += messages.filter(|message| message.role == SourceRole::User).count() as u32;
    turns.extend(draft.finish(None));
    match turns.is_empty() {
        true if notes.dropped_turns > 0 => Err(Skip::EmptyUser),
        true => Err(Skip::NoUser),
        false => Ok((turns, notes)),
    }
}

/// A turn that is being put together.
#[derive(Default)]
struct Draft {
    before: Vec<Arc<Message>>,
    user: Option<String>,
}

impl Draft {
    /// Takes the user's words; true where they were joined with earlier ones.
    fn hear(&mut self, text: String) -> bool {
        match &mut self.user {
            Some(earlier) => {
                earlier.push_str("\n\n");
                earlier.push_str(&text);
                true
            }
            None => {
                self.user = Some(text);
                false
            }
        }
    }

    /// Returns the turn, if the user has spoken.
    fn finish(&mut self, replaced: Option<String>) -> Option<Turn> {
        let user = self.user.take()?;
        let mut messages = std::mem::take(&mut self.before);
        messages.push(Message::new(Role::User, user));
        Some(Turn { messages, replaced })
    }
}
