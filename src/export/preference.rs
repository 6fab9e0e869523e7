use serde_json::{Value, json};

use super::column::{ColumnKind, PLAIN, THINKING, id_column, messages_column, meta_column, tools_column};
use super::{Column, OutputFormat, Unfit, append_row, message_with_reasoning, openai_message, with_tools};
use crate::conversation::{Columns, Line, Record, Role};

/// TRL's `{"prompt": [...], "chosen": [...], "rejected": [...]}`, each a list of messages, for records with a rejected
/// alternative to the last answer. axolotl and `OpenRLHF` read the same columns.
pub struct Dpo;

/// TRL's `{"prompt": [...], "completion": [...], "label"}`, for records whose last answer has a label. A pair becomes two
/// rows.
pub struct Kto;

/// Source columns with the preference, which these formats express in the row itself.
const SAID: [&str; 7] =
    ["chosen", "rejected", "chosen_messages", "rejected_messages", "rejected_response", "label", "kto_tag"];

impl OutputFormat for Dpo {
    fn name(&self) -> &'static str {
        "dpo"
    }

    fn wants_pairs(&self) -> bool {
        true
    }

    fn columns(&self) -> &'static [Column] {
        const {
            &[
                id_column(),
                messages_column("prompt", PLAIN),
                messages_column("chosen", THINKING),
                messages_column("rejected", THINKING),
                tools_column(),
                meta_column(),
            ]
        }
    }

    fn write(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let (prompt, chosen) = last_answer(record)?;
        let rejected = record.rejected.as_ref().ok_or(Unfit::NoPair)?;
        if chosen.text() == rejected.text() {
            return Err(Unfit::SameAnswers);
        }
        let row = json!({
            "id": record.id, "prompt": prompt, "chosen": [message_with_reasoning(chosen)],
            "rejected": [message_with_reasoning(rejected)], "meta": other_columns(record),
        });
        append_row(out, &with_tools(row, record));
        Ok(())
    }
}

impl OutputFormat for Kto {
    fn name(&self) -> &'static str {
        "kto"
    }

    fn wants_pairs(&self) -> bool {
        true
    }

    fn columns(&self) -> &'static [Column] {
        const {
            &[
                id_column(),
                messages_column("prompt", PLAIN),
                messages_column("completion", THINKING),
                Column { name: "label", kind: ColumnKind::Flag },
                tools_column(),
                meta_column(),
            ]
        }
    }

    fn write(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let (prompt, last) = last_answer(record)?;
        let mut push = |line: &Line, label: bool, id: String| {
            let completion = [message_with_reasoning(line)];
            let row = json!({"id": id, "prompt": prompt, "completion": completion, "label": label, "meta": other_columns(record)});
            append_row(out, &with_tools(row, record));
        };
        match (record.label, &record.rejected) {
            (Some(label), _) => push(last, label, record.id.clone()),
            (None, Some(rejected)) => {
                push(last, true, format!("{}#chosen", record.id));
                push(rejected, false, format!("{}#rejected", record.id));
            }
            (None, None) => return Err(Unfit::NoLabel),
        }
        Ok(())
    }
}

fn last_answer(record: &Record) -> Result<(Vec<Value>, &Line), Unfit> {
    match record.lines.split_last() {
        Some((last, before)) if last.role() == Role::Assistant && !before.is_empty() => {
            Ok((before.iter().map(openai_message).collect(), last))
        }
        _ => Err(Unfit::NoAnswer),
    }
}

fn other_columns(record: &Record) -> Columns {
    record
        .meta
        .iter()
        .filter(|(name, _)| !SAID.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
