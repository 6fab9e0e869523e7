use serde_json::{Value, json};

use super::column::{Leaf, id, messages, meta};
use super::{Column, Format, Unfit, push_row};
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
            return Err(Unfit("no_answer"));
        }
        let messages = record
            .lines
            .iter()
            .map(|line| json!({"role": line.role().name(), "content": line.text(), "train": line.is_trained}));
        let messages: Vec<Value> = messages.collect();
        push_row(out, &json!({"id": record.id, "messages": messages, "meta": record.meta}));
        Ok(())
    }
}
