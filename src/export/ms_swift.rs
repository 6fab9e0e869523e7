use serde_json::{Value, json};

use super::column::{FieldKind, id_column, messages_column, meta_column, tools_column};
use super::{Column, OutputFormat, Unfit, append_row, openai_message, with_tools, write_prompt_row};
use crate::conversation::{Record, Role};

/// ms-swift's `messages`, with a `loss` flag on each assistant message.
pub struct MsSwift;

impl OutputFormat for MsSwift {
    fn name(&self) -> &'static str {
        "ms-swift"
    }

    fn columns(&self) -> &'static [Column] {
        const {
            &[
                id_column(),
                messages_column(
                    "messages",
                    &[("role", FieldKind::Text), ("content", FieldKind::Text), ("loss", FieldKind::Flag)],
                ),
                tools_column(),
                meta_column(),
            ]
        }
    }

    fn holds_prompts(&self) -> bool {
        true
    }

    fn write_prompt(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), Unfit> {
        write_prompt_row("messages", record, out)
    }

    fn write(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), Unfit> {
        if !record.lines.iter().any(|line| line.is_trained) {
            return Err(Unfit::NoAnswer);
        }
        let messages = record.lines.iter().map(|line| {
            let mut message = openai_message(line);
            if line.role() == Role::Assistant {
                message["loss"] = line.is_trained.into();
            }
            message
        });
        let messages: Vec<Value> = messages.collect();
        let row = json!({"id": record.id, "messages": messages, "meta": record.meta});
        append_row(out, &with_tools(row, record));
        Ok(())
    }
}
