use serde_json::Value;

use super::format::{FORMATS, InputFormat, LIST_COLUMNS, MappedFormat, SourceContent, SourceMessage};
use super::normalise::normalise;
use super::notes::{Notes, Skip};
use super::preference;
use super::role::SourceRole;
use super::rules::{Media, Rules};
use crate::conversation::{Columns, Digest, Line, Message, Record, Role, Seed, split_reasoning};

/// The result of reading a row.
#[derive(Debug)]
pub enum Reading {
    /// A conversation.
    Ready {
        /// The conversation.
        seed: Seed,
        /// The name of the row's format.
        format: &'static str,
        /// The changes that were made to it.
        notes: Notes,
    },
    /// A valid row with nothing to distil.
    Skipped {
        /// The row's id, if it has one.
        id: Option<String>,
        /// The name of the row's format.
        format: &'static str,
        /// The reason.
        skip: Skip,
    },
    /// A row that is not understood.
    Invalid {
        /// The reason, in words.
        reason: String,
    },
}

/// Columns with a row's id. The first one that exists takes precedence.
const ID_COLUMNS: [&str; 6] = ["id", "conversation_id", "question_id", "conversation_hash", "uuid", "message_tree_id"];

/// Columns with media files that the messages refer to.
const MEDIA_COLUMNS: [&str; 5] = ["images", "image", "videos", "audios", "audio"];

/// Reads rows: recognises the format and normalises the messages.
#[derive(Clone, Debug, Default)]
pub struct RowReader {
    /// The format of all rows; `None` recognises each row's format separately.
    pub format: Option<ChosenFormat>,
    /// The rules for irregular rows.
    pub rules: Rules,
    /// The replaced answers are part of a seed's identity.
    pub counts_replaced: bool,
}

/// A format that was chosen explicitly.
#[derive(Clone)]
pub enum ChosenFormat {
    /// A known format, chosen by name.
    Named(&'static dyn InputFormat),
    /// A format that the user described.
    Mapped(MappedFormat),
}

impl std::fmt::Debug for ChosenFormat {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ChosenFormat::Named(format) => formatter.write_str(format.name()),
            ChosenFormat::Mapped(mapped) => mapped.fmt(formatter),
        }
    }
}

impl ChosenFormat {
    fn format(&self) -> &dyn InputFormat {
        match self {
            ChosenFormat::Named(format) => *format,
            ChosenFormat::Mapped(mapped) => mapped,
        }
    }
}

impl RowReader {
    /// Reads one row.
    pub fn read(&self, bytes: &[u8]) -> Reading {
        match self.source(bytes) {
            Ok(row) => self.seed(row),
            Err(reason) => Reading::Invalid { reason },
        }
    }

    /// Normalises a row to a seed.
    pub fn seed(&self, row: SourceRow) -> Reading {
        let SourceRow { id, format, messages, columns } = row;
        match if has_media(&columns) && self.rules.media == Media::Skip {
            Err(Skip::Multimodal)
        } else {
            normalise(messages, &self.rules)
        } {
            Err(skip) => Reading::Skipped { id, format, skip },
            Ok((turns, notes)) => {
                let columns = flatten_meta(columns, false);
                let mut seed = Seed {
                    id: id.unwrap_or_default(),
                    turns,
                    columns,
                    counts_replaced: self.counts_replaced,
                    criteria: Vec::new(),
                };
                if seed.id.is_empty() {
                    seed.id = format!("{:016x}", seed.digest().prefix());
                }
                Reading::Ready { seed, format, notes }
            }
        }
    }

