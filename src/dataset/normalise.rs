use std::ops::ControlFlow;

use super::draft::Draft;
use super::format::{SourceContent, SourceMessage};
use super::notes::{Notes, Skip};
use super::role::SourceRole;
use super::rules::{DoubleUser, EmptyUser, Greeting, Media, MiddleSystem, Placeholders, Rules, Tools};
use crate::conversation::{Message, Role, Turn};

/// Converts a row's messages to turns.
///
/// Old answers are dropped; user turns and system messages keep their places. Irregular rows are handled by `rules`.
pub fn normalise(messages: Vec<SourceMessage>, rules: &Rules) -> Result<(Vec<Turn>, Notes), Skip> {
    let mut normaliser = Normaliser::new(rules);
    let mut messages = messages.into_iter();
    for message in messages.by_ref() {
        if normaliser.take(message)?.is_break() {
            break;
        }
    }
    let users_left = messages.filter(|message| message.role == SourceRole::User).count();
    normaliser.finish(users_left as u64)
}

/// Builds turns message by message.
struct Normaliser<'a> {
    rules: &'a Rules,
    notes: Notes,
    turns: Vec<Turn>,
    /// The turn that has no answer yet.
    draft: Draft,
    /// The conversation ended at an empty user message.
    ended_empty: bool,
}

/// `Break` where the messages after this one cannot be used.
type Flow = ControlFlow<()>;
const NEXT: Flow = Flow::Continue(());
const END: Flow = Flow::Break(());

impl<'a> Normaliser<'a> {
    fn new(rules: &'a Rules) -> Self {
        Self { rules, notes: Notes::default(), turns: Vec::new(), draft: Draft::default(), ended_empty: false }
    }

    fn take(&mut self, message: SourceMessage) -> Result<Flow, Skip> {
        if message.is_tool_use() {
            return self.take_tool_use(&message);
        }
        let text = self.text_of(message.content)?;
        match message.role {
            SourceRole::System => {
                let text = fill_placeholders(text, self.rules, &mut self.notes)?;
                self.take_system(text);
                Ok(NEXT)
            }
            SourceRole::User => {
                let text = fill_placeholders(text, self.rules, &mut self.notes)?;
                self.take_user(text)
            }
            SourceRole::Assistant => Ok(self.take_answer(text)),
            // Tool messages were handled as tool use above.
            SourceRole::Tool => Ok(NEXT),
        }
    }

    /// Takes a tool call or its result.
    fn take_tool_use(&mut self, message: &SourceMessage) -> Result<Flow, Skip> {
        if self.rules.tools == Tools::Replay && self.draft.replay(message) {
            self.notes.note("tool_messages_replayed", 1);
            return Ok(NEXT);
        }
        if self.rules.tools == Tools::Skip || self.turns.is_empty() {
            return Err(Skip::ToolUse);
        }
        self.draft.abandon(&mut self.notes);
        Ok(END)
    }

    fn text_of(&mut self, content: SourceContent) -> Result<String, Skip> {
        match content {
            SourceContent::Text(text) => Ok(text),
            SourceContent::Media(text) if self.rules.media == Media::Drop => {
                self.notes.note("media_dropped", 1);
                Ok(text)
            }
            SourceContent::Media(_) => Err(Skip::Multimodal),
            SourceContent::UnreadableCall => Err(Skip::ToolUse),
        }
    }

    fn take_system(&mut self, text: String) {
        let is_leading = self.turns.is_empty() && !self.draft.has_user();
        let rule = if is_leading { MiddleSystem::Keep } else { self.rules.middle_system };
        match rule {
            // A turn ends with the user message, so a system message after it is put before it.
            MiddleSystem::Keep => self.draft.messages.push(Message::new(Role::System, text)),
            MiddleSystem::Fold => {
                self.notes.note("system_folded", 1);
                self.draft.fold(text);
            }
            MiddleSystem::Drop => self.notes.note("system_dropped", 1),
        }
    }

    /// Takes an old answer, which ends a turn and is replaced.
    fn take_answer(&mut self, text: String) -> Flow {
        if self.draft.waits_for_result() {
            self.draft.abandon(&mut self.notes);
            return END;
        }
        if self.draft.has_user() {
            self.turns.extend(self.draft.finish(Some(text).filter(|text| !text.is_empty())));
        } else if self.turns.is_empty() {
            match self.rules.greeting {
                Greeting::Keep => {
                    self.notes.note("greeting_kept", 1);
                    self.draft.messages.push(Message::new(Role::Assistant, text));
                }
                Greeting::Drop => self.notes.note("greeting_dropped", 1),
            }
        }
        // A consecutive answer, or an answer to a system message only, is dropped.
        NEXT
    }

    fn take_user(&mut self, text: String) -> Result<Flow, Skip> {
        if text.trim().is_empty() {
            if self.rules.empty_user == EmptyUser::Skip {
                return Err(Skip::EmptyUser);
            }
            self.ended_empty = true;
            return Ok(END);
        }
        if self.draft.waits_for_result() {
            self.notes.note("turns_dropped", 1);
            self.draft.abandon(&mut self.notes);
            return Ok(END);
        }
        if self.draft.has_called {
            // The source continued after a tool result without an answer. Here the turn gets one.
            self.turns.extend(self.draft.finish(None));
            self.draft.user = Some(text);
        } else if !self.draft.has_user() {
            self.draft.begin(text);
        } else {
            self.take_more_of_user(text)?;
        }
        Ok(NEXT)
    }

    /// Takes a consecutive user message.
    fn take_more_of_user(&mut self, text: String) -> Result<(), Skip> {
        let note = match self.rules.double_user {
            DoubleUser::Skip => return Err(Skip::DoubleUser),
            DoubleUser::Join => "joined_users",
            DoubleUser::Keep => "double_users_kept",
        };
        self.draft.hear_more(text, self.rules.double_user);
        self.notes.note(note, 1);
        Ok(())
    }

    /// Finishes after the last usable message; `users_left` user messages follow it.
    fn finish(mut self, users_left: u64) -> Result<(Vec<Turn>, Notes), Skip> {
        self.notes.note("turns_dropped", users_left + u64::from(self.ended_empty));
        if self.draft.waits_for_result() {
            self.draft.abandon(&mut self.notes);
        }
        let was_tool_use = self.draft.was_abandoned;
        self.turns.extend(self.draft.finish(None));
        if !self.turns.is_empty() {
            Ok((self.turns, self.notes))
        } else if self.ended_empty {
            Err(Skip::EmptyUser)
        } else if was_tool_use {
            Err(Skip::ToolUse)
        } else {
            Err(Skip::NoUser)
        }
    }
}

/// Fills the placeholders that have a value and handles the others by the rules.
fn fill_placeholders(text: String, rules: &Rules, notes: &mut Notes) -> Result<String, Skip> {
    let filled = rules.fill.apply(&text);
    notes.note("placeholders_filled", u64::from(filled.is_some()));
    let text = filled.unwrap_or(text);
    match has_placeholder(&text) {
        true if rules.placeholders == Placeholders::Skip => Err(Skip::Placeholder),
        seen => {
            notes.note("placeholder_seen", u64::from(seen));
            Ok(text)
        }
    }
}

/// True where a template's placeholder was not filled in: `{{name}}`, `[PLACEHOLDER]`.
fn has_placeholder(text: &str) -> bool {
    let find = |what: &str, text: &str| memchr::memmem::find(text.as_bytes(), what.as_bytes());
    let gap = find("{{", text).and_then(|start| find("}}", &text[start..])).is_some_and(|length| length < 40);
    gap || find("[PLACEHOLDER]", text).is_some()
}
