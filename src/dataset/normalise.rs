use std::ops::ControlFlow;

use super::draft::{Draft, named};
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
    let keeps_calls = matches!(rules.tools, Tools::Replay | Tools::Regenerate);
    let messages = if keeps_calls { with_words_joined_to_calls(messages) } else { messages };
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
        let name = message.name().map(str::to_owned);
        let text = self.text_of(message.content)?;
        match message.role {
            SourceRole::System => {
                let text = fill_placeholders(text, self.rules, &mut self.notes)?;
                self.take_system(text, name);
                Ok(NEXT)
            }
            SourceRole::User => {
                let text = fill_placeholders(text, self.rules, &mut self.notes)?;
                if message.is_turn && self.draft.has_user() {
                    self.turns.extend(self.draft.finish(None));
                }
                self.take_user(text, name)
            }
            SourceRole::Assistant => Ok(self.take_answer(text, name)),
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
        if self.rules.tools == Tools::Regenerate && self.rules.drops_results {
            self.draft.pass_over_call();
            self.notes.note("tool_messages_dropped", 1);
            return Ok(NEXT);
        }
        if self.rules.tools == Tools::Regenerate && self.take_regenerated(message) {
            return Ok(NEXT);
        }
        if matches!(self.rules.tools, Tools::Skip | Tools::Hide) || self.turns.is_empty() {
            return Err(Skip::ToolUse);
        }
        self.abandon();
        Ok(END)
    }

    /// Takes a call that is regenerated, or the result of one; false where it is not valid at this point.
    fn take_regenerated(&mut self, message: &SourceMessage) -> bool {
        if message.role == SourceRole::Tool {
            let is_taken = self.draft.replay(message);
            self.notes.note("tool_results_kept", u64::from(is_taken));
            return is_taken;
        }
        let turn = self.draft.call(message);
        self.notes.note("tool_calls_regenerated", u64::from(turn.is_some()));
        let is_taken = turn.is_some();
        self.turns.extend(turn);
        is_taken
    }

    /// Abandons the turn, because a call has no result. Where calls are regenerated, the turns before it end with calls too, up
    /// to the last answer in words: nothing could follow them.
    fn abandon(&mut self) {
        let mut follows = self.draft.follows_calls();
        self.draft.abandon(&mut self.notes);
        while let Some(turn) = self.turns.pop_if(|_| follows) {
            self.notes.note("turns_dropped", 1);
            follows = !turn.follows.is_empty();
        }
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

    fn take_system(&mut self, text: String, name: Option<String>) {
        let is_leading = self.turns.is_empty() && !self.draft.has_user();
        let rule = if is_leading { MiddleSystem::Keep } else { self.rules.middle_system };
        if self.draft.waits_for_result() {
            // Servers take nothing between a call and its results.
            self.notes.note("system_dropped", 1);
            return;
        }
        match rule {
            // A turn ends with the user message, so a system message after it is put before it.
            MiddleSystem::Keep => {
                self.notes.note("system_before_user", u64::from(self.draft.has_user()));
                self.draft.messages.push(Message::with_fields(Role::System, text, named(name)));
            }
            MiddleSystem::Fold => {
                self.notes.note("system_folded", 1);
                self.draft.fold(text);
            }
            MiddleSystem::Drop => self.notes.note("system_dropped", 1),
        }
    }

    /// Takes an old answer, which ends a turn and is replaced.
    fn take_answer(&mut self, text: String, name: Option<String>) -> Flow {
        if self.draft.waits_for_result() {
            self.abandon();
            return END;
        }
        if self.draft.has_user() {
            self.turns.extend(self.draft.finish(Some(text).filter(|text| !text.is_empty())));
        } else if self.turns.is_empty() {
            match self.rules.greeting {
                Greeting::Keep => {
                    self.notes.note("greeting_kept", 1);
                    self.draft.messages.push(Message::with_fields(Role::Assistant, text, named(name)));
                }
                Greeting::Drop => self.notes.note("greeting_dropped", 1),
            }
        }
        // A consecutive answer, or an answer to a system message only, is dropped.
        NEXT
    }

    fn take_user(&mut self, text: String, name: Option<String>) -> Result<Flow, Skip> {
        if text.trim().is_empty() {
            if self.rules.empty_user == EmptyUser::Skip {
                return Err(Skip::EmptyUser);
            }
            self.ended_empty = true;
            return Ok(END);
        }
        if self.draft.waits_for_result() {
            self.notes.note("turns_dropped", 1);
            self.abandon();
            return Ok(END);
        }
        if self.draft.has_called {
            // The source continued after a tool result without an answer. Here the turn gets one.
            self.turns.extend(self.draft.finish(None));
        }
        if self.draft.has_user() {
            self.take_more_of_user(text, name)?;
        } else {
            self.draft.begin(text, name);
        }
        Ok(NEXT)
    }

    /// Takes a consecutive user message.
    fn take_more_of_user(&mut self, text: String, name: Option<String>) -> Result<(), Skip> {
        let note = match self.rules.double_user {
            DoubleUser::Skip => return Err(Skip::DoubleUser),
            DoubleUser::Join if self.draft.is_by(name.as_deref()) => "joined_users",
            DoubleUser::Join | DoubleUser::Keep => "double_users_kept",
        };
        self.draft.hear_more(text, name, self.rules.double_user);
        self.notes.note(note, 1);
        Ok(())
    }

    /// Finishes after the last usable message; `users_left` user messages follow it.
    fn finish(mut self, users_left: u64) -> Result<(Vec<Turn>, Notes), Skip> {
        self.notes.note("turns_dropped", users_left + u64::from(self.ended_empty));
        if self.draft.is_after_last_calls() && users_left == 0 && !self.ended_empty {
            // The calls are the row's last answer.
            self.draft = Draft::default();
            self.turns.last_mut().into_iter().for_each(|turn| turn.ends_in_calls = true);
        } else if self.draft.waits_for_result() {
            self.abandon();
        }
        if !self.draft.has_user() && !self.turns.is_empty() {
            self.notes.note("last_system_dropped", self.draft.system_messages());
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

/// Joins an assistant's words to the call that follows them at once: servers take both as one message.
fn with_words_joined_to_calls(messages: Vec<SourceMessage>) -> Vec<SourceMessage> {
    let mut joined: Vec<SourceMessage> = Vec::with_capacity(messages.len());
    for message in messages {
        match joined.last_mut() {
            Some(last) if last.is_answer() && !last.is_tool_use() && message.has_calls() => last.append(message),
            _ => joined.push(message),
        }
    }
    joined
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
