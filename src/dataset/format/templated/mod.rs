//! Dialogues that are rendered with a chat template.

mod calls;
mod families;
mod mark;
mod marks;
mod search;
mod split;

use serde_json::Value;

use self::families::Family;
use self::mark::Kind;
use self::split::Part;
use super::{InputFormat, SourceContent, SourceMessage};
use crate::conversation::Columns;
use crate::dataset::role::SourceRole;
use crate::dataset::unread::Unread;

/// `{"text": "<|im_start|>user\n…<|im_end|>…"}`: a dialogue rendered with a template's markers. It must be named
/// explicitly, because a plain text may contain any of them.
///
/// The first marker tells the template. White space that the template writes is removed, and no other. What tools there
/// are goes to the column `tools`; calls are written as `<tool_call>{…}</tool_call>`.
pub struct Templated;

/// Names of tools' messages that only templates have.
const RESULTS: [&str; 8] = [
    "environment",
    "tools",
    "tool_result",
    "tool_results",
    "function_response",
    "function_result",
    "interpreter",
    "code",
];

/// Columns with a rendered dialogue, in the order in which they count.
const COLUMNS: [&str; 4] = ["text", "prompt", "instruction", "chat"];
/// Columns with the answer to a rendered prompt.
const ANSWERS: [&str; 4] = ["response", "completion", "output", "answer"];

fn column_of(row: &Columns) -> Option<&'static str> {
    COLUMNS.into_iter().find(|name| row.get(*name).is_some_and(Value::is_string))
}

impl InputFormat for Templated {
    fn name(&self) -> &'static str {
        "templated"
    }

    fn matches(&self, row: &Columns) -> bool {
        column_of(row).is_some()
    }

    fn take(&self, row: &mut Columns, _: &mut Unread) -> Result<Vec<SourceMessage>, String> {
        let column = column_of(row).unwrap_or("text");
        let Some(Value::String(text)) = row.shift_remove(column) else { return Err("`text` is not a text".to_owned()) };
        // A prompt is followed by its answer, which is no part of the rendered text.
        let answer =
            ANSWERS.iter().filter(|_| column != "text").find(|name| row.get(**name).is_some_and(Value::is_string));
        let answer = answer.and_then(|name| row.shift_remove(*name));
        let answer = answer.and_then(|answer| answer.as_str().map(|text| (SourceRole::Assistant, text.to_owned())));
        let mut messages: Vec<(SourceRole, String)> = Vec::new();
        let (parts, family) = split::split(&text)?;
        for part in parts {
            match part.opened_by {
                Some(Kind::Tools) if part.closed_by == Some(Kind::ToolsEnd) => define_tools(row, part.text)?,
                Some(Kind::Input) => match messages.last_mut() {
                    Some((SourceRole::User, asked)) => {
                        asked.push('\n');
                        asked.push_str(part.text);
                    }
                    _ => messages.push((SourceRole::User, part.text.to_owned())),
                },
                _ => read(&part, family.family, &mut messages)?,
            }
        }
        if messages.is_empty() {
            return Err("`text` has a marker but no message".to_owned());
        }
        if let Some(marker) = messages.iter().find_map(|(_, text)| family.marker_in(text)) {
            return Err(format!("`{marker}` is left in a message"));
        }
        check_words(&messages, family.family)?;
        messages.extend(answer);
        Ok(messages.into_iter().map(|(role, text)| message_of(role, text)).collect())
    }
}

/// Tokens of templates in the place of media.
const MEDIA: [&str; 9] = [
    "<|image|>",
    "<image>",
    "<|vision_start|>",
    "<|image_pad|>",
    "<start_of_image>",
    "[IMG]",
    "<|audio_bos|>",
    "<|audio|>",
    "<video>",
];

fn message_of(role: SourceRole, text: String) -> SourceMessage {
    let mut message = SourceMessage::text(role, text);
    if let SourceContent::Text(text) = &message.content
        && text.contains(['<', '['])
        && MEDIA.iter().any(|token| text.contains(token))
    {
        message.content = SourceContent::Media(text.clone());
    }
    message
}

