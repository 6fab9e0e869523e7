use std::sync::Arc;

use super::Unfit;
use crate::conversation::{Line, Message, Record, Role};

/// Returns a record's system message, and its lines as user and assistant by turns, the user first, the assistant last:
/// what trainers demand that otherwise blank a row without a word (LLaMA-Factory) or stop (torchtune).
///
/// A system message further on is put before the user's next words, two users in a row are joined by an empty line, as
/// are two assistants; a user at the end goes.
pub fn alternating_turns(record: &Record) -> Result<(Option<Arc<Message>>, Vec<Line>), Unfit> {
    let mut lines = record.lines.as_slice();
    let mut system = None;
    if let Some((first, rest)) = lines.split_first()
        && first.role() == Role::System
    {
        (system, lines) = (Some(Arc::clone(&first.message)), rest);
    }
    let mut turns: Vec<Line> = Vec::new();
    let mut asides: Vec<&str> = Vec::new();
    for line in lines {
        match line.role() {
            Role::System => asides.push(line.text()),
            Role::Assistant if turns.is_empty() => return Err(Unfit::AssistantFirst),
            // A call stands where an answer does, its result where a user speaks; neither can be joined to anything.
            _ if line.message.is_tool_use() => {
                let speaks = |line: &Line| line.role() == Role::Assistant;
                if !asides.is_empty() || turns.last().is_none_or(|last| speaks(last) == speaks(line)) {
                    return Err(Unfit::ToolsOutOfTurn);
                }
                turns.push(line.clone());
            }
            role => {
                let asides = std::mem::take(&mut asides);
                if role == Role::Assistant
                    && let Some(user) = turns.last_mut()
                    && !asides.is_empty()
                {
                    // Said between the user's words and the answer: it stands behind the user's.
                    user.message = Message::new(user.role(), [&[user.text()], &asides[..]].concat().join("\n\n"));
                }
                let before = if role == Role::User { asides } else { Vec::new() };
                let text = before.into_iter().chain([line.text()]).collect::<Vec<_>>().join("\n\n");
                if turns.last().is_some_and(|last| last.role() == Role::Tool && role == Role::User) {
                    return Err(Unfit::ToolsOutOfTurn);
                }
                match turns.last_mut().filter(|last| last.role() == role) {
                    Some(last) if last.message.is_tool_use() => return Err(Unfit::ToolsOutOfTurn),
                    Some(last) => last.message = Message::new(role, format!("{}\n\n{text}", last.text())),
                    None => turns.push(Line { message: Message::new(role, text), ..line.clone() }),
                }
            }
        }
    }
    if !asides.is_empty() {
        return Err(Unfit::SystemLast);
    }
    while turns.last().is_some_and(|last| last.role() != Role::Assistant) {
        turns.pop();
    }
    if turns.is_empty() { Err(Unfit::NoAnswer) } else { Ok((system, turns)) }
}
