//! Converts tool calls of all formats to `OpenAI`'s fields.

use serde_json::{Map, Value, json};

use super::{SourceMessage, SourceRole};
use crate::conversation::Columns;

/// True for roles whose content is the call itself, as in `ShareGPT` files.
pub fn is_call_role(name: &str) -> bool {
    matches!(name.trim().to_lowercase().as_str(), "function_call" | "tool_call")
}

/// Takes the fields about tools out of a message.
pub fn take_tool_fields(item: &mut Value, role: SourceRole) -> Columns {
    let mut fields = Columns::new();
    let mut take = |name: &str| item.get_mut(name).map(Value::take).filter(|value| !value.is_null());
    match role {
        SourceRole::Assistant => {
            let calls = take("tool_calls").filter(|calls| calls.as_array().is_some_and(|calls| !calls.is_empty()));
            let calls = calls.or_else(|| take("function_call").map(|call| json!([openai_call(&call)])));
            fields.extend(calls.map(|calls| ("tool_calls".to_owned(), calls)));
        }
        SourceRole::Tool => {
            fields.extend(["tool_call_id", "name"].into_iter().filter_map(|name| Some((name.to_owned(), take(name)?))));
        }
        SourceRole::System | SourceRole::User => {}
    }
    fields
}

/// True where every call names its function.
pub fn name_their_functions(fields: &Columns) -> bool {
    let calls = fields.get("tool_calls").and_then(Value::as_array);
    calls.is_none_or(|calls| calls.iter().all(|call| call["function"]["name"].is_string()))
}

/// Parses calls that are stored as text: `{"name", "arguments"}`, or a list of these.
pub fn written_calls(text: &str) -> Option<Value> {
    let parsed: Value = serde_json::from_str(text).ok()?;
    let calls = match &parsed {
        Value::Array(calls) => calls.as_slice(),
        call => std::slice::from_ref(call),
    };
    let are_calls = !calls.is_empty() && calls.iter().all(|call| call["name"].is_string());
    are_calls.then(|| calls.iter().map(openai_call).collect())
}

/// Converts a call. Requests store the arguments as text, whatever the row has.
fn openai_call(call: &Value) -> Value {
    let arguments = match &call["arguments"] {
        Value::String(text) => text.clone(),
        Value::Null => "{}".to_owned(),
        other => other.to_string(),
    };
    json!({"type": "function", "function": {"name": call["name"], "arguments": arguments}})
}

/// Adds missing ids to calls, and to results the id of their call. Servers require both.
pub fn name_calls(messages: &mut [SourceMessage]) {
    let mut open: std::collections::VecDeque<String> = std::collections::VecDeque::new();
    let mut count = 0;
    for message in messages {
        if let Some(Value::Array(calls)) = message.fields.get_mut("tool_calls") {
            for call in calls.iter_mut().filter_map(Value::as_object_mut) {
                count += 1;
                open.extend(name_call(call, count));
            }
        } else if message.role == SourceRole::Tool {
            let named = message.fields.get("tool_call_id").and_then(Value::as_str).map(str::to_owned);
            match named {
                Some(id) => open.retain(|other| *other != id),
                None => {
                    let id = open.pop_front();
                    message.fields.extend(id.map(|id| ("tool_call_id".to_owned(), Value::from(id))));
                }
            }
        }
    }
}

fn name_call(call: &mut Map<String, Value>, number: u32) -> Option<String> {
    if !call.get("id").is_some_and(Value::is_string) {
        let rest = std::mem::take(call);
        call.insert("id".to_owned(), format!("call_{number}").into());
        call.extend(rest.into_iter().filter(|(name, _)| name != "id"));
    }
    call["id"].as_str().map(str::to_owned)
}