    /// Reads one row without normalising it. Fails with the reason why it is not understood.
    pub fn source(&self, bytes: &[u8]) -> Result<SourceRow, String> {
        let mut columns = match serde_json::from_slice(bytes) {
            Ok(Value::Object(columns)) => columns,
            Ok(_) => return Err("the row is not a JSON object".to_owned()),
            Err(error) => return Err(format!("not valid JSON: {error}")),
        };
        for name in LIST_COLUMNS.iter() {
            parse_list_column(&mut columns, name);
        }
        let format: Option<&dyn InputFormat> = match &self.format {
            Some(chosen) => Some(chosen.format()).filter(|format| format.matches(&columns)),
            None => FORMATS.iter().copied().find(|format| format.matches(&columns)),
        };
        let format = format.ok_or_else(|| match &self.format {
            Some(chosen) => {
                format!("the row is not in the format {chosen:?}; its columns are {}", column_names(&columns))
            }
            None => unknown_format(&columns),
        })?;
        let messages = format.take(&mut columns)?;
        let id = ID_COLUMNS.iter().find_map(|name| columns.get(*name)).and_then(id_text);
        Ok(SourceRow { id, format: format.name(), messages, columns })
    }
}

/// A row as read, before normalisation.
#[derive(Clone, Debug)]
pub struct SourceRow {
    /// The row's id, if it has one.
    pub id: Option<String>,
    /// The name of its format.
    pub format: &'static str,
    /// Its messages.
    pub messages: Vec<SourceMessage>,
    /// Its other columns.
    pub columns: Columns,
}

impl SourceRow {
    /// Converts the row to a record without normalisation: no message is joined or dropped. Fails with a code where the row
    /// contains something other than text, reasoning and tool calls.
    pub fn into_record(self) -> Result<Record, Skip> {
        if has_media(&self.columns) {
            return Err(Skip::Multimodal);
        }
        let mut lines: Vec<Line> = Vec::new();
        for SourceMessage { role, content, fields, reasoning, is_trained } in self.messages {
            let text = match content {
                SourceContent::Text(text) => text,
                SourceContent::UnreadableCall => return Err(Skip::ToolUse),
                SourceContent::Media(_) => return Err(Skip::Multimodal),
            };
            let role = match role {
                SourceRole::System => Role::System,
                SourceRole::User => Role::User,
                SourceRole::Assistant => Role::Assistant,
                SourceRole::Tool => Role::Tool,
            };
            // Other tags may be a format that the dataset is meant to teach.
            let may_think = role == Role::Assistant && reasoning.is_none() && text.contains("</think>");
            let split = if may_think { split_reasoning(&text) } else { None };
            let (reasoning, text) = match split.filter(|split| split.is_closed) {
                Some(split) => (Some(split.reasoning), split.text),
                None => (reasoning, text),
            };
            // Assistant messages before the first user message are context.
            let answers = lines.iter().any(|line| line.role() == Role::User);
            let is_trained = role == Role::Assistant && is_trained.unwrap_or(answers);
            lines.push(Line { message: Message::with_fields(role, text, fields), reasoning, is_trained });
        }
        let meta = flatten_meta(self.columns, true);
        if lines.last().is_some_and(|last| last.role() == Role::User) {
            lines.extend(preference::chosen(&meta));
        }
        let answered = lines.last().is_some_and(|last| last.role() == Role::Assistant);
        let (rejected, label) = (preference::rejected(&meta).filter(|_| answered), preference::label(&meta));
        let digest = || lines.iter().fold(Digest::ZERO, |digest, line| digest.then(line.message.digest()));
        let id = self.id.unwrap_or_else(|| format!("{:016x}", digest().prefix()));
        Ok(Record { id, lines, meta, rejected, label, turn: None })
    }
}

fn has_media(columns: &Columns) -> bool {
    MEDIA_COLUMNS.iter().any(|name| matches!(columns.get(*name), Some(Value::Array(items)) if !items.is_empty()))
}

/// Parses a list that is stored as text.
fn parse_list_column(columns: &mut Columns, name: &str) {
    if let Some(Value::String(text)) = columns.get(name)
        && text.trim_start().starts_with('[')
        && let Ok(list @ Value::Array(_)) = serde_json::from_str(text)
    {
        columns.insert(name.to_owned(), list);
    }
}

