use serde_json::Value;

use super::format::{
    FORMATS, FORMATS_FIRST, InputFormat, LIST_COLUMNS, MappedFormat, SourceContent, SourceMessage, link_calls,
    read_written_calls, take_definitions,
};
use super::json::{parse_row, repeats_key};
use super::media::{has_media, has_placeholder, names_file, without_placeholders};
use super::meta::{flatten_meta, note_origin, row_id};
use super::normalise::normalise;
use super::notes::{Notes, Skip};
use super::python_literal::written_value;
use super::rules::{Media, Rules, SystemColumn, Tools};
use super::source_row::SourceRow;
use super::system_column::apply_system_column;
use super::unread::Unread;
use crate::conversation::{Columns, Seed};

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

/// Reads rows: recognises the format and normalises the messages.
#[derive(Clone, Debug, Default)]
pub struct RowReader {
    /// The format of all rows; `None` recognises each row's format separately.
    pub format: Option<ChosenFormat>,
    /// The rules for irregular rows.
    pub rules: Rules,
    /// The replaced answers are part of a seed's identity.
    pub counts_replaced: bool,
    /// The version of reading. Only the current one is complete.
    pub edition: Edition,
}

/// A version of reading. A row that two versions read differently is two conversations, and nothing that was answered for
/// the one serves the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Edition {
    /// As version 0.1.0 read rows. Used to find what was stored for them.
    First,
    /// The current one.
    #[default]
    Current,
}

