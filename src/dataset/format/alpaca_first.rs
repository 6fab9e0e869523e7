use serde_json::Value;

use super::{InputFormat, SourceMessage, assistant_message, system_message, user_message};
use crate::conversation::Columns;
use crate::dataset::unread::Unread;

/// The format `alpaca` as version 0.1.0 read it: a prompt that is a text is all that is asked, whatever stands beside it.
/// Kept to find answers that were stored for rows in that reading.
pub struct AlpacaFirst;

const PROMPTS: [&str; 6] = ["instruction", "instruct", "prompt", "query", "question", "problem"];
const ANSWERS: [&str; 4] = ["output", "response", "answer", "solution"];

impl InputFormat for AlpacaFirst {
    fn name(&self) -> &'static str {
        "alpaca"
    }

    fn matches(&self, row: &Columns) -> bool {
        PROMPTS.iter().any(|name| row.get(*name).is_some_and(Value::is_string))
    }

    fn take(&self, row: &mut Columns, _: &mut Unread) -> Result<Vec<SourceMessage>, String> {
        let prompt = PROMPTS.into_iter().find(|name| row.get(*name).is_some_and(Value::is_string));
        let prompt = prompt.ok_or_else(|| "there is no prompt".to_owned())?;
        let mut text = take_string(row, prompt).unwrap_or_default();
        if let Some(input) = take_string(row, "input").filter(|input| !input.trim().is_empty()) {
            text = if text.is_empty() { input } else { format!("{text}\n{input}") };
        }
        let answer = ANSWERS.into_iter().find(|name| row.get(*name).is_some_and(Value::is_string));
        let mut messages: Vec<SourceMessage> =
            take_string(row, "system").filter(|text| !text.trim().is_empty()).map(system_message).into_iter().collect();
        match row.shift_remove("history") {
            None | Some(Value::Null) => {}
            Some(Value::Array(pairs)) => pairs.into_iter().try_for_each(|pair| take_pair(pair, &mut messages))?,
            Some(_) => return Err("`history` is not a list of pairs".to_owned()),
        }
        messages.push(user_message(text));
        messages.extend(answer.and_then(|name| take_string(row, name)).map(assistant_message));
        Ok(messages)
    }

    fn list_columns(&self) -> &'static [&'static str] {
        &["history"]
    }
}

fn take_string(row: &mut Columns, name: &str) -> Option<String> {
    match row.get_mut(name).map(Value::take) {
        Some(Value::String(text)) => {
            row.shift_remove(name);
            Some(text)
        }
        Some(other) => {
            row.insert(name.to_owned(), other);
            None
        }
        None => None,
    }
}

fn take_pair(pair: Value, messages: &mut Vec<SourceMessage>) -> Result<(), String> {
    let fault = || "`history` is not a list of pairs".to_owned();
    let Value::Array(sides) = pair else { return Err(fault()) };
    let [Value::String(asked), said] = &sides[..] else { return Err(fault()) };
    messages.push(user_message(asked.clone()));
    match said {
        Value::String(text) => messages.push(assistant_message(text.clone())),
        Value::Null => {}
        _ => return Err(fault()),
    }
    Ok(())
}
