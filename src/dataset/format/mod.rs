//! The shapes that rows come in. Each row is recognised on its own: mixed files are normal.

mod alpaca;
mod alternate;
mod exchanges;
mod hh;
mod lmsys;
mod mapped;
mod message;
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

pub use mapped::{MappedFormat, ParseMappingError};

use std::sync::LazyLock;

use serde_json::Value;

use super::role::SourceRole;
use crate::conversation::Columns;

/// A shape of rows.
pub trait InputFormat: Sync {
    /// The format's name.
    fn name(&self) -> &'static str;

    /// True where the row has this shape. Looks at no more than it must.
    fn matches(&self, row: &Columns) -> bool;

    /// Takes the messages out of the row; what is left are the row's other columns. Where the row's id is in a column of
    /// its own kind, that becomes the column `id`.
    fn take(&self, row: &mut Columns) -> Result<Vec<SourceMessage>, String>;

    /// Returns the columns whose list may be written as text, as CSV files and older Parquet files have it. They are parsed
    /// in every row, before its format is recognised.
    fn list_columns(&self) -> &'static [&'static str] {
        &[]
    }
}

/// Every format that is recognised by itself, the first match wins.
pub const FORMATS: &[&dyn InputFormat] = &[
    &openai::OpenAiInput,
    &sharegpt::ShareGptInput,
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
pub const ON_REQUEST: &[&dyn InputFormat] = &[&templated::Templated, &alternate::Alternate];

/// The columns that any format declares as lists which may be written as text.
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

/// A message as a row has it.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceMessage {
    /// Who speaks.
    pub role: SourceRole,
    /// The words.
    pub content: SourceContent,
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
        Self { role, content: SourceContent::Text(text), fields: Columns::new(), reasoning: None, is_trained: None }
    }

    /// True for a call to tools and for what came of one.
    pub fn is_tool_use(&self) -> bool {
        self.role == SourceRole::Tool || !self.fields.is_empty() || self.content == SourceContent::UnreadableCall
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
pub enum SourceContent {
    /// Text.
    Text(String),
    /// A call to a tool that cannot be said again.
    UnreadableCall,
    /// Text with an image, a sound, a film.
    Media(String),
}

/// True where `column` is a list whose first item has all `keys`.
fn is_list_of(row: &Columns, column: &str, keys: &[&str]) -> bool {
    let Some(Value::Array(items)) = row.get(column) else { return false };
    items.first().is_some_and(|first| keys.iter().all(|key| first.get(key).is_some()))
}
