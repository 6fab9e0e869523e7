use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

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
    /// Two user messages stand in a row, where that is not wanted.
    DoubleUser,
}

impl Skip {
    /// Returns the reason's code.
    pub fn name(self) -> &'static str {
        match self {
            Skip::NoUser => "no_user",
            Skip::EmptyUser => "empty_user",
            Skip::ToolUse => "tool_use",
            Skip::Multimodal => "multimodal",
            Skip::DoubleUser => "double_user",
        }
    }
}

/// How oddities of rows are met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// What the assistant says before the first user.
    pub greeting: Greeting,
    /// Two user messages in a row.
    pub double_user: DoubleUser,
    /// Calls to tools and their results.
    pub tools: Tools,
}

/// What becomes of a greeting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Greeting {
    /// It stays, as context that is not written anew.
    #[default]
    Keep,
    /// It goes.
    Drop,
}

/// What becomes of two user messages in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DoubleUser {
    /// They become one, joined by an empty line.
    #[default]
    Join,
    /// They stay two messages of one turn.
    Keep,
    /// The row is left out.
    Skip,
}

/// What becomes of a row in which tools are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tools {
    /// It is left out.
    #[default]
    Skip,
    /// It ends before the turn with the first call.
    KeepPrefix,
}

/// What was done to a row to make turns of it, with how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes(BTreeMap<&'static str, u64>);

impl Notes {
    /// Counts something that was done, or seen.
    fn note(&mut self, what: &'static str, count: u64) {
        if count > 0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// Adds what was done to another row.
    pub fn add(&mut self, other: &Notes) {
        other.counts().for_each(|(what, count)| self.note(what, count));
    }

    /// Returns what was done, with how often.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(what, count)| (*what, *count))
    }
}

/// Makes turns of a row's messages.
///
/// Old answers go; user turns and system messages stay in their places. An empty user turn ends the conversation
/// before it: what comes after has lost its meaning. The rest is as `rules` say.
pub fn normalise(messages: Vec<SourceMessage>, rules: Rules) -> Result<(Vec<Turn>, Notes), Skip> {
    let mut notes = Notes::default();
    let mut turns: Vec<Turn> = Vec::new();
    let mut draft = Draft::default();
    let mut ended_empty = false;
    let mut messages = messages.into_iter();
    for SourceMessage { role, content, .. } in messages.by_ref() {
        let text = match content {
            Content::Text(text) if role != SourceRole::Tool => text,
            Content::Text(_) | Content::ToolCall if rules.tools == Tools::KeepPrefix && !turns.is_empty() => {
                notes.note("turns_dropped", u64::from(draft.user.is_some()));
                draft = Draft::default();
                notes.note("cut_before_tools", 1);
                break;
            }
            Content::Text(_) | Content::ToolCall => return Err(Skip::ToolUse),
            Content::Media => return Err(Skip::Multimodal),
        };
        match role {
            SourceRole::Tool => return Err(Skip::ToolUse),
            SourceRole::System => draft.before.push(Message::new(Role::System, text)),
            SourceRole::Assistant if draft.user.is_some() => {
                turns.extend(draft.finish(Some(text).filter(|text| !text.is_empty())));
            }
            SourceRole::Assistant if turns.is_empty() => match rules.greeting {
                Greeting::Keep => {
                    notes.note("greeting_kept", 1);
                    draft.before.push(Message::new(Role::Assistant, text));
                }
                Greeting::Drop => notes.note("greeting_dropped", 1),
            },
            // A second answer in a row, or an answer to nothing but a system message: it goes as the others do.
            SourceRole::Assistant => {}
            SourceRole::User if text.trim().is_empty() => {
                turns.extend(draft.finish(None));
                ended_empty = true;
                break;
            }
            SourceRole::User => {
                notes.note("placeholder_seen", u64::from(has_placeholder(&text)));
                match (draft.user.is_some(), rules.double_user) {
                    (false, _) => draft.user = Some(text),
                    (true, DoubleUser::Skip) => return Err(Skip::DoubleUser),
                    (true, rule) => {
                        draft.hear_more(text, rule);
                        notes.note(if rule == DoubleUser::Join { "joined_users" } else { "double_users_kept" }, 1);
                    }
                }
            }
        }
    }
    let lost = messages.filter(|message| message.role == SourceRole::User).count() as u64;
    notes.note("turns_dropped", lost + u64::from(ended_empty));
    turns.extend(draft.finish(None));
    match turns.is_empty() {
        true if ended_empty => Err(Skip::EmptyUser),
        true => Err(Skip::NoUser),
        false => Ok((turns, notes)),
    }
}

/// True where a template's gap was not filled in: `{{name}}`, `[PLACEHOLDER]`.
fn has_placeholder(text: &str) -> bool {
    let gap =
        text.split_once("{{").is_some_and(|(_, rest)| rest.split_once("}}").is_some_and(|(name, _)| name.len() < 40));
    gap || text.contains("[PLACEHOLDER]")
}

/// A turn that is being put together.
#[derive(Default)]
struct Draft {
    before: Vec<Arc<Message>>,
    user: Option<String>,
}

impl Draft {
    /// Takes more words of a user who has spoken already.
    fn hear_more(&mut self, text: String, rule: DoubleUser) {
        let earlier = self.user.take().unwrap_or_default();
        if rule == DoubleUser::Join {
            self.user = Some(format!("{earlier}\n\n{text}"));
        } else {
            self.before.push(Message::new(Role::User, earlier));
            self.user = Some(text);
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
