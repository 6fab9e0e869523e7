use super::column::{PLAIN, id_column, messages_column, meta_column};
use super::{Column, OutputFormat, Unfit, push_json};
use crate::conversation::Record;

/// `{"id", "messages": [{"role", "content"}], "meta"}`: what TRL, axolotl, torchtune and the others take.
///
/// Beside `messages` there is never a `prompt`, `completion`, `text`, `chosen` or `rejected`: trainers choose by
/// column names. Thoughts are left out: a template drops them from all turns but the last, a mask does not.
pub struct OpenAiOutput;

impl OutputFormat for OpenAiOutput {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn columns(&self) -> &'static [Column] {
        const { &[id_column(), messages_column("messages", PLAIN), meta_column()] }
    }

    fn write(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), Unfit> {
        if record.has_masked_answer() {
            // The format has no word for it: the answer would be learned.
            return Err(Unfit::MaskedAnswer);
        }
        out.extend_from_slice(b"{\"id\":");
        push_json(out, &record.id);
        out.extend_from_slice(b",\"messages\":[");
        for (index, line) in record.lines.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            line.message.write_json(out);
            out.push(b'}');
        }
        out.push(b']');
        if let Some(tools) = record.tools() {
            out.extend_from_slice(b",\"tools\":");
            push_json(out, &tools);
        }
        out.extend_from_slice(b",\"meta\":");
        push_json(out, &record.meta);
        out.extend_from_slice(b"}\n");
        Ok(())
    }
}
