use serde_json::{Value, json};

use super::column::{Leaf, id, messages, meta};
use super::{Column, Format, Unfit, push_row};
use crate::conversation::{Line, Record, Role};

/// `{"id", "conversations": [{"from": "human" | "gpt" | "system", "value"}], "meta"}`.
pub struct ShareGpt;

impl Format for ShareGpt {
    fn name(&self) -> &'static str {
        "sharegpt"
    }

    fn columns(&self) -> &'static [Column] {
        const { &[id(), messages("conversations", &[("from", Leaf::Text), ("value", Leaf::Text)]), meta()] }
    }

    fn write(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), Unfit> {
        if record.has_masked_answer() {
            // The format has no word for it: the answer would be learned.
            return Err(Unfit("masked_answer"));
        }
        let conversations: Vec<Value> = record.lines.iter().map(turn).collect();
        push_row(out, &json!({"id": record.id, "conversations": conversations, "meta": record.meta}));
        Ok(())
    }
}

/// Returns a message with `ShareGPT`'s names.
pub fn turn(line: &Line) -> Value {
    let from = match line.role() {
        Role::System => "system",
        Role::User => "human",
        Role::Assistant => "gpt",
    };
    json!({"from": from, "value": line.text()})
}