/// Checks what a marker within a message would lead to: one speaker twice in a row where markers are words, code that is cut in
/// two, and results of tools within an answer.
fn check_words(messages: &[(SourceRole, String)], family: &Family) -> Result<(), String> {
    let speaks = |role: SourceRole| matches!(role, SourceRole::User | SourceRole::Assistant);
    for (at, (role, text)) in messages.iter().enumerate() {
        let is_last = at + 1 == messages.len();
        if !is_last && speaks(*role) && messages[at + 1].0 == *role && !family.needs_ends() {
            return Err("a marker seems to stand within a message: one speaker has two in a row".to_owned());
        }
        if !is_last && text.matches("```").count() % 2 == 1 {
            return Err("a marker stands within code".to_owned());
        }
        if let Some(token) = ["FUNCTION RESPONSE:", "<functioncall>"].iter().find(|token| text.contains(**token)) {
            return Err(format!("`{token}` is left in a message"));
        }
    }
    Ok(())
}

/// Reads a part as a message, or as the results of several calls.
fn read(part: &Part<'_>, family: &Family, messages: &mut Vec<(SourceRole, String)>) -> Result<(), String> {
    let mut role = role_of(part)?;
    let mut text = part.text.to_owned();
    match role {
        SourceRole::Assistant => {
            let is_called = family.has_bars() && part.closed_by == Some(Kind::Open(SourceRole::Tool));
            // DeepSeek says by the tag alone that there is no reasoning.
            let answer = text.strip_prefix("</think>").unwrap_or(&text);
            let call = if is_called { calls::named_call(answer) } else { None };
            text = call.map_or_else(|| calls::as_hermes(answer, family), Ok).map(calls::with_think_tags)?;
        }
        SourceRole::Tool if matches!(part.name, "function_call" | "tool_call") => {
            role = SourceRole::Assistant;
            text = format!("<tool_call>\n{text}\n</tool_call>");
        }
        SourceRole::Tool | SourceRole::User => {
            if let Some(results) = calls::responses(&text) {
                messages.extend(results.into_iter().map(|result| (SourceRole::Tool, result.to_owned())));
                return Ok(());
            }
            if role == SourceRole::Tool && family.is_paired() {
                text = calls::result(&text);
            }
        }
        SourceRole::System => {}
    }
    messages.push((role, text));
    Ok(())
}

fn role_of(part: &Part<'_>) -> Result<SourceRole, String> {
    match part.opened_by {
        None | Some(Kind::Instructions) => Ok(SourceRole::System),
        Some(Kind::Open(role)) => Ok(role),
        Some(Kind::Answer) => Ok(SourceRole::Assistant),
        Some(Kind::Tools) => Ok(SourceRole::Tool),
        Some(Kind::Named(_)) => {
            // InternLM names the tool beside the role.
            let (name, _) = part.name.split_once(" name=<|").unwrap_or((part.name, ""));
            // The answers of gpt-oss. What it thinks and calls is refused.
            let name = name.strip_suffix("<|channel|>final").unwrap_or(name);
            let known = SourceRole::from_name(name);
            let known = known.or_else(|| RESULTS.contains(&name.to_lowercase().as_str()).then_some(SourceRole::Tool));
            known.ok_or_else(|| format!("`text` has the unknown role `{name}`"))
        }
        Some(_) => Ok(SourceRole::User),
    }
}

/// Puts the definitions of tools beside the messages.
fn define_tools(row: &mut Columns, text: &str) -> Result<(), String> {
    let tools: Value = serde_json::from_str(text).map_err(|_| "the definitions of tools are no JSON".to_owned())?;
    if row.get("tools").is_none_or(Value::is_null) {
        row.insert("tools".to_owned(), tools);
    }
    Ok(())
}
