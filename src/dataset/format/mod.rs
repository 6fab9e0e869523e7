//! The shapes that rows come in. Each row is recognised on its own: mixed files are normal.

mod alpaca;
mod alternate;
mod exchanges;
mod hh;
mod lmsys;
mod mapped;
mod mtbench101;
mod multichallenge;
mod oasst;
mod openai;
mod preference;
mod sharegpt;
mod templated;
mod tools;
mod turns;
mod ultrachat;

pub use mapped::{Mapped, ParseMappingError};

use serde_json::Value;

use super::role::SourceRole;
use crate::conversation::Columns;

/// A shape of rows.
pub trait Format: Sync {
    /// The format's name.
    fn name(&self) -> &'static str;

    /// True where the row has this shape. Looks at no more than it must.
    fn matches(&self, row: &Columns) -> bool;

    /// Takes the messages out of the row; what is left are the row's other columns.
    fn take(&self, row: &mut Columns) -> Result<Vec<SourceMessage>, String>;
}

/// Every format that is recognised by itself, the first match wins.
pub const FORMATS: &[&dyn Format] = &[
    &openai::OpenAi,
    &sharegpt::ShareGpt,
    &lmsys::Lmsys,
    &exchanges::Exchanges,
    &mtbench101::MtBench101,
    &oasst::OasstTree,
    &hh::HhRlhf,
    &multichallenge::MultiChallenge,
    &preference::Preference,
    &alpaca::Alpaca,
    &turns::Turns,
    &ultrachat::UltraChat,
];

/// Formats that only `--format` chooses, because their signs are too weak.
pub const ON_REQUEST: &[&dyn Format] = &[&templated::Templated, &alternate::Alternate];

/// Returns the format with this name.
pub fn named(name: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().chain(ON_REQUEST).copied().find(|format| format.name() == name)
}

/// A message as a row has it.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceMessage {
    /// Who speaks.
    pub role: SourceRole,
    /// The words.
    pub content: Content,
    /// Calls to tools beside them, or which call they are the result of, in `OpenAI`'s fields.
    pub fields: Columns,
    /// The chain of thought beside them.
    pub reasoning: Option<String>,
    /// Whether the row says that these words are to be learned.
    pub is_trained: Option<bool>,
}

impl SourceMessage {
    /// A message of words.
    pub fn text(role: SourceRole, text: String) -> Self {
        Self { role, content: Content::Text(text), fields: Columns::new(), reasoning: None, is_trained: None }
    }

    /// True for a call to tools and for what came of one.
    pub fn is_tool_use(&self) -> bool {
        self.role == SourceRole::Tool || !self.fields.is_empty() || self.content == Content::UnreadableCall
    }
}

fn system(text: String) -> SourceMessage {
    SourceMessage::text(SourceRole::System, text)
}

fn user(text: String) -> SourceMessage {
    SourceMessage::text(SourceRole::User, text)
}

fn assistant(text: String) -> SourceMessage {
    SourceMessage::text(SourceRole::Assistant, text)
}

/// Takes the text under `key`; nothing where it is missing or null.
fn take_text(item: &mut Value, key: &str) -> Result<Option<String>, String> {
    match item.get_mut(key).map(Value::take) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("a `{key}` is no text")),
    }
}

/// A message's words, or why there are none to use.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Text.
    Text(String),
    /// A call to a tool that cannot be said again.
    UnreadableCall,
    /// Text with an image, a sound, a film.
    Media(String),
}

/// Reads the messages of a list of objects whose role and content stand under these names.
fn take_list(row: &mut Columns, column: &str, role_key: &str, content_key: &str) -> Result<Vec<SourceMessage>, String> {
    let Some(Value::Array(items)) = row.shift_remove(column) else {
        return Err(format!("`{column}` is no list"));
    };
    let read = |(index, item)| read_message(index, item, role_key, content_key);
    let mut messages = items.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
    tools::name_calls(&mut messages);
    Ok(messages)
}

fn read_message(index: usize, mut item: Value, role_key: &str, content_key: &str) -> Result<SourceMessage, String> {
    let place = index + 1;
    let name = item[role_key].as_str().ok_or_else(|| format!("message {place} has no `{role_key}`"))?;
    let role = SourceRole::from_name(name).ok_or_else(|| format!("message {place} has the unknown role `{name}`"))?;
    let is_call = tools::is_call_role(name);
    let role = if is_call { SourceRole::Assistant } else { role };
    let mut fields = tools::fields(&mut item, role);
    let content = match item.get_mut(content_key).map(Value::take).unwrap_or_default() {
        Value::String(text) if is_call => match tools::written_calls(&text) {
            Some(calls) => {
                fields.insert("tool_calls".to_owned(), calls);
                Content::Text(String::new())
            }
            None => Content::UnreadableCall,
        },
        _ if !tools::are_sound(&fields) => Content::UnreadableCall,
        Value::String(text) => Content::Text(text),
        Value::Null => Content::Text(String::new()),
        Value::Array(parts) => read_parts(&parts).map_err(|reason| format!("message {place} {reason}"))?,
        _ => return Err(format!("message {place} has a `{content_key}` that is neither text nor a list of parts")),
    };
    let reasoning = REASONING.iter().find_map(|key| item[*key].as_str()).map(str::to_owned);
    let is_trained = TRAINED.iter().find_map(|key| match &item[*key] {
        Value::Bool(flag) => Some(*flag),
        Value::Number(weight) => weight.as_f64().map(|weight| weight > 0.0),
        _ => None,
    });
    Ok(SourceMessage { role, content, fields, reasoning, is_trained })
}

/// Keys under which a message's thoughts stand.
const REASONING: [&str; 3] = ["reasoning_content", "reasoning", "thinking"];
/// Keys that say whether a message is to be learned: axolotl's, ms-swift's, `OpenAI`'s, LLaMA-Factory's.
const TRAINED: [&str; 4] = ["train", "loss", "weight", "loss_weight"];

/// Joins the text of content parts. A thought is no part of the answer; anything that is no text is media.
fn read_parts(parts: &[Value]) -> Result<Content, String> {
    let mut text = String::new();
    let mut has_media = false;
    for part in parts {
        let words = ["text", "value", "content"].iter().find_map(|name| part[*name].as_str()).or(part.as_str());
        match part["type"].as_str().unwrap_or("text") {
            "text" | "input_text" | "output_text" => {
                text.push_str(words.ok_or_else(|| "has a text part without text".to_owned())?);
            }
            "reasoning" | "thinking" => {}
            "tool_call" | "tool_use" | "tool_result" => return Ok(Content::UnreadableCall),
            _ => has_media = true,
        }
    }
    Ok(if has_media { Content::Media(text) } else { Content::Text(text) })
}

/// True where `column` is a list whose first item has all `keys`.
fn is_list_of(row: &Columns, column: &str, keys: &[&str]) -> bool {
    let Some(Value::Array(items)) = row.get(column) else { return false };
    items.first().is_some_and(|first| keys.iter().all(|key| first.get(key).is_some()))
}
