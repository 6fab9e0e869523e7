use serde_json::{Value, json};

use super::column::{PLAIN, THINKING, id, messages, meta};
use super::{Column, Format, Unfit, message, push_row, thoughtful, with_tools};
use crate::conversation::Record;

/// TRL's `{"prompt": [...], "completion": [...]}`, a row for each answer; thoughts stand in the completion alone.
pub struct PromptCompletion;

impl Format for PromptCompletion {
    fn name(&self) -> &'static str {
        "trl-prompt-completion"
    }

    fn columns(&self) -> &'static [Column] {
        const { &[id(), messages("prompt", PLAIN), messages("completion", THINKING), meta()] }
    }

    fn write(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let learned = record.lines.iter().enumerate().filter(|(_, line)| line.is_trained);
        let start = out.len();
        for (number, (at, line)) in (1..).zip(learned) {
            let prompt: Vec<Value> = record.lines[..at].iter().map(message).collect();
            let id = format!("{}#{}", record.id, record.turn.unwrap_or(number));
            let row = json!({"id": id, "prompt": prompt, "completion": [thoughtful(line)], "meta": record.meta});
            push_row(out, &with_tools(row, record));
        }
        if out.len() == start { Err(Unfit::NoAnswer) } else { Ok(()) }
    }
}
