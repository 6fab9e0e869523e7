use serde_json::{Value, json};

use super::column::{FieldKind, id_column, messages_column, meta_column, tools_column};
use super::{Column, OutputFormat, Unfit, append_row, openai_message, with_tools};
use crate::conversation::Record;

/// axolotl's `type: chat_template` with `message_field_training: train`: every message has a flag that says whether it is
/// trained on.
pub struct Axolotl;

impl OutputFormat for Axolotl {
    fn name(&self) -> &'static str {
        "axolotl"
    }

    fn columns(&self) -> &'static [Column] {
        const {
            &[
                id_column(),
                messages_column(
                    "messages",
                    &[("role", FieldKind::Text), ("content", FieldKind::Text), ("train", FieldKind::Flag)],
                ),
                tools_column(),
                meta_column(),
            ]
        }
    }

    fn write(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), Unfit> {
        // axolotl warns about a row whose last turn is not trained, and the row is wasted.
        let last = record.lines.iter().rposition(|line| line.is_trained).ok_or(Unfit::NoAnswer)?;
        let messages = record.lines[..=last].iter().map(|line| {
            let mut message = openai_message(line);
            message["train"] = line.is_trained.into();
            message
        });
        let messages: Vec<Value> = messages.collect();
        let row = json!({"id": record.id, "messages": messages, "meta": record.meta});
        append_row(out, &with_tools(row, record));
        Ok(())
    }
}
