use serde_json::{Value, json};

use super::column::{ColumnKind, FieldKind, id_column, messages_column, meta_column};
use super::{Column, OutputFormat, Unfit, append_row, write_unmasked};
use crate::conversation::{Line, Record, Role};

/// `{"id", "conversations": [{"from": "human" | "gpt" | "system", "value"}], "meta"}`.
pub struct ShareGptOutput;

impl OutputFormat for ShareGptOutput {
    fn name(&self) -> &'static str {
        "sharegpt"
    }

    fn columns(&self) -> &'static [Column] {
        const {
            &[
                id_column(),
                messages_column("conversations", &[("from", FieldKind::Text), ("value", FieldKind::Text)]),
                Column { name: "tools", kind: ColumnKind::Text },
                meta_column(),
            ]
        }
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
        let conversations = record.lines.iter().map(sharegpt_message).collect::<Result<Vec<Value>, _>>()?;
        let mut row = json!({"id": record.id, "conversations": conversations, "meta": record.meta});
        if let Some(tools) = &record.tools {
            row["tools"] = tools.json().into();
        }
        append_row(out, &row);
        Ok(())
    }
}

/// Returns a message with `ShareGPT`'s field names. Fails for a tool call with text: the format has one field for both.
pub fn sharegpt_message(line: &Line) -> Result<Value, Unfit> {
    let from = match line.role() {
        Role::System => "system",
        Role::User => "human",
        Role::Assistant => match line.message.fields().and_then(|fields| fields.get("tool_calls")) {
            Some(calls) => return sharegpt_call(line, calls).ok_or(Unfit::CallWithWords),
            None => "gpt",
        },
        Role::Tool => "observation",
    };
    let mut message = json!({"from": from, "value": line.text()});
    if let Some(name) = line.message.name() {
        message["name"] = name.into();
    }
    Ok(message)
}

fn sharegpt_call(line: &Line, calls: &Value) -> Option<Value> {
    let calls = calls.as_array().filter(|_| line.text().is_empty())?.iter().map(|call| {
        let arguments = &call["function"]["arguments"];
        let parsed = arguments.as_str().and_then(|text| serde_json::from_str(text).ok());
        json!({"name": call["function"]["name"], "arguments": parsed.unwrap_or_else(|| arguments.clone())})
    });
    let calls: Vec<Value> = calls.collect();
    let text = if let [call] = calls.as_slice() { call.to_string() } else { Value::from(calls).to_string() };
    Some(json!({"from": "function_call", "value": text}))
}
