//! Tool calls of all templates, as Hermes writes them in a text, and the results of tools.

use serde_json::{Value, json};

use super::families::Family;

/// Markers that a call begins with.
const STARTS: [&str; 4] = ["[TOOL_CALLS]", "<|python_tag|>", "<|tool_call|>", "<｜tool▁call▁begin｜>"];
/// Markers around calls that say nothing more.
const REST: [&str; 4] = ["<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁end｜>", "<|/tool_call|>"];

/// Rewrites the calls in an answer as `<tool_call>{…}</tool_call>`.
pub fn as_hermes(text: &str, family: &Family) -> Result<String, String> {
    let own = STARTS.iter().filter(|marker| family.has(marker));
    let Some((at, marker)) = own.filter_map(|marker| Some((text.find(marker)?, *marker))).min() else {
        return Ok(text.to_owned());
    };
    let mut words = text[..at].to_owned();
    for rest in REST {
        words = words.replace(rest, "");
    }
    let mut written = vec![words.trim_end().to_owned()];
    for call in text[at..].split(marker).skip(1) {
        let call = REST.iter().fold(call.to_owned(), |call, rest| call.replace(rest, ""));
        let calls = read(call.trim()).ok_or_else(|| format!("a call after `{marker}` cannot be read"))?;
        written.extend(calls.iter().map(hermes));
    }
    Ok(written.join("\n").trim_start_matches('\n').to_owned())
}

/// Rewrites the reasoning of Gemma 4 as `<think>…</think>`.
pub fn with_think_tags(text: String) -> String {
    let channel = text.strip_prefix("<|channel>thought\n").and_then(|rest| rest.split_once("<channel|>"));
    channel.map(|(reasoning, answer)| format!("<think>\n{reasoning}</think>\n\n{answer}")).unwrap_or(text)
}

/// Rewrites the call of GLM-4, a name and its arguments in the next line; nothing for any other text.
pub fn named_call(text: &str) -> Option<String> {
    let (name, arguments) = text.split_once('\n')?;
    let arguments: Value = serde_json::from_str(arguments).ok()?;
    let is_name = !name.is_empty() && !name.contains(char::is_whitespace) && arguments.is_object();
    is_name.then(|| hermes(&json!({"name": name, "arguments": arguments})))
}

/// Returns the results in a text that is nothing but `<tool_response>…</tool_response>`.
pub fn responses(text: &str) -> Option<Vec<&str>> {
    let mut rest = text.trim();
    let mut results = Vec::new();
    while !rest.is_empty() {
        let (result, after) = rest.strip_prefix("<tool_response>")?.split_once("</tool_response>")?;
        let result = result.strip_prefix('\n').unwrap_or(result);
        results.push(result.strip_suffix('\n').unwrap_or(result));
        rest = after.trim_start();
    }
    (!results.is_empty()).then_some(results)
}

/// Returns the words of Mistral's results: `{"content": …, "call_id": …}`, or the id, `[TOOL_CONTENT]` and the words.
pub fn result(text: &str) -> String {
    if let Some((_, words)) = text.split_once("[TOOL_CONTENT]") {
        return words.to_owned();
    }
    let parsed: Result<Value, _> = serde_json::from_str(text);
    match parsed.ok().as_ref().and_then(|fields| fields.get("content")) {
        Some(Value::String(words)) => words.clone(),
        Some(other) => other.to_string(),
        // The templates do not quote the words.
        None => {
            let words = text.trim().strip_prefix("{\"content\": ").and_then(|rest| rest.rsplit_once(", \"call_id\": "));
            words.map_or(text, |(words, _)| words).to_owned()
        }
    }
}

/// Reads what follows the marker of a call.
fn read(call: &str) -> Option<Vec<Value>> {
    let made = |name: &str, arguments: &str| {
        let arguments: Value = serde_json::from_str(arguments.trim()).ok()?;
        Some(vec![json!({"name": name.trim(), "arguments": arguments})])
    };
    if let Some((name, arguments)) = call.split_once("[ARGS]") {
        return made(name.split("[CALL_ID]").next()?, arguments);
    }
    if let Some((kind, rest)) = call.split_once("<｜tool▁sep｜>") {
        if kind.trim() != "function" {
            return made(kind, rest);
        }
        let (name, code) = rest.split_once('\n')?;
        return made(name, code.trim().strip_prefix("```json")?.strip_suffix("```")?);
    }
    let calls = match serde_json::from_str(call).ok()? {
        Value::Array(calls) => calls,
        call => vec![call],
    };
    calls.iter().all(|call| call["name"].is_string()).then_some(calls)
}

/// Writes a call. Llama calls its arguments parameters.
fn hermes(call: &Value) -> String {
    let mut call = call.clone();
    if let Some(fields) = call.as_object_mut()
        && let Some(parameters) = fields.shift_remove("parameters")
    {
        fields.insert("arguments".to_owned(), parameters);
    }
    format!("<tool_call>\n{call}\n</tool_call>")
}
