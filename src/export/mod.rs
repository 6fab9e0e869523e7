//! Writes finished conversations as rows that trainers accept unchanged.
//!
//! A format is one file here ([`OutputFormat`]) and one line in [`FORMATS`]. Files are written atomically
//! ([`OutputFile`]): a reader never sees a partial file, and an interrupted run leaves the old one in place.

mod axolotl;
#[cfg(feature = "parquet")]
mod card;
mod column;
mod file;
mod found;
mod incomplete;
mod json_row;
mod lesson;
mod llama_factory;
mod ms_swift;
mod openai;
mod per_turn;
mod preference;
mod record;
mod shards;
mod sharegpt;
mod sink;
mod specforge;
mod speculators;
mod strict;
mod table;
mod token_ids;
mod token_rows;
mod trl;
mod unfit;

pub use column::{Column, ColumnKind, FieldKind, Numbers};
pub use file::{OutputError, OutputFile};
pub use found::{Found, found_row};
pub use incomplete::{Incomplete, LeftOutKind, incomplete_row};
pub use lesson::{critique_row, hard_record, lesson_labels, lesson_pair, lesson_record};
pub use record::{dialogue_pairs, dialogue_record, dialogue_record_with};
pub use sink::{Sink, is_directory};
pub use table::Table;
pub use unfit::Unfit;

use std::path::Path;

use json_row::{append_json, append_row};
use serde_json::{Value, json};

use crate::conversation::{Line, Record};

/// A format of output rows.
pub trait OutputFormat: Send + Sync {
    /// Returns the name that `--to` takes.
    fn name(&self) -> &'static str;

    /// Returns the columns of the rows.
    fn columns(&self) -> &'static [Column];

    /// Appends a record's rows to `out`, with line ends. Fails where the trainer would reject or corrupt the row.
    fn write(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), Unfit>;

    /// Appends the row of a record without an answer: its messages alone, for those who want prompts. Fails for a format
    /// that cannot hold such rows.
    fn write_prompt(&self, _record: &Record, _out: &mut Vec<u8>) -> Result<(), Unfit> {
        Err(Unfit::NoAnswer)
    }

    /// True where the format can hold rows without an answer.
    fn holds_prompts(&self) -> bool {
        false
    }

    /// True where a row holds two answers to one question, or a label that says whether an answer is good. Such rows of a
    /// distilled conversation are made from its rejected attempts.
    fn wants_pairs(&self) -> bool {
        false
    }

    /// True where a row holds token ids. They come from the server that sampled the answers, so that rows of a distillation
    /// alone have them. Such a format writes more than one row of a record where its ids are not one sequence.
    fn wants_tokens(&self) -> bool {
        false
    }

    /// Returns a file that the trainer expects next to the output: its name and its content, merged into the old one.
    fn companion(&self, _output: &Path, _old: Option<Value>) -> Option<(&'static str, Value)> {
        None
    }
}

/// Every format; the first is the default.
pub const FORMATS: &[&dyn OutputFormat] = &[
    &openai::OpenAiOutput,
    &sharegpt::ShareGptOutput,
    &llama_factory::LlamaFactory,
    &axolotl::Axolotl,
    &ms_swift::MsSwift,
    &trl::PromptCompletion,
    &per_turn::PerTurn,
    &preference::Dpo,
    &preference::Kto,
    &token_ids::TokenIds,
    &speculators::Speculators,
    &specforge::SpecForge,
];

/// Returns the format with this name.
pub fn output_format_named(name: &str) -> Option<&'static dyn OutputFormat> {
    FORMATS.iter().copied().find(|format| format.name() == name)
}

/// Returns why a format, or a table of it, cannot hold a record. `row` is overwritten.
pub fn unfit_for(format: &dyn OutputFormat, is_table: bool, record: &Record, row: &mut Vec<u8>) -> Option<Unfit> {
    sink::unfit_for_table(format, record).filter(|_| is_table).or_else(|| format.write(record, row).err())
}

/// Writes a record in a format without a mask, whose rows without an answer look like its other rows.
fn write_unmasked(format: &dyn OutputFormat, record: &Record, out: &mut Vec<u8>) -> Result<(), Unfit> {
    no_masked_answer(record)?;
    if !record.has_answer() {
        return Err(Unfit::NoAnswer);
    }
    format.write_prompt(record, out)
}

/// Fails for a record with a masked answer: a format without a mask would train on it.
fn no_masked_answer(record: &Record) -> Result<(), Unfit> {
    if record.has_masked_answer() { Err(Unfit::MaskedAnswer) } else { Ok(()) }
}

/// Appends the row of a record without an answer, with its messages in the given column.
fn write_prompt_row(column: &str, record: &Record, out: &mut Vec<u8>) -> Result<(), Unfit> {
    if record.lines.is_empty() {
        return Err(Unfit::NoAnswer);
    }
    let messages: Vec<Value> = record.lines.iter().map(openai_message).collect();
    append_row(out, &with_tools(json!({"id": record.id, column: messages, "meta": record.meta}), record));
    Ok(())
}

/// Adds the definitions of the tools that the assistant may call. They come before `meta`.
fn with_tools(mut row: Value, record: &Record) -> Value {
    if let (Some(tools), Some(fields)) = (&record.tools, row.as_object_mut()) {
        let meta = fields.shift_remove("meta");
        fields.insert("tools".to_owned(), tools.to_value());
        fields.extend(meta.map(|meta| ("meta".to_owned(), meta)));
    }
    row
}

/// Returns a message with `OpenAI`'s field names.
fn openai_message(line: &Line) -> Value {
    let mut message = json!({"role": line.role().name(), "content": line.text()});
    for (name, value) in line.message.fields().into_iter().flatten() {
        message[name] = value.clone();
    }
    message
}

/// Returns a message with its reasoning, if it has any.
fn message_with_reasoning(line: &Line) -> Value {
    let mut message = openai_message(line);
    if let Some(reasoning) = &line.reasoning {
        message["reasoning_content"] = reasoning.as_str().into();
    }
    message
}
