use serde_json::{Map, Value};

use super::{
    InputFormat, Mask, SourceContent, SourceMessage, assistant_message, system_message, take_items, take_text,
    user_message,
};
use crate::conversation::Columns;
use crate::dataset::media::is_media;
use crate::dataset::unread::{Unread, has_words};

/// `{"conversation": [{"human", "assistant"}]}` or `[{"input", "output"}]` and the like: one object per exchange, as in
/// files for Firefly, ms-swift and `XTuner`. The first may have a `system` field.
pub struct Exchanges {
    /// How many of the known pairs of keys are read.
    pub pairs: usize,
}

/// The column of the list, in the order in which they count.
const COLUMNS: [&str; 6] = ["conversation", "conversations", "dialog", "dialogue", "turns", "messages"];
/// Pairs of keys: the user's and the assistant's.
const KEYS: [[&str; 2]; 14] = [
    ["human", "assistant"],
    ["input", "output"],
    ["question", "answer"],
    ["user", "assistant"],
    ["user", "bot"],
    ["human", "bot"],
    ["human", "gpt"],
    ["prompt", "response"],
    ["prompt", "completion"],
    ["query", "response"],
    ["instruction", "output"],
    ["instruction", "response"],
    ["question", "response"],
    ["q", "a"],
];

impl Exchanges {
    /// Reads every known pair.
    pub const ALL: Self = Self { pairs: KEYS.len() };
    /// Reads the pairs that version 0.1.0 knew, in the columns that it knew.
    pub const FIRST: Self = Self { pairs: 2 };

    /// Returns the column with a list of exchanges.
    fn column(&self, row: &Columns) -> Option<&'static str> {
        let columns = if self.pairs == KEYS.len() { &COLUMNS[..] } else { &COLUMNS[..2] };
        let is_exchanges = |column: &&&str| {
            let first = row.get(**column).and_then(Value::as_array).and_then(|items| items.first());
            first.and_then(Value::as_object).is_some_and(|first| keys_of(first, self.pairs).is_some())
        };
        columns.iter().find(is_exchanges).copied()
    }
}

impl InputFormat for Exchanges {
    fn name(&self) -> &'static str {
        "exchanges"
    }

    fn matches(&self, row: &Columns) -> bool {
        self.column(row).is_some()
    }

    fn take(&self, row: &mut Columns, unread: &mut Unread) -> Result<Vec<SourceMessage>, String> {
        let column = self.column(row).ok_or_else(|| "there is no list of exchanges".to_owned())?;
        read_exchanges(take_items(row, column)?, column, unread)
    }

    fn list_columns(&self) -> &'static [&'static str] {
        &COLUMNS
    }
}

/// True for an object with both sides of an exchange.
pub fn is_exchange(fields: &Map<String, Value>) -> bool {
    keys_of(fields, KEYS.len()).is_some()
}

fn keys_of(fields: &Map<String, Value>, pairs: usize) -> Option<[&'static str; 2]> {
    KEYS[..pairs].iter().copied().find(|keys| keys.iter().all(|key| fields.contains_key(*key)))
}

/// Reads a list of exchanges. The last one may have no answer.
pub fn read_exchanges(items: Vec<Value>, column: &str, unread: &mut Unread) -> Result<Vec<SourceMessage>, String> {
    let mut messages = Vec::new();
    let first = items.first().and_then(Value::as_object).and_then(|first| keys_of(first, KEYS.len()));
    for (index, mut item) in items.into_iter().enumerate() {
        let fault = || format!("exchange {} of `{column}` has no user message", index + 1);
        let fields = item.as_object_mut().ok_or_else(fault)?;
        let keys = first.filter(|keys| fields.contains_key(keys[0])).or_else(|| keys_of(fields, KEYS.len()));
        let [asked, said] = keys.ok_or_else(fault)?;
        let in_place = |reason: String| format!("exchange {} of `{column}`: {reason}", index + 1);
        if let Some(text) = take_text(&mut item, "system").map_err(in_place)?.filter(|text| !text.trim().is_empty()) {
            messages.push(system_message(text));
        }
        let mut user = user_message(take_text(&mut item, asked).map_err(in_place)?.unwrap_or_default());
        let mut answer = take_text(&mut item, said).map_err(in_place)?.map(assistant_message);
        if let Value::Object(fields) = &mut item {
            let mask = Mask::take(fields);
            if let Some(answer) = &mut answer {
                answer.mask = mask;
            }
            let media: Vec<String> =
                fields.iter().filter(|(name, value)| is_media(name, value)).map(|(name, _)| name.clone()).collect();
            if !media.is_empty() {
                fields.retain(|name, _| !media.contains(name));
                user.content = SourceContent::Media(user.text_or_empty().to_owned());
            }
            if fields.get("tool_calls").is_some_and(has_words) {
                return Err(in_place("it calls a tool, which an exchange has no place for".to_owned()));
            }
        }
        messages.push(user);
        messages.extend(answer);
        unread.add(|| format!("{column}[]"), &item);
    }
    Ok(messages)
}
