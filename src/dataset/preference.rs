//! The preference columns of a row: which answer is better, or whether one is good.

use serde_json::Value;

use super::format::{MessageFormat, SourceMessage, link_calls, split_hh};
use super::line::line_of;
use super::python_literal::written_value;
use super::role::SourceRole;
use super::unread::Unread;
use crate::conversation::{Columns, Line, Record, Role, says_nothing};

const REJECTED: [&str; 3] = ["rejected", "rejected_messages", "rejected_response"];
const LABELS: [&str; 2] = ["label", "kto_tag"];

/// True where a column is named like one of a pair, or like a label.
pub fn has_columns(columns: &Columns) -> bool {
    REJECTED.iter().chain(&LABELS).chain(&["chosen"]).any(|name| columns.contains_key(*name))
}

/// Returns the columns that a record takes which was made of N messages and these columns.
pub fn columns_read(columns: &Columns, record: &Record, messages: usize) -> Vec<&'static str> {
    let present = |names: &[&'static str]| {
        names.iter().copied().find(|name| columns.get(*name).is_some_and(|side| !side.is_null()))
    };
    let rejected = record.rejected.as_ref().and_then(|_| present(&REJECTED));
    let label = record.label.and_then(|_| present(&LABELS));
    let chosen = (record.lines.len() > messages).then_some("chosen");
    [rejected, label, chosen].into_iter().flatten().collect()
}

/// Returns the better answer, if it has a column of its own.
pub fn chosen(columns: &Columns) -> Option<Line> {
    answer_of(columns.get("chosen")?, "chosen").map(|(_, answer)| answer)
}

/// Returns the rejected answer. One that follows another history than `lines` is no alternative to their last one.
pub fn rejected(columns: &Columns, lines: &[Line]) -> Option<Line> {
    let present =
        REJECTED.iter().find_map(|name| Some((*name, columns.get(*name)?)).filter(|(_, side)| !side.is_null()));
    let (name, side) = present?;
    let (before, answer) = answer_of(side, name)?;
    let said = |line: &&Line| line.role() != Role::System;
    let ours = lines.split_last().map_or(&[][..], |(_, before)| before).iter().filter(said);
    let text = |line: &Line| line.text().trim().to_owned();
    let (ours, theirs): (Vec<String>, Vec<String>) =
        (ours.map(text).collect(), before.iter().filter(said).map(text).collect());
    // A side may begin behind the prompt.
    let follows = ours.ends_with(&theirs);
    Some(answer).filter(|_| follows)
}

/// Reads one side of a pair: the messages before the answer, and the answer. `None` where it is empty.
fn answer_of(side: &Value, name: &str) -> Option<(Vec<Line>, Line)> {
    let messages = side_messages(side, name, &mut Unread::default())?;
    let mut lines = messages.into_iter().map(|message| line_of(message, true)).collect::<Result<Vec<_>, _>>().ok()?;
    let answer = lines.pop().filter(|line| line.role() == Role::Assistant)?;
    let is_empty = says_nothing(answer.text()) && !answer.message.is_tool_use();
    (!is_empty).then_some((lines, Line { is_trained: true, ..answer }))
}

/// Returns a message or a list of messages that is written as text, as in tables.
fn written_side(text: &str) -> Option<Value> {
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let side = written_value(text)?;
    let is_message = |value: &Value| {
        let has = |names: &[&str]| names.iter().any(|name| value.get(*name).is_some());
        has(&["role", "from"]) && has(&["content", "value"])
    };
    let is_side = match &side {
        Value::Array(items) => !items.is_empty() && items.iter().all(is_message),
        other => is_message(other),
    };
    is_side.then_some(side)
}

/// Reads one side of a pair: a text, a message, or a dialogue. `None` for anything else.
pub fn side_messages(side: &Value, name: &str, unread: &mut Unread) -> Option<Vec<SourceMessage>> {
    let items = match side {
        Value::String(text) => match written_side(text) {
            Some(side) => return side_messages(&side, name, unread),
            None => {
                let answer = || vec![SourceMessage::text(SourceRole::Assistant, text.clone())];
                return Some(split_hh(text).unwrap_or_else(answer));
            }
        },
        Value::Object(message) => {
            let mut message = message.clone();
            if !["role", "from"].iter().any(|key| message.get(*key).is_some_and(Value::is_string)) {
                message.insert("role".to_owned(), "assistant".into());
            }
            vec![Value::Object(message)]
        }
        Value::Array(messages) => messages.clone(),
        _ => return None,
    };
    MessageFormat::COMMON.read_list(items, name, unread).ok().map(link_calls)
}

/// Returns the label that says whether the answer is good: a flag, 1 or 0, or a word for either. Two labels that disagree count
/// as no label.
pub fn label(columns: &Columns) -> Option<bool> {
    let flag = |value: &Value| match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => match number.as_f64()? {
            1.0 => Some(true),
            0.0 | -1.0 => Some(false),
            _ => None,
        },
        Value::String(text) => match text.trim().to_lowercase().as_str() {
            "true" | "1" | "1.0" | "good" | "desirable" | "yes" => Some(true),
            "false" | "0" | "0.0" | "-1" | "bad" | "undesirable" | "no" => Some(false),
            _ => None,
        },
        _ => None,
    };
    let mut labels = LABELS.iter().filter_map(|name| columns.get(*name).and_then(flag));
    let first = labels.next()?;
    labels.all(|other| other == first).then_some(first)
}
