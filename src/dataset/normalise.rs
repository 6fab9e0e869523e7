use super::draft::Draft;
use super::format::{Content, SourceMessage};
use super::notes::Notes;
use super::role::SourceRole;
use super::rules::{DoubleUser, EmptyUser, Greeting, Media, MiddleSystem, Placeholders, Rules, Tools};
use crate::conversation::{Message, Role, Turn};

/// Makes turns of a row's messages.
///
/// Old answers go; user turns and system messages stay in their places. The rest is as `rules` say.
pub fn normalise(messages: Vec<SourceMessage>, rules: &Rules) -> Result<(Vec<Turn>, Notes), Skip> {
    let mut notes = Notes::default();
    let mut turns: Vec<Turn> = Vec::new();
    let mut draft = Draft::default();
    let mut ended_empty = false;
    let mut messages = messages.into_iter();
    for message in messages.by_ref() {
        if message.is_tool_use() {
            match rules.tools {
                Tools::Replay if draft.replay(&message) => {
                    notes.note("tool_messages_replayed", 1);
                    continue;
                }
                Tools::KeepPrefix | Tools::Replay if !turns.is_empty() => {
                    draft.abandon(&mut notes);
                    break;
                }
                _ => return Err(Skip::ToolUse),
            }
        }
        let role = message.role;
        let text = match message.content {
            Content::Text(text) => text,
            Content::Media(text) if rules.media == Media::Drop => {
                notes.note("media_dropped", 1);
                text
            }
            Content::Media(_) => return Err(Skip::Multimodal),
            Content::UnreadableCall => return Err(Skip::ToolUse),
        };
        let text = match role {
            SourceRole::User | SourceRole::System => fill(text, rules, &mut notes)?,
            SourceRole::Assistant | SourceRole::Tool => text,
        };
        match role {
            SourceRole::System => match rules.middle_system {
                how if how == MiddleSystem::Keep || (turns.is_empty() && !draft.has_user()) => {
                    // Heard behind the user's words it stands before them: the last word is the user's.
                    draft.messages.push(Message::new(Role::System, text));
                }
                MiddleSystem::Fold => {
                    notes.note("system_folded", 1);
                    draft.fold(text);
                }
                MiddleSystem::Drop | MiddleSystem::Keep => notes.note("system_dropped", 1),
            },
            SourceRole::Assistant if draft.waits_for_result() => {
                draft.abandon(&mut notes);
                break;
            }
            SourceRole::Assistant if draft.has_user() => {
                turns.extend(draft.finish(Some(text).filter(|text| !text.is_empty())));
            }
            SourceRole::Assistant if turns.is_empty() => match rules.greeting {
                Greeting::Keep => {
                    notes.note("greeting_kept", 1);
                    draft.messages.push(Message::new(Role::Assistant, text));
                }
                Greeting::Drop => notes.note("greeting_dropped", 1),
            },
            // A second answer in a row, or an answer to nothing but a system message: it goes as the others do.
            SourceRole::Assistant | SourceRole::Tool => {}
            SourceRole::User if text.trim().is_empty() => {
                if rules.empty_user == EmptyUser::Skip {
                    return Err(Skip::EmptyUser);
                }
                ended_empty = true;
                break;
            }
            SourceRole::User if draft.waits_for_result() => {
                notes.note("turns_dropped", 1);
                draft.abandon(&mut notes);
                break;
            }
            // The source went on without words after a tool's result; here the answer is written.
            SourceRole::User if draft.has_called => {
                turns.extend(draft.finish(None));
                draft.user = Some(text);
            }
            SourceRole::User => match (draft.has_user(), rules.double_user) {
                (false, _) => draft.begin(text),
                (true, DoubleUser::Skip) => return Err(Skip::DoubleUser),
                (true, how) => {
                    draft.hear_more(text, how);
                    notes.note(if how == DoubleUser::Join { "joined_users" } else { "double_users_kept" }, 1);
                }
            },
        }
    }
    let lost = messages.filter(|message| message.role == SourceRole::User).count() as u64;
    notes.note("turns_dropped", lost + u64::from(ended_empty));
    if draft.waits_for_result() {
        draft.abandon(&mut notes);
    }
    let was_tool_use = draft.was_abandoned;
    turns.extend(draft.finish(None));
    match turns.is_empty() {
        true if ended_empty => Err(Skip::EmptyUser),
        true if was_tool_use => Err(Skip::ToolUse),
        true => Err(Skip::NoUser),
        false => Ok((turns, notes)),
    }
}

/// Fills the gaps that there are words for, and meets the others as the rules say.
fn fill(text: String, rules: &Rules, notes: &mut Notes) -> Result<String, Skip> {
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

/// True where a template's gap was not filled in: `{{name}}`, `[PLACEHOLDER]`.
fn has_placeholder(text: &str) -> bool {
    let find = |what: &str, text: &str| memchr::memmem::find(text.as_bytes(), what.as_bytes());
    let gap = find("{{", text).and_then(|start| find("}}", &text[start..])).is_some_and(|length| length < 40);
    gap || find("[PLACEHOLDER]", text).is_some()
}

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
    /// A gap of a template was not filled in, where that is not wanted.
    Placeholder,
    /// An earlier row's users say the same, where that is not wanted.
    Duplicate,
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
            Skip::Placeholder => "placeholder",
            Skip::Duplicate => "duplicate",
        }
    }
}
