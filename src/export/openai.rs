use super::column::{PLAIN, id_column, messages_column, meta_column, tools_column};
use super::{Column, OutputFormat, Unfit, append_json, write_unmasked};
use crate::conversation::{Message, Record};

/// `{"id", "messages": [{"role", "content"}], "meta"}`, which TRL, axolotl, torchtune and others read.
///
/// The row never has a `prompt`, `completion`, `text`, `chosen` or `rejected` column next to `messages`, because trainers
/// detect formats by column names. Reasoning is left out: chat templates drop it from all turns but the last, and a loss
/// mask would not.
pub struct OpenAiOutput;

impl OutputFormat for OpenAiOutput {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn columns(&self) -> &'static [Column] {
        const { &[id_column(), messages_column("messages", PLAIN), tools_column(), meta_column()] }
    }

    fn holds_prompts(&self) -> bool {
        true
    }

    fn write(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), Unfit> {
        write_unmasked(self, record, out)
    }

    fn write_prompt(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), Unfit> {
        if record.lines.is_empty() {
            return Err(Unfit::NoAnswer);
        }
        out.extend_from_slice(b"{\"id\":");
        append_json(out, &record.id);
        out.extend_from_slice(b",\"messages\":");
        Message::write_list(record.lines.iter().map(|line| &line.message), out);
        if let Some(tools) = &record.tools {
            out.extend_from_slice(b",\"tools\":");
            out.extend_from_slice(tools.json().as_bytes());
        }
        out.extend_from_slice(b",\"meta\":");
        append_json(out, &record.meta);
        out.extend_from_slice(b"}\n");
        Ok(())
    }
}
