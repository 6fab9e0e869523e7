use serde_json::{Value, json};

use super::column::{PLAIN, THINKING, id_column, messages_column, meta_column, tools_column};
use super::{
    Column, OutputFormat, Unfit, append_row, message_with_reasoning, openai_message, with_tools, write_prompt_row,
};
use crate::conversation::{Record, TurnIndex};

/// TRL's `{"prompt": [...], "completion": [...]}`, one row per answer. Only the completion has reasoning.
pub struct PromptCompletion;

impl OutputFormat for PromptCompletion {
    fn name(&self) -> &'static str {
        "trl-prompt-completion"
    }

    fn columns(&self) -> &'static [Column] {
        const {
            &[
                id_column(),
                messages_column("prompt", PLAIN),
                messages_column("completion", THINKING),
                tools_column(),
                meta_column(),
            ]
        }
    }

    fn holds_prompts(&self) -> bool {
        true
    }

    fn write_prompt(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), Unfit> {
        write_prompt_row("prompt", record, out)
    }

    fn write(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let learned = record.lines.iter().enumerate().filter(|(_, line)| line.is_trained);
        let start = out.len();
        for (number, (at, line)) in (1..).zip(learned) {
            let prompt: Vec<Value> = record.lines[..at].iter().map(openai_message).collect();
            let id = format!("{}#{}", record.id, record.turn.map_or(number, TurnIndex::number));
            let row =
                json!({"id": id, "prompt": prompt, "completion": [message_with_reasoning(line)], "meta": record.meta});
            append_row(out, &with_tools(row, record));
        }
        if out.len() == start { Err(Unfit::NoAnswer) } else { Ok(()) }
    }
}
