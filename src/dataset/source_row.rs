use serde_json::Value;

use super::format::{SourceMessage, are_linked};
use super::line::line_of;
use super::meta::flatten_meta;
use super::notes::{Notes, Skip};
use super::preference;
use super::role::SourceRole;
use super::rules::{Media, Rules};
use crate::conversation::{Columns, Digest, Line, Record, Role, ToolSet};

/// A row as read, before normalisation.
#[derive(Clone, Debug)]
pub struct SourceRow {
    /// The row's id, if it has one.
    pub id: Option<String>,
    /// The name of its format.
    pub format: &'static str,
    /// Its messages.
    pub messages: Vec<SourceMessage>,
    /// The tools that it offers to the assistant.
    pub tools: Option<ToolSet>,
    /// Its other columns.
    pub columns: Columns,
    /// The row or one of its messages has a picture, sound or a film.
    pub has_media: bool,
    /// What was done to read it.
    pub notes: Notes,
}

impl SourceRow {
    /// Converts the row to a record without normalisation: no message is joined or dropped. Fails with a code where the row
    /// contains something other than text, reasoning and tool calls.
    pub fn into_record(self, rules: &Rules) -> Result<Record, Skip> {
        if self.has_media && rules.media == Media::Skip {
            return Err(Skip::Multimodal);
        }
        let are_linked = are_linked(&self.messages);
        let is_blank_user =
            |message: &SourceMessage| message.role == SourceRole::User && message.text_or_empty().trim().is_empty();
        if self.has_media && self.messages.iter().any(is_blank_user) {
            // Without its picture nothing is asked.
            return Err(Skip::Multimodal);
        }
        let mut lines: Vec<Line> = Vec::new();
        for message in self.messages {
            let answers = lines.iter().any(|line| line.role() == Role::User);
            lines.push(line_of(message, answers)?);
        }
        if !are_linked {
            return Err(Skip::ToolOrder);
        }
        let meta = flatten_meta(self.columns, true);
        if lines.last().is_some_and(|last| last.role() == Role::User) {
            lines.extend(preference::chosen(&meta));
        }
        let answered = lines.last().is_some_and(|last| last.role() == Role::Assistant);
        let (rejected, label) = (preference::rejected(&meta, &lines).filter(|_| answered), preference::label(&meta));
        let digest = || lines.iter().fold(Digest::ZERO, |digest, line| digest.then(line.message.digest()));
        let id = self.id.unwrap_or_else(|| format!("{:016x}", digest().prefix()));
        Ok(Record { id, lines, tools: self.tools, meta, rejected, label, turn: None })
    }

    /// Returns the columns beside the messages that a record takes: the sides of a pair, and labels.
    pub fn columns_of_pair(&self, rules: &Rules) -> Vec<&'static str> {
        if !preference::has_columns(&self.columns) {
            return Vec::new();
        }
        let record = self.clone().into_record(rules);
        record.map_or(Vec::new(), |record| preference::columns_read(&self.columns, &record, self.messages.len()))
    }

    /// Undoes what version 0.1.0 did not read: names, columns of instructions in most formats, and media in columns that
    /// are no lists.
    pub fn read_as_first(&mut self) {
        for message in &mut self.messages {
            message.fields.retain(|name, _| name != "name" || message.role == SourceRole::Tool);
        }
        let lists = ["images", "image", "videos", "audios", "audio"];
        self.has_media =
            lists.iter().any(|name| matches!(self.columns.get(*name), Some(Value::Array(items)) if !items.is_empty()));
        if self.format == "sharegpt"
            && let Some(Value::String(system)) = self.columns.get("system")
        {
            if !system.trim().is_empty() {
                if self.messages.first().is_some_and(|message| message.role == SourceRole::System) {
                    self.messages.remove(0);
                }
                self.messages.insert(0, SourceMessage::text(SourceRole::System, system.clone()));
            }
            self.columns.shift_remove("system");
        }
    }
}
