use std::path::Path;

use serde_json::{Map, Value, json};

use super::column::{ColumnKind, FieldKind, id_column, messages_column, meta_column};
use super::sharegpt::sharegpt_message;
use super::strict::alternating_turns;
use super::{Column, OutputFormat, Unfit, append_row, no_masked_answer};
use crate::conversation::Record;

/// LLaMA-Factory's `sharegpt` formatting: strict alternation of human and gpt, the system message in a column, and an
/// entry in the `dataset_info.json` next to the file. Its `openai` formatting is not used, because it changes the system
/// message (as of its converter at ff6d4d1).
pub struct LlamaFactory;

impl OutputFormat for LlamaFactory {
    fn name(&self) -> &'static str {
        "llama-factory"
    }

    fn columns(&self) -> &'static [Column] {
        const {
            &[
                id_column(),
                messages_column("conversations", &[("from", FieldKind::Text), ("value", FieldKind::Text)]),
                Column { name: "system", kind: ColumnKind::Text },
                Column { name: "tools", kind: ColumnKind::Text },
                meta_column(),
            ]
        }
    }

    fn write(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), Unfit> {
        no_masked_answer(record)?;
        let (system, turns) = alternating_turns(record)?;
        let system = system.as_ref().map_or("", |system| system.content());
        let conversations = turns.iter().map(sharegpt_message).collect::<Result<Vec<Value>, _>>()?;
        // Its reader requires every declared column in every row. TRL's reader rejects an empty text here.
        let tools = record.tools.as_ref().map_or("[]".to_owned(), |tools| tools.json().to_owned());
        let row = json!({
            "id": record.id, "conversations": conversations, "system": system, "tools": tools, "meta": record.meta,
        });
        append_row(out, &row);
        Ok(())
    }

    fn companion(&self, output: &Path, old: Option<Value>) -> Option<(&'static str, Value)> {
        let file = output.file_name()?.to_str()?;
        let name = file.split('.').next().unwrap_or(file);
        let mut entries = match old {
            Some(Value::Object(entries)) => entries,
            _ => Map::new(),
        };
        let entry = json!({
            "file_name": file, "formatting": "sharegpt",
            "columns": {"messages": "conversations", "system": "system", "tools": "tools"},
            "tags": {
                "role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt",
                "system_tag": "system",
                "function_tag": "function_call", "observation_tag": "observation",
            },
        });
        entries.insert(name.to_owned(), entry);
        Some(("dataset_info.json", Value::Object(entries)))
    }
}
