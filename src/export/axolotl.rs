use serde_json::{Value, json};

use super::column::{Leaf, id, messages, meta};
use super::{Column, Format, Unfit, message, push_row, with_tools};
use crate::conversation::Record;

/// axolotl's `type: chat_template` with `message_field_training: train`: every message says whether it is learned.
pub struct Axolotl;

impl Format for Axolotl {
    fn name(&self) -> &'static str {
        "axolotl"
    }

    fn columns(&self) -> &'static [Column] {
        const {
            &[
                id(),
                messages("messages", &[("role", Leaf::Text), ("content", Leaf::Text), ("train", Leaf::Flag)]),
                meta(),
            ]
        }
    }

    fn write(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), Unfit> {
        if !record.lines.last().is_some_and(|last| last.is_trained) {
            // axolotl warns and wastes a row whose last turn cannot be learned.
            return Err(Unfit::NoAnswer);
        }
        let messages = record.lines.iter().map(|line| {
            let mut message = message(line);
            message["train"] = line.is_trained.into();
            message
        });
        let messages: Vec<Value> = messages.collect();
        let row = json!({"id": record.id, "messages": messages, "meta": record.meta});
        push_row(out, &with_tools(row, record));
        Ok(())
    }
}
