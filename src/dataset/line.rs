use super::format::{Mask, SourceContent, SourceMessage};
use super::notes::Skip;
use super::role::SourceRole;
use crate::conversation::{Line, Message, Role, split_reasoning};

/// Converts a message; `answers` says that a user has spoken before it.
pub fn line_of(message: SourceMessage, answers: bool) -> Result<Line, Skip> {
    let SourceMessage { role, content, fields, reasoning, mask, .. } = message;
    let text = match content {
        SourceContent::Text(text) | SourceContent::Media(text) => text,
        SourceContent::UnreadableCall => return Err(Skip::ToolUse),
    };
    let role = match role {
        SourceRole::System => Role::System,
        SourceRole::User => Role::User,
        SourceRole::Assistant => Role::Assistant,
        SourceRole::Tool => Role::Tool,
    };
    // Other tags, and tags within the text, may be what the dataset is meant to teach.
    let may_think = role == Role::Assistant && (text.contains("</think>") || text.starts_with("<|begin_of_thought|>"));
    let split = if may_think { split_reasoning(&text) } else { None };
    let (reasoning, text) = match split.filter(|split| split.is_closed) {
        // A row may have the reasoning twice.
        Some(split) => match reasoning {
            Some(other) if other.trim() != split.reasoning.trim() => {
                (Some(format!("{other}\n\n{}", split.reasoning)), split.text)
            }
            _ => (Some(split.reasoning), split.text),
        },
        None => (reasoning, text),
    };
    // Assistant messages before the first user message are context.
    let is_trained = match mask {
        // No format can say that what others than the assistant say is trained on.
        Some(Mask::Trained) if role != Role::Assistant => return Err(Skip::PartialMask),
        Some(Mask::Partial) if role == Role::Assistant => return Err(Skip::PartialMask),
        Some(mask) => mask == Mask::Trained,
        None => role == Role::Assistant && answers,
    };
    Ok(Line { reasoning, is_trained, ..Line::context(Message::with_fields(role, text, fields)) })
}
