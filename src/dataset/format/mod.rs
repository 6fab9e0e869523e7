//! The formats of rows. Each row's format is recognised separately, because mixed files are common.

mod alpaca;
mod alpaca_first;
mod alternate;
mod arena;
mod cohere;
mod content;
mod exchanges;
mod gemini;
mod hh;
mod leftover;
mod lmsys;
mod mapped;
mod mask;
mod message;
mod model_answer;
mod mtbench101;
mod multichallenge;
mod oasst;
mod openai;
mod preference;
mod sharegpt;
mod templated;
mod tools;
mod transcript;
mod turns;
mod ultrachat;

pub use hh::split_hh;
pub use mapped::{MappedFormat, ParseMappingError};
pub use mask::Mask;
pub use message::MessageFormat;
pub use tools::{are_linked, link_calls, read_written_calls, take_definitions};

use std::sync::LazyLock;

use serde_json::Value;

use super::role::SourceRole;
use super::unread::Unread;
use crate::conversation::Columns;

/// A format of rows.
pub trait InputFormat: Sync {
    /// Returns the format's name.
    fn name(&self) -> &'static str;

    /// True where the row is in this format. Checks only the columns that identify it.
    fn matches(&self, row: &Columns) -> bool;

    /// Takes the messages out of the row, which leaves the row's other columns. An id in a column that only this format has
    /// becomes the column `id`. What a message holds beside it goes to `unread`.
    fn take(&self, row: &mut Columns, unread: &mut Unread) -> Result<Vec<SourceMessage>, String>;

    /// True where the row would be in this format if its list of messages were not empty. Such a row is in this format only
    /// where no other format finds a conversation in it.
    fn matches_empty(&self, _row: &Columns) -> bool {
        false
    }

    /// Returns the columns whose list may be stored as text, as in CSV files and older Parquet files. They are parsed in every
    /// row, before its format is recognised.
    fn list_columns(&self) -> &'static [&'static str] {
        &[]
    }
}

/// The formats that are recognised automatically. The first match takes precedence.
pub const FORMATS: &[&dyn InputFormat] = &[
    &openai::OpenAiInput,
    &sharegpt::ShareGptInput,
    &lmsys::Lmsys,
    &gemini::Gemini,
    &exchanges::Exchanges::ALL,
    &mtbench101::MtBench101,
    &oasst::OasstTree,
    &hh::HhRlhf,
    &multichallenge::MultiChallenge,
    &cohere::Cohere,
    &arena::Arena,
    &preference::Preference { reads_whole_sides: true },
    &model_answer::ModelAnswer,
    &turns::Turns,
    &alpaca::Alpaca,
    &ultrachat::UltraChat,
];

/// The formats that version 0.1.0 recognised, as it read them.
pub const FORMATS_FIRST: &[&dyn InputFormat] = &[
    &openai::OpenAiInput,
    &sharegpt::ShareGptInput,
    &lmsys::Lmsys,
    &exchanges::Exchanges::FIRST,
    &mtbench101::MtBench101,
    &oasst::OasstTree,
    &hh::HhRlhf,
    &multichallenge::MultiChallenge,
    &preference::Preference { reads_whole_sides: false },
    &alpaca_first::AlpacaFirst,
    &turns::Turns,
    &ultrachat::UltraChat,
];

/// Formats that must be named explicitly with `--format`, because they cannot be recognised reliably.
pub const ON_REQUEST: &[&dyn InputFormat] = &[&templated::Templated, &alternate::Alternate];

/// The columns that any format declares as lists which may be stored as text.
pub static LIST_COLUMNS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let declared = FORMATS.iter().chain(ON_REQUEST).flat_map(|format| format.list_columns());
    let mut columns: Vec<&str> = declared.copied().collect();
    columns.sort_unstable();
    columns.dedup();
    columns
});

/// Returns the format with this name.
pub fn input_format_named(name: &str) -> Option<&'static dyn InputFormat> {
    FORMATS.iter().chain(ON_REQUEST).copied().find(|format| format.name() == name)
}

/// A message of a source row.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceMessage {
    /// The speaker.
    pub role: SourceRole,
    /// The content.
    pub content: SourceContent,
    /// Its tool calls, or the id of the call that it is the result of, in `OpenAI`'s fields.
    pub fields: Columns,
    /// Its reasoning.
    pub reasoning: Option<String>,
    /// Whether the message is trained on, if the row says so.
    pub mask: Option<Mask>,
    /// It begins a turn, also where no answer comes before it.
    pub is_turn: bool,
    /// The one result of several calls that were made at once, as in `ShareGPT` files.
    pub answers_all: bool,
    /// Its text has a call of a tool in a notation that is not read.
    pub says_call: bool,
}

impl SourceMessage {
    /// Creates a text message.
    pub fn text(role: SourceRole, text: String) -> Self {
        let content = SourceContent::Text(text);
        Self {
            role,
            content,
            fields: Columns::new(),
            reasoning: None,
            mask: None,
            is_turn: false,
            answers_all: false,
            says_call: false,
        }
    }

    /// True for tool calls and their results.
    pub fn is_tool_use(&self) -> bool {
        let is_call = self.has_calls() || self.says_call || self.content == SourceContent::UnreadableCall;
        self.role == SourceRole::Tool || is_call
    }

    /// True where tools are called.
    pub fn has_calls(&self) -> bool {
        self.fields.contains_key("tool_calls")
    }

    /// Returns the words; none where a call cannot be read.
    pub fn text_or_empty(&self) -> &str {
        match &self.content {
            SourceContent::Text(text) | SourceContent::Media(text) => text,
            SourceContent::UnreadableCall => "",
        }
    }

    /// True for what an assistant says.
    pub fn is_answer(&self) -> bool {
        self.role == SourceRole::Assistant
    }

    /// Returns the name of the speaker.
    pub fn name(&self) -> Option<&str> {
        self.fields.get("name").and_then(Value::as_str).filter(|_| self.role != SourceRole::Tool)
    }
}

fn system_message(text: String) -> SourceMessage {
    SourceMessage::text(SourceRole::System, text)
}

fn user_message(text: String) -> SourceMessage {
    SourceMessage::text(SourceRole::User, text)
}

fn assistant_message(text: String) -> SourceMessage {
    SourceMessage::text(SourceRole::Assistant, text)
}

/// Takes a column's list out of the row.
fn take_items(row: &mut Columns, column: &str) -> Result<Vec<Value>, String> {
    match row.shift_remove(column) {
        Some(Value::Array(items)) => Ok(items),
        _ => Err(format!("`{column}` is not a list")),
    }
}

/// Takes the text under `key`; `None` where it is missing or null.
fn take_text(item: &mut Value, key: &str) -> Result<Option<String>, String> {
    match item.get_mut(key).map(Value::take) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("a `{key}` is not a text")),
    }
}

/// The content of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceContent {
    /// Text.
    Text(String),
    /// A tool call that cannot be replayed.
    UnreadableCall,
    /// Text with an image, audio or video.
    Media(String),
}

/// True where `column` is a list of messages: its first item has a role under `key`.
fn is_message_list(row: &Columns, column: &str, key: &str) -> bool {
    let Some(Value::Array(items)) = row.get(column) else { return false };
    items.first().is_some_and(|first| first.get(key).is_some_and(Value::is_string))
}

/// True where `column` is a list whose first item has all `keys`.
fn is_list_of(row: &Columns, column: &str, keys: &[&str]) -> bool {
    let Some(Value::Array(items)) = row.get(column) else { return false };
    items.first().is_some_and(|first| keys.iter().all(|key| first.get(key).is_some()))
}
