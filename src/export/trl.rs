use serde_json::{Value, json};

use super::column::{PLAIN, THINKING, id, messages, meta};
use super::{Column, Format, Unfit, push_row};
use crate::conversation::{Line, Record};

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
            let prompt: Vec<Value> = record.lines[..at].iter().map(|line| message(line, false)).collect();
            let id = format!("{}#{number}", record.id);
            push_row(
                out,
                &json!({"id": id, "prompt": prompt, "completion": [message(line, true)], "meta": record.meta}),
            );
        }
        if out.len() == start { Err(Unfit("no_answer")) } else { Ok(()) }
    }
}

/// Returns a message, with its thoughts where they are to be learned.
pub fn message(line: &Line, with_reasoning: bool) -> Value {
    let mut message = json!({"role": line.role().name(), "content": line.text()});
    if let Some(reasoning) = line.reasoning.as_ref().filter(|_| with_reasoning) {
        message["reasoning_content"] = reasoning.as_str().into();
    }
    message
}
