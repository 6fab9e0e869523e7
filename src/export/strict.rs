use std::sync::Arc;

use serde_json::Value;

use super::Unfit;
use crate::conversation::{Line, Message, Record, Role};

/// Returns a record's system message, and its lines in strict alternation: the user first, the assistant last. Some
/// trainers require this and otherwise mask the whole row silently (LLaMA-Factory) or abort (torchtune).
///
/// A later system message is put before the user's next message. Consecutive user messages are joined by an empty line, as
/// are consecutive assistant messages. The results of calls that were made at once become one, a JSON list of their texts.
/// A user message at the end is dropped.
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
    // Those of the calls that were made at once, which stand in one turn.
    let mut results: Vec<&str> = Vec::new();
    for line in lines {
        match line.role() {
            Role::System => asides.push(line.text()),
            Role::Assistant if turns.is_empty() => return Err(Unfit::AssistantFirst),
            // A call takes an assistant's turn, its result a user's turn. Neither can be joined with text.
            _ if line.message.is_tool_use() => {
                let speaks = |line: &Line| line.role() == Role::Assistant;
                let follows_result =
                    turns.last_mut().filter(|last| last.role() == Role::Tool && line.role() == Role::Tool);
                if let Some(last) = follows_result.filter(|_| asides.is_empty()) {
                    results.push(line.text());
                    last.message = Message::new(Role::Tool, Value::from(results.clone()).to_string());
                    continue;
                }
                if !asides.is_empty() || turns.last().is_none_or(|last| speaks(last) == speaks(line)) {
                    return Err(Unfit::ToolsOutOfTurn);
                }
                results = vec![line.text()];
                turns.push(line.clone());
            }
            role => {
                let asides = std::mem::take(&mut asides);
                if role == Role::Assistant
                    && let Some(user) = turns.last_mut()
                    && !asides.is_empty()
                {
                    // A system message between the user message and the answer is appended to the user message.
                    let fields = user.message.fields().cloned().unwrap_or_default();
                    let text = [&[user.text()], &asides[..]].concat().join("\n\n");
                    user.message = Message::with_fields(user.role(), text, fields);
                }
                let before = if role == Role::User { asides } else { Vec::new() };
                let text = before.into_iter().chain([line.text()]).collect::<Vec<_>>().join("\n\n");
                if turns.last().is_some_and(|last| last.role() == Role::Tool && role == Role::User) {
                    return Err(Unfit::ToolsOutOfTurn);
                }
                let fields = || line.message.fields().cloned().unwrap_or_default();
                match turns.last_mut().filter(|last| last.role() == role) {
                    Some(last) if last.message.is_tool_use() => return Err(Unfit::ToolsOutOfTurn),
                    Some(last) if last.message.name() == line.message.name() => {
                        last.message = Message::with_fields(role, format!("{}\n\n{text}", last.text()), fields());
                    }
                    // Different people speak in one turn: the text says who.
                    Some(last) => {
                        let text = line.message.name().map_or(text.clone(), |name| format!("{name}: {text}"));
                        let before = last.message.name().map(|name| format!("{name}: {}", last.text()));
                        let before = before.unwrap_or_else(|| last.text().to_owned());
                        last.message = Message::new(role, format!("{before}\n\n{text}"));
                    }
                    None => turns.push(Line { message: Message::with_fields(role, text, fields()), ..line.clone() }),
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