/// A row's place in the input.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The file.
    pub file: &'a str,
    /// The line, from 1.
    pub line: u64,
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
    /// Reads one row that stands alone.
    pub fn read(&self, bytes: &[u8]) -> Reading {
        self.read_at(bytes, None)
    }

    /// Reads one row of a file. A row without an id notes in its other columns where it stands.
    pub fn read_at(&self, bytes: &[u8], origin: Option<Origin<'_>>) -> Reading {
        match self.source_at(bytes, origin, &mut Unread::default()) {
            Ok(row) => self.seed(row),
            Err(reason) => Reading::Invalid { reason },
        }
    }

    /// Normalises a row to a seed.
    pub fn seed(&self, row: SourceRow) -> Reading {
        let SourceRow { id, format, messages, tools, mut columns, has_media, notes: mut all_notes, .. } = row;
        let sends_tools = self.edition == Edition::Current && self.rules.tools != Tools::Hide;
        let (sent, kept) = if sends_tools { (tools, None) } else { (None, tools) };
        columns.extend(kept.map(|tools| ("tools".to_owned(), tools.to_value())));
        let is_defined = sent.as_ref().is_some_and(|tools| !tools.tools().is_empty());
        let lacks_tools = self.rules.tools == Tools::Regenerate && !is_defined;
        match if has_media && self.rules.media == Media::Skip {
            Err(Skip::Multimodal)
        } else if lacks_tools && messages.iter().any(SourceMessage::is_tool_use) {
            Err(Skip::UndefinedTools)
        } else {
            normalise(messages, &self.rules)
        } {
            Err(skip) => Reading::Skipped { id, format, skip },
            Ok((turns, notes)) => {
                all_notes.add(&notes);
                let mut seed = Seed {
                    id: id.unwrap_or_default(),
                    turns,
                    tools: sent,
                    columns: flatten_meta(columns, false),
                    counts_replaced: self.counts_replaced,
                    criteria: Vec::new(),
                };
                if seed.id.is_empty() {
                    seed.id = format!("{:016x}", seed.digest().prefix());
                }
                Reading::Ready { seed, format, notes: all_notes }
            }
        }
    }

    /// Reads one row without normalising it. Fails with the reason why it is not understood.
    pub fn source(&self, bytes: &[u8]) -> Result<SourceRow, String> {
        self.source_at(bytes, None, &mut Unread::default())
    }

    /// As [`RowReader::source`], for a row of a file; what no reader knows goes to `unread`.
    pub fn source_at(
        &self,
        bytes: &[u8],
        origin: Option<Origin<'_>>,
        unread: &mut Unread,
    ) -> Result<SourceRow, String> {
        let parsed = parse_row(bytes).map_err(|error| format!("not valid JSON: {error}"))?;
        if self.edition == Edition::Current && repeats_key(bytes, &parsed.value) {
            return Err("a key stands twice in one object, so one of its values would be lost".to_owned());
        }
        let mut notes = Notes::default();
        notes.note("not_a_number_read_as_null", parsed.not_numbers);
        let mut columns = match parsed.value {
            Value::Object(columns) => columns,
            // A line that is the conversation itself.
            Value::Array(messages) if messages.iter().all(Value::is_object) && self.edition == Edition::Current => {
                Columns::from_iter([("messages".to_owned(), Value::Array(messages))])
            }
            _ => return Err("the row is not a JSON object".to_owned()),
        };
        parse_list_columns(&mut columns);
        let format = self.format_of(&columns)?;
        let fields_before = unread.count;
        let messages = format.take(&mut columns, unread)?;
        notes.note("message_fields_not_read", u64::from(unread.count > fields_before));
        let id = row_id(&columns);
        if let (None, Some(origin)) = (&id, origin) {
            note_origin(&mut columns, origin.file, origin.line);
        }
        let tools = take_definitions(&mut columns);
        let mut row = SourceRow {
            id,
            format: format.name(),
            messages: link_calls(if self.edition == Edition::First { messages } else { read_written_calls(messages) }),
            tools,
            has_media: has_media(&columns),
            columns,
            notes,
        };
        self.finish(&mut row, unread);
        Ok(row)
    }

    fn finish(&self, row: &mut SourceRow, unread: &mut Unread) {
        if self.edition == Edition::First {
            row.read_as_first();
            return;
        }
        if self.rules.system_column == SystemColumn::Use {
            apply_system_column(&mut row.messages, &mut row.columns, &mut row.notes, unread);
        }
        row.has_media |= row.messages.iter().any(|message| matches!(message.content, SourceContent::Media(_)));
        if !row.has_media && names_file(&row.columns) {
            row.has_media = row.messages.iter().any(|message| has_placeholder(message.text_or_empty()));
        }
        if row.has_media && self.rules.media == Media::Drop {
            row.messages.iter_mut().for_each(drop_placeholders);
        }
    }

    fn format_of(&self, columns: &Columns) -> Result<&dyn InputFormat, String> {
        if let Some(chosen) = &self.format {
            return Some(chosen.format()).filter(|format| format.matches(columns)).ok_or_else(|| {
                format!("the row is not in the format {chosen:?}; its columns are {}", column_names(columns))
            });
        }
        let known = if self.edition == Edition::First { FORMATS_FIRST } else { FORMATS };
        let find = |fits: &dyn Fn(&dyn InputFormat) -> bool| known.iter().copied().find(|format| fits(*format));
        let format = find(&|format| format.matches(columns)).or_else(|| find(&|format| format.matches_empty(columns)));
        format.ok_or_else(|| unknown_format(columns))
    }
}

fn drop_placeholders(message: &mut SourceMessage) {
    if let SourceContent::Text(text) | SourceContent::Media(text) = &mut message.content
        && let Some(without) = without_placeholders(text)
    {
        *text = without;
    }
}

/// Columns that hold a text or a list of messages. A list that is written as text is one only where its items have roles.
const TEXTS_OR_MESSAGES: [&str; 4] = ["prompt", "chosen", "rejected", "completion"];

/// Parses lists that are stored as text, as JSON or as Python writes them.
fn parse_list_columns(columns: &mut Columns) {
    for (name, value) in columns.iter_mut() {
        let Value::String(text) = value else { continue };
        let may_be_text = TEXTS_OR_MESSAGES.contains(&name.as_str());
        if !text.trim_start().starts_with(['[', 'a']) || !(may_be_text || LIST_COLUMNS.contains(&name.as_str())) {
            continue;
        }
        // `array([…], dtype=object)`, as numpy writes it.
        if text.trim_start().starts_with('a') && !text.trim_start().starts_with("array(") {
            continue;
        }
        let parsed = written_value(text);
        let Some(Value::Array(items)) = parsed else { continue };
        let has_role = |item: &Value| item.get("role").or(item.get("from")).is_some_and(Value::is_string);
        if !may_be_text || items.first().is_some_and(has_role) {
            *value = Value::Array(items);
        }
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