/// Removes `id` and merges the fields of a `meta` column, as this program writes it, into the columns. Its `turns` describe
/// the old answers, so they are dropped where the answers are regenerated.
fn flatten_meta(mut columns: Columns, keeps_answers: bool) -> Columns {
    columns.shift_remove("id");
    if let Some(Value::String(text)) = columns.get("meta")
        && let Ok(meta @ Value::Object(_)) = serde_json::from_str(text)
    {
        // Tables store it as text.
        columns.insert("meta".to_owned(), meta);
    }
    if let Some(Value::Object(_)) = columns.get("meta")
        && let Some(Value::Object(meta)) = columns.shift_remove("meta")
    {
        for (name, value) in meta.into_iter().filter(|(name, _)| keeps_answers || name != "turns") {
            match columns.get(&name) {
                Some(other) if *other != value => columns.insert(format!("meta_{name}"), value),
                _ => columns.insert(name, value),
            };
        }
    }
    columns
}

fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn unknown_format(columns: &Columns) -> String {
    format!("no known format has the columns {}; --map names the list and its keys", column_names(columns))
}

fn column_names(columns: &Columns) -> String {
    const NAMES_MAX: usize = 8;
    columns.keys().take(NAMES_MAX).map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::array::Elements;
    use super::super::format::ON_REQUEST;
    use super::super::lines::Lines;
    use super::super::row::RowSource;
    use super::*;

    /// Arbitrary JSON values whose keys include the names that formats look for.
    fn values() -> impl Strategy<Value = Value> {
        let names = [
            "messages",
            "conversations",
            "conversation",
            "turns",
            "role",
            "content",
            "from",
            "value",
            "id",
            "meta",
            "type",
            "text",
            "history",
            "data",
            "prompt",
            "replies",
            "chosen",
            "human",
            "user",
            "bot",
        ];
        let words = [
            "user",
            "assistant",
            "human",
            "gpt",
            "system",
            "tool",
            "x",
            "",
            "你好 \u{1f642}",
            "}],[{\"\\",
            "\n\nHuman: a\n\nAssistant:b",
            "<|im_start|>user a<|im_end|>",
            "[[\"a\"]]",
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            prop::sample::select(words.to_vec()).prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, move |inner| {
            let key = prop::sample::select(names.to_vec()).prop_map(str::to_owned);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((key, inner), 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    fn rows(mut source: impl RowSource) -> Vec<Vec<u8>> {
        let mut rows = Vec::new();
        while let Some(row) = source.next().unwrap() {
            rows.push(row.map(|row| row.bytes.to_vec()).unwrap_or_default());
            assert!(rows.len() < 10_000, "the source does not end");
        }
        rows
    }

    proptest! {
        #[test]
        fn no_row_makes_a_reader_panic(value in values(), cut in any::<prop::sample::Index>(), junk in prop::collection::vec(any::<u8>(), 0..80)) {
            let text = value.to_string();
            for format in FORMATS.iter().chain(ON_REQUEST) {
                let _ = RowReader { format: Some(ChosenFormat::Named(*format)), ..RowReader::default() }.read(text.as_bytes());
            }
            let mapped = ChosenFormat::Mapped("role=from,content=value".parse().unwrap());
            let _ = RowReader { format: Some(mapped), ..RowReader::default() }.read(text.as_bytes());
            let _ = RowReader::default().read(text.as_bytes());
            let _ = RowReader::default().read(&text.as_bytes()[..cut.index(text.len() + 1)]);
            let _ = RowReader::default().read(&junk);
        }

        #[test]
        fn an_array_and_its_lines_hold_the_same_rows(values in prop::collection::vec(values(), 0..8), pretty in any::<bool>()) {
            let lines = values.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
            let array = json!(values);
            let array = if pretty { format!("{array:#}") } else { array.to_string() };
            let parse = |rows: Vec<Vec<u8>>| rows.iter().map(|row| serde_json::from_slice(row).unwrap()).collect::<Vec<Value>>();
            prop_assert_eq!(parse(rows(Lines::new(lines.as_bytes()))), values.clone());
            prop_assert_eq!(parse(rows(Elements::new(array.as_bytes()))), values);
        }

        #[test]
        fn splitters_end_on_arbitrary_bytes(bytes in prop::collection::vec(prop::sample::select(b"[]{},:\"\\ \nab1".to_vec()), 0..60)) {
            rows(Elements::new(&bytes[..]));
            rows(Lines::new(&bytes[..]));
        }
    }
}
