use serde_json::{Map, Value, json};

use super::without_nulls;
use crate::dataset::meta::scalar_text;
use crate::dataset::python_literal::{python_value, written_value};
use crate::dataset::unread::Unread;

/// A call that does not say which function it calls, or is text that is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnreadableCall;

const FUNCTIONS: [&str; 3] = ["function", "functionCall", "toolUse"];
const ARGUMENTS: [&str; 5] = ["arguments", "args", "input", "parameters", "function_args"];
const NAMES: [&str; 2] = ["name", "function_name"];
const IDS: [&str; 4] = ["id", "toolUseId", "call_id", "tool_call_id"];

/// True for roles whose content is the call itself, as in `ShareGPT` files.
pub fn is_call_role(name: &str) -> bool {
    matches!(name.trim().to_lowercase().as_str(), "function_call" | "tool_call" | "function-call" | "tool-call")
}

/// Returns calls as `tool_calls` has them: `{"id", "type": "function", "function": {"name", "arguments"}}`, with the
/// arguments as JSON text. `value` is a call or a list of calls, in the form of `OpenAI`, Anthropic, Bedrock, Gemini or
/// `ShareGPT`, each also as JSON text. Fields that are null, and calls that have nothing else, are not there.
///
/// `place` is where the value stands in the row; what a call holds besides goes to `unread`.
pub fn normalised_calls(value: Value, place: &str, unread: &mut Unread) -> Result<Vec<Value>, UnreadableCall> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) if matches!(text.trim(), "" | "null" | "[]" | "{}") => Ok(Vec::new()),
        Value::String(text) => match written_value(&text) {
            Some(value @ (Value::Array(_) | Value::Object(_))) => normalised_calls(value, place, unread),
            _ => Err(UnreadableCall),
        },
        Value::Array(calls) => {
            let mut normalised = Vec::with_capacity(calls.len());
            let place = format!("{place}[]");
            for call in calls {
                normalised.extend(normalised_calls(call, &place, unread)?);
            }
            Ok(normalised)
        }
        Value::Object(_) => normalised_call(value, place, unread).map(|call| call.into_iter().collect()),
        Value::Bool(_) | Value::Number(_) => Err(UnreadableCall),
    }
}

fn normalised_call(mut call: Value, place: &str, unread: &mut Unread) -> Result<Option<Value>, UnreadableCall> {
    without_nulls(&mut call);
    let Value::Object(mut call) = call else { return Err(UnreadableCall) };
    let mut take = |names: &[&str]| names.iter().find_map(|name| call.shift_remove(*name));
    let id = take(&IDS).and_then(scalar_text);
    let function = take(&FUNCTIONS);
    call.shift_remove("type");
    let mut inner_place = format!("{place}.function");
    let mut function = match function {
        Some(Value::Object(function)) => {
            unread.add(|| place.to_owned(), &Value::Object(call));
            function
        }
        // `{"function": "name", "arguments": …}`
        Some(Value::String(name)) => {
            call.insert("name".to_owned(), name.into());
            call
        }
        Some(_) => return Err(UnreadableCall),
        None => {
            place.clone_into(&mut inner_place);
            call
        }
    };
    let mut take = |names: &[&str]| names.iter().find_map(|name| function.shift_remove(*name));
    let inner_id = take(&IDS).and_then(|id| id.as_str().map(str::to_owned));
    let (name, arguments) = (take(&NAMES), take(&ARGUMENTS));
    let name = match name {
        Some(Value::String(name)) if !name.trim().is_empty() => name,
        None if id.is_none() && arguments.as_ref().is_none_or(is_blank) => return Ok(None),
        _ => return Err(UnreadableCall),
    };
    unread.add(|| inner_place, &Value::Object(function));
    let mut normalised = Map::new();
    normalised.extend(id.or(inner_id).map(|id| ("id".to_owned(), id.into())));
    normalised.insert("type".to_owned(), "function".into());
    normalised.insert("function".to_owned(), json!({"name": name, "arguments": arguments_text(arguments)?}));
    Ok(Some(Value::Object(normalised)))
}

fn is_blank(arguments: &Value) -> bool {
    match arguments {
        Value::String(text) => text.trim().is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Returns arguments as the text of a JSON object. Text that is one already stays as it is.
fn arguments_text(arguments: Option<Value>) -> Result<String, UnreadableCall> {
    match arguments {
        None => Ok("{}".to_owned()),
        Some(Value::String(text)) if text.trim().is_empty() => Ok("{}".to_owned()),
        Some(Value::String(text)) => match serde_json::from_str(&text) {
            Ok(Value::Object(_)) => Ok(text),
            // Written as text twice.
            Ok(inner @ Value::String(_)) => arguments_text(Some(inner)),
            Ok(_) => Err(UnreadableCall),
            Err(_) => match python_value(&text) {
                Some(Value::Object(fields)) => Ok(Value::Object(fields).to_string()),
                _ => Err(UnreadableCall),
            },
        },
        Some(fields @ Value::Object(_)) => Ok(fields.to_string()),
        Some(Value::Array(items)) if items.is_empty() => Ok("{}".to_owned()),
        Some(_) => Err(UnreadableCall),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls_in(value: Value) -> Result<Vec<Value>, UnreadableCall> {
        normalised_calls(value, "calls", &mut Unread::default())
    }

    #[test]
    fn every_form_of_a_call_becomes_the_same() {
        let expected = json!({"id": "c1", "type": "function", "function": {"name": "tide", "arguments": "{\"at\":1}"}});
        for call in [
            json!({"id": "c1", "type": "function", "function": {"name": "tide", "arguments": "{\"at\":1}"}}),
            json!({"id": "c1", "function": {"name": "tide", "arguments": {"at": 1, "place": null}}, "index": null}),
            json!({"id": "c1", "name": "tide", "arguments": {"at": 1}}),
            json!({"type": "tool_use", "id": "c1", "name": "tide", "input": {"at": 1}}),
            json!({"toolUse": {"toolUseId": "c1", "name": "tide", "input": {"at": 1}}}),
            json!({"id": "c1", "functionCall": {"name": "tide", "args": {"at": 1}}}),
            json!([{"id": "c1", "name": "tide", "arguments": {"at": 1}}]),
            json!("{\"id\": \"c1\", \"name\": \"tide\", \"arguments\": {\"at\": 1}}"),
        ] {
            assert_eq!(calls_in(call.clone()), Ok(vec![expected.clone()]), "{call}");
        }
    }

    #[test]
    fn what_names_no_function_is_no_call_or_is_unreadable() {
        for nothing in [json!(null), json!(""), json!([]), json!({"name": null, "arguments": null}), json!("[]")] {
            assert_eq!(calls_in(nothing.clone()), Ok(Vec::new()), "{nothing}");
        }
        for unreadable in [json!("tide(1)"), json!({"arguments": "{\"at\":1}"}), json!(7), json!([{"name": 3}])] {
            assert_eq!(calls_in(unreadable.clone()), Err(UnreadableCall), "{unreadable}");
        }
        let bare = calls_in(json!({"name": "tide", "arguments": ""})).unwrap();
        assert_eq!(bare[0]["function"]["arguments"], "{}");
    }
}
