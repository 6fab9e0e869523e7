use serde_json::Value;

use super::{InputFormat, SourceMessage, take_items, user_message};
use crate::conversation::Columns;
use crate::dataset::media::has_media;
use crate::dataset::unread::Unread;

/// `{"turns": ["…", "…"]}`: user messages only, as in MT-Bench; or `{"turns": [{"content": "…"}]}`, as in Arena-Hard.
pub struct Turns;

/// Keys that say who speaks: such messages are not all the user's.
const SPEAKERS: [&str; 7] = ["role", "from", "speaker", "author", "sender", "name", "type"];

impl InputFormat for Turns {
    fn name(&self) -> &'static str {
        "mt-bench"
    }

    fn matches(&self, row: &Columns) -> bool {
        let has_speaker = |item: &Value| SPEAKERS.iter().any(|key| item.get(*key).is_some());
        let is_turn = |item: &Value| item.is_string() || item["content"].is_string() && !has_speaker(item);
        matches!(row.get("turns"), Some(Value::Array(items)) if !items.is_empty() && items.iter().all(is_turn))
    }

    fn take(&self, row: &mut Columns, unread: &mut Unread) -> Result<Vec<SourceMessage>, String> {
        let mut messages = Vec::new();
        for mut item in take_items(row, "turns")? {
            if item.as_object().is_some_and(has_media) {
                return Err("a message of `turns` has media".to_owned());
            }
            let text = match item.get_mut("content") {
                Some(content) => content.take(),
                None => item.take(),
            };
            unread.add(|| "turns[]".to_owned(), &item);
            // Each message is a turn of its own: nobody has answered it yet.
            messages.extend(text.as_str().map(|text| SourceMessage { is_turn: true, ..user_message(text.to_owned()) }));
        }
        Ok(messages)
    }

    fn list_columns(&self) -> &'static [&'static str] {
        &["turns"]
    }
}
