use serde_json::{Value, json};

use super::column::{Leaf, id, messages, meta};
use super::{Column, Format, Unfit, message, push_row, thoughtful, with_tools};
use crate::conversation::{Record, Role};

/// A row for each answer: everything up to it, and only it is learned, by whichever name the trainer has for that
/// (`train`, `loss`, `weight`). Only the last answer has its thoughts, as templates of reasoning models render it.
pub struct PerTurn;

impl Format for PerTurn {
    fn name(&self) -> &'static str {
        "per-turn"
    }

    fn columns(&self) -> &'static [Column] {
        const {
            &[
                id(),
                messages(
                    "messages",
                    &[
                        ("role", Leaf::Text),
                        ("content", Leaf::Text),
                        ("reasoning_content", Leaf::Text),
                        ("train", Leaf::Flag),
                        ("loss", Leaf::Flag),
                        ("weight", Leaf::Number),
                    ],
                ),
                meta(),
            ]
        }
    }

    fn write(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let learned = record.lines.iter().enumerate().filter(|(_, line)| line.is_trained);
        let start = out.len();
        for (number, (last, _)) in (1..).zip(learned) {
            let messages = record.lines[..=last].iter().enumerate().map(|(at, line)| {
                let mut message = if at == last { thoughtful(line) } else { message(line) };
                if line.role() == Role::Assistant {
                    message["train"] = (at == last).into();
                    message["loss"] = (at == last).into();
                    message["weight"] = u8::from(at == last).into();
                }
                message
            });
            let messages: Vec<Value> = messages.collect();
            let id = format!("{}#{}", record.id, record.turn.unwrap_or(number));
            let row = json!({"id": id, "messages": messages, "meta": record.meta});
            push_row(out, &with_tools(row, record));
        }
        if out.len() == start { Err(Unfit::NoAnswer) } else { Ok(()) }
    }
}
