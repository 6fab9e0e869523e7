use serde_json::Value;

use super::exchanges::{is_exchange, read_exchanges};
use super::leftover::conversation_left;
use super::message::MessageFormat;
use super::transcript::{is_rendered, split_transcript};
use super::{InputFormat, SourceMessage, assistant_message, user_message};
use crate::conversation::Columns;
use crate::dataset::python_literal::written_value;
use crate::dataset::unread::{Unread, has_words};

/// `{"instruction", "input", "output"}` with an optional `history`. The prompt and the answer may also have other common
/// names.
///
/// The last user message is the instruction. A non-empty `context` (Dolly) and `input` follow, each after a line end, as
/// LLaMA-Factory joins them. A row with one of Self-Instruct's `instances` has its input and output there. A prompt that is
/// a transcript is split into its messages.
pub struct Alpaca;

pub const PROMPTS: [&str; 8] =
    ["instruction", "instruct", "prompt", "query", "question", "problem", "message", "input"];
/// Columns of choices that belong to a question.
const CHOICES: [&str; 2] = ["choices", "options"];
/// Prompts that say how to answer a question beside them.
const INSTRUCTIONS: [&str; 2] = ["instruction", "instruct"];
const QUESTIONS: [&str; 3] = ["query", "question", "problem"];
const ANSWERS: [&str; 6] = ["output", "response", "answer", "solution", "completion", "target"];

impl InputFormat for Alpaca {
    fn name(&self) -> &'static str {
        "alpaca"
    }

    fn matches(&self, row: &Columns) -> bool {
        PROMPTS.iter().any(|name| row.get(*name).is_some_and(Value::is_string))
    }

    fn take(&self, row: &mut Columns, unread: &mut Unread) -> Result<Vec<SourceMessage>, String> {
        take_instance(row, unread)?;
        let prompt = best_text(row, &PROMPTS).ok_or_else(|| "there is no prompt".to_owned())?;
        let mut messages = take_history(row, unread)?;
        let mut text = take_string(row, prompt).unwrap_or_default();
        if let Some(question) = INSTRUCTIONS.contains(&prompt).then(|| other_question(row, &text)).flatten() {
            // The instruction says how to answer the question.
            text = format!("{text}\n{question}");
        }
        for name in ["context", "input"] {
            if let Some(more) = take_more(row, name)? {
                text = if text.is_empty() { more } else { format!("{text}\n{more}") };
            }
        }
        let answer = take_answer(row);
        let is_choices =
            |value: &Value| value.as_array().is_some_and(|items| !items.is_empty()) || value["text"].is_array();
        if let Some(name) = CHOICES.iter().find(|name| row.get(**name).is_some_and(is_choices)) {
            return Err(format!("`{name}` belongs to what is asked, and no format reads it; write it into `{prompt}`"));
        }
        if let Some(name) = conversation_left(row) {
            return Err(format!(
                "`{name}` holds a conversation beside `{prompt}` that no known format reads; --map names the list and its keys"
            ));
        }
        match split_transcript(&text) {
            Some(split) => messages.extend(split),
            None if is_rendered(&text) => {
                return Err(format!(
                    "`{prompt}` is a dialogue that a chat template has written; --format templated reads it"
                ));
            }
            None if holds_list(&text) => {
                return Err(format!("`{prompt}` is a JSON list written as text; --map names a list of messages"));
            }
            None => messages.push(user_message(text)),
        }
        let answer = answer.map(assistant_message);
        match (messages.last(), answer) {
            (Some(last), Some(answer)) if last.role == answer.role && *last != answer => {
                Err(format!("`{prompt}` ends with an answer, and the row has another one"))
            }
            (Some(last), Some(answer)) if last.role != answer.role => {
                messages.push(answer);
                Ok(messages)
            }
            _ => Ok(messages),
        }
    }

    fn list_columns(&self) -> &'static [&'static str] {
        &["history", "instances"]
    }
}

