use serde_json::{Value, json};

use super::column::{FieldKind, id_column, messages_column, meta_column, tools_column};
use super::{Column, OutputFormat, Unfit, append_row, message_with_reasoning, openai_message, with_tools};
use crate::conversation::{Record, Role, TurnIndex};

/// One row per answer: the conversation up to it, with only that answer trained, under every name that trainers use for
/// the mask (`train`, `loss`, `weight`). Only the last answer has its reasoning, as templates of reasoning models render
/// it.
pub struct PerTurn;

impl OutputFormat for PerTurn {
    fn name(&self) -> &'static str {
        "per-turn"
    }

    fn columns(&self) -> &'static [Column] {
        const {
            &[
                id_column(),
                messages_column(
                    "messages",
                    &[
                        ("role", FieldKind::Text),
                        ("content", FieldKind::Text),
                        ("reasoning_content", FieldKind::Text),
                        ("train", FieldKind::Flag),
                        ("loss", FieldKind::Flag),
                        ("weight", FieldKind::Number),
                    ],
                ),
                tools_column(),
                meta_column(),
            ]
        }
    }

    fn write(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let learned = record.lines.iter().enumerate().filter(|(_, line)| line.is_trained);
        let start = out.len();
        for (number, (last, _)) in (1..).zip(learned) {
            let messages = record.lines[..=last].iter().enumerate().map(|(at, line)| {
                let mut message = if at == last { message_with_reasoning(line) } else { openai_message(line) };
                if line.role() == Role::Assistant {
                    message["train"] = (at == last).into();
                    message["loss"] = (at == last).into();
                    message["weight"] = u8::from(at == last).into();
                }
                message
            });
            let messages: Vec<Value> = messages.collect();
            let id = format!("{}#{}", record.id, record.turn.map_or(number, TurnIndex::number));
            let row = json!({"id": id, "messages": messages, "meta": record.meta});
            append_row(out, &with_tools(row, record));
        }
        if out.len() == start { Err(Unfit::NoAnswer) } else { Ok(()) }
    }
}
