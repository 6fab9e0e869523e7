use serde_json::{Value, json};

use super::column::{Leaf, id, messages, meta};
use super::{Column, Format, Unfit, message, push_row, with_tools};
use crate::conversation::{Record, Role};

/// ms-swift's `messages` with `loss` on each of the assistant's.
pub struct MsSwift;

impl Format for MsSwift {
    fn name(&self) -> &'static str {
        "ms-swift"
    }

    fn columns(&self) -> &'static [Column] {
        const {
            &[
                id(),
                messages("messages", &[("role", Leaf::Text), ("content", Leaf::Text), ("loss", Leaf::Flag)]),
                meta(),
            ]
        }
    }

    fn write(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), Unfit> {
        if !record.lines.iter().any(|line| line.is_trained) {
            return Err(Unfit::NoAnswer);
        }
        let messages = record.lines.iter().map(|line| {
            let mut message = message(line);
            if line.role() == Role::Assistant {
                message["loss"] = line.is_trained.into();
            }
            message
        });
        let messages: Vec<Value> = messages.collect();
        let row = json!({"id": record.id, "messages": messages, "meta": record.meta});
        push_row(out, &with_tools(row, record));
        Ok(())
    }
}