/// Returns the first of these columns whose text is not blank; else the first that has a text.
fn best_text(row: &Columns, names: &[&'static str]) -> Option<&'static str> {
    let has_text = |name: &&&str| row.get(**name).and_then(Value::as_str).is_some_and(|text| !text.trim().is_empty());
    let is_text = |name: &&&str| row.get(**name).is_some_and(Value::is_string);
    names.iter().find(has_text).or_else(|| names.iter().find(is_text)).copied()
}

/// Takes a question beside an instruction that does not repeat it.
fn other_question(row: &mut Columns, text: &str) -> Option<String> {
    let name = best_text(row, &QUESTIONS)?;
    let question = row.get(name)?.as_str()?;
    if question.trim().is_empty() || text.contains(question.trim()) {
        return None;
    }
    take_string(row, name)
}

/// Takes the answer: a text, a list of one text, or a number.
fn take_answer(row: &mut Columns) -> Option<String> {
    if let Some(name) = best_text(row, &ANSWERS) {
        return take_string(row, name);
    }
    let text = |value: &Value| match value {
        Value::Number(number) => Some(number.to_string()),
        Value::Array(items) if items.len() == 1 => items[0].as_str().map(str::to_owned),
        _ => None,
    };
    let (name, answer) = ANSWERS.iter().find_map(|name| Some((*name, text(row.get(*name)?)?)))?;
    row.shift_remove(name);
    Some(answer)
}

fn take_string(row: &mut Columns, name: &str) -> Option<String> {
    if !row.get(name).is_some_and(Value::is_string) {
        return None;
    }
    match row.shift_remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// Takes a text that is asked together with the prompt; `None` where it is empty.
fn take_more(row: &mut Columns, name: &str) -> Result<Option<String>, String> {
    let Some(value) = row.get(name).filter(|value| has_words(value)) else {
        row.shift_remove(name);
        return Ok(None);
    };
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(items) if items.iter().all(|item| item.is_string() || item.is_null()) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
        }
        _ => return Err(format!("`{name}` is neither a text nor a list of texts, so what is asked is not known")),
    };
    row.shift_remove(name);
    Ok(Some(text).filter(|text| !text.trim().is_empty()))
}

/// Moves the one instance of a Self-Instruct row to the columns `input` and `output`.
fn take_instance(row: &mut Columns, unread: &mut Unread) -> Result<(), String> {
    let Some(Value::Array(instances)) = row.get("instances") else { return Ok(()) };
    let is_instance = |value: &Value| value.get("input").is_some() || value.get("output").is_some();
    if instances.is_empty() || !instances.iter().all(is_instance) {
        return Ok(());
    }
    if instances.len() > 1 {
        return Err(format!(
            "it has {} `instances`, and a row is one conversation; write a row for each",
            instances.len()
        ));
    }
    if ["input", "output"].iter().any(|name| row.get(*name).is_some_and(has_words)) {
        return Err("it has an `input` or `output` beside its `instances`".to_owned());
    }
    let Some(Value::Array(mut instances)) = row.shift_remove("instances") else { return Ok(()) };
    if let Some(Value::Object(mut instance)) = instances.pop() {
        row.extend(["input", "output"].map(|name| (name.to_owned(), instance.shift_remove(name).unwrap_or_default())));
        unread.add(|| "instances[]".to_owned(), &Value::Object(instance));
    }
    Ok(())
}

/// Takes the earlier messages: pairs, exchanges, or messages with roles.
fn take_history(row: &mut Columns, unread: &mut Unread) -> Result<Vec<SourceMessage>, String> {
    let mut messages = Vec::new();
    match row.shift_remove("history") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) if text.trim().is_empty() => {}
        Some(Value::Array(items)) => match items.first() {
            Some(Value::Object(first)) if is_exchange(first) => {
                messages = read_exchanges(items, "history", unread)?;
            }
            Some(Value::Object(_)) => messages = MessageFormat::COMMON.read_list(items, "history", unread)?,
            _ => items.into_iter().try_for_each(|pair| take_pair(pair, &mut messages))?,
        },
        Some(Value::Object(fields)) if fields.is_empty() => {}
        Some(_) => return Err("`history` is not a list of pairs".to_owned()),
    }
    Ok(messages)
}

fn take_pair(pair: Value, messages: &mut Vec<SourceMessage>) -> Result<(), String> {
    let fault = || "`history` is not a list of pairs".to_owned();
    if !has_words(&pair) {
        // An exchange in which nobody said anything.
        return Ok(());
    }
    let Value::Array(sides) = pair else { return Err(fault()) };
    let [asked, said] = &sides[..] else { return Err(fault()) };
    for (side, message) in [(asked, user_message as fn(String) -> SourceMessage), (said, assistant_message)] {
        match side {
            Value::String(text) => messages.push(message(text.clone())),
            // A greeting has no question, and a last question no answer.
            Value::Null => {}
            _ => return Err(fault()),
        }
    }
    Ok(())
}

/// True for a JSON list of texts or of objects that is written as text: several messages, most likely.
fn holds_list(text: &str) -> bool {
    let trimmed = text.trim();
    if !trimmed.starts_with('[') || !trimmed.ends_with(']') {
        return false;
    }
    let parsed = written_value(trimmed);
    let Some(Value::Array(items)) = parsed else { return false };
    !items.is_empty() && (items.iter().all(Value::is_string) || items.iter().all(Value::is_object))
}
