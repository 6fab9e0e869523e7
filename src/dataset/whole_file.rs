//! Files that are one conversation, and files whose objects stand on several lines each.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use serde_json::Value;

use super::row::RowSource;
use crate::conversation::Columns;

/// A file whose rows are neither lines nor elements of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WholeFile {
    /// One array of messages: the file is one conversation.
    Messages,
    /// One message a line: the file is one conversation.
    MessageLines,
    /// Objects that stand on several lines each, one after the other.
    SpacedObjects,
}

const READ_BYTES: usize = 256 << 10;
/// Lines of an object that is written over several lines are shorter.
const OPENING_LINE_BYTES_MAX: usize = 4 << 10;
/// Keys of a message that belongs to no row.
const MESSAGE_KEYS: [&str; 22] = [
    "role",
    "from",
    "content",
    "value",
    "text",
    "parts",
    "message",
    "name",
    "tool_calls",
    "tool_call_id",
    "function_call",
    "refusal",
    "reasoning",
    "reasoning_content",
    "thinking",
    "weight",
    "train",
    "loss",
    "loss_weight",
    "timestamp",
    "created_at",
    "model",
];

impl WholeFile {
    /// Recognises such a file by its first row and by whether it is an array. `None` for files of rows.
    pub fn of(mut rows: Box<dyn RowSource>, is_array: bool) -> io::Result<Option<Self>> {
        let Some(Ok(first)) = rows.next()? else { return Ok(None) };
        Ok(match serde_json::from_slice::<Value>(first.bytes) {
            Ok(Value::Object(fields)) if is_lone_message(&fields) => {
                Some(if is_array { Self::Messages } else { Self::MessageLines })
            }
            Err(error) if error.is_eof() && !is_array && opens_object(first.bytes) => Some(Self::SpacedObjects),
            _ => None,
        })
    }

    /// Writes the file as an array of rows.
    pub fn write_array(self, path: &Path, out: &mut dyn Write) -> io::Result<()> {
        let mut file = BufReader::with_capacity(READ_BYTES, File::open(path)?);
        if file.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
            file.consume(3);
        }
        out.write_all(b"[")?;
        match self {
            Self::Messages | Self::SpacedObjects => drop(io::copy(&mut file, out)?),
            Self::MessageLines => {
                out.write_all(b"[")?;
                write_lines(&mut file, out)?;
                out.write_all(b"]")?;
            }
        }
        out.write_all(b"]")
    }
}

fn write_lines(file: &mut impl BufRead, out: &mut dyn Write) -> io::Result<()> {
    let (mut line, mut is_first) = (Vec::new(), true);
    loop {
        line.clear();
        if file.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if !line.trim_ascii().is_empty() {
            out.write_all(if is_first { b"" } else { b"," })?;
            is_first = false;
        }
        out.write_all(&line)?;
    }
}

fn is_lone_message(fields: &Columns) -> bool {
    let has = |names: &[&str]| names.iter().any(|name| fields.contains_key(*name));
    let is_text = |name: &str| fields.get(name).is_some_and(Value::is_string);
    fields.keys().all(|name| MESSAGE_KEYS.contains(&name.as_str()))
        && (is_text("role") || is_text("from"))
        && has(&["content", "value", "text", "parts", "message", "tool_calls"])
}

/// True for the first line of an object that ends on a later one.
fn opens_object(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let goes_on = [b"{", b"[", b","].iter().any(|end| line.ends_with(*end));
    line.len() <= OPENING_LINE_BYTES_MAX && line.starts_with(b"{") && goes_on
}
