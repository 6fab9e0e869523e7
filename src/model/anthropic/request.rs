use std::io::Write;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::history::{Block, History, OPENING, Turn, plain_name};
use super::version;
use crate::conversation::{FailureCode, Message, Question, ToolSet};
use crate::model::failure::Failure;
use crate::model::fold::folded;
use crate::model::learned::Adjustment;
use crate::model::refused::{Limit, limit, refuses_schema, unsupported_fields};
use crate::model::request::{RefusedCall, RequestFormat, SCHEMA};

/// The length limit where the user gave none: the API requires one.
const MAX_TOKENS: u32 = 8192;
/// The same for models that refuse [`MAX_TOKENS`].
const MAX_TOKENS_SMALL: u32 = 4096;

/// The parameters that later versions of the API refuse.
const SAMPLING: [&str; 3] = ["temperature", "top_p", "top_k"];
/// The fields that this dialect writes itself.
const OWN: [&str; 4] = ["system", "messages", "tools", "tool_choice"];

/// The server takes temperatures up to 1.
const TEMPERATURE_TO_1: &str = "a temperature of at most 1";
/// The server refuses [`MAX_TOKENS`].
const SMALL: &str = "max_tokens of at most 4096 where none is given";

/// The end of a block up to which the server is to cache the prompt.
const CACHE_MARK: &[u8] = b",\"cache_control\":{\"type\":\"ephemeral\"}";

/// Returns the request body for a question, assembled from the messages' cached JSON.
pub fn body(question: &Question, format: &RequestFormat<'_>) -> Result<Vec<u8>, Failure> {
    let messages = folded(question);
    let history = History::of(&messages)?;
    let messages_bytes: usize = messages.iter().map(|message| message.content_json().len() + 60).sum();
    let mut body = Vec::with_capacity(messages_bytes + 256);
    body.extend_from_slice(b"{\"model\":");
    push_json(&mut body, question.target.model());
    let sampling = format.sampling(question);
    let default = if format.learned.uses(SMALL) { MAX_TOKENS_SMALL } else { MAX_TOKENS };
    push_field(&mut body, "max_tokens", sampling.max_tokens.unwrap_or(default));
    if version::takes_sampling(version::or_default(format.api_version)) {
        let limit = if format.learned.uses(TEMPERATURE_TO_1) { 1.0 } else { f64::MAX };
        push_option(&mut body, "temperature", sampling.temperature.map(|value| value.min(limit)));
        push_option(&mut body, "top_p", sampling.top_p);
    }
    let takes_sampling = version::takes_sampling(version::or_default(format.api_version));
    let is_sent = |name: &str| !OWN.contains(&name) && (takes_sampling || !SAMPLING.contains(&name));
    for (name, value) in fields(question, format).iter().filter(|(name, _)| is_sent(name)) {
        body.push(b',');
        push_json(&mut body, name);
        body.push(b':');
        push_json(&mut body, value);
    }
    push_tools(&mut body, question.target.tools(), &history.tools);
    push_system(&mut body, &history.system, format.cache_control);
    body.extend_from_slice(b",\"messages\":[");
    for (index, turn) in history.turns.iter().enumerate() {
        body.extend_from_slice(if index > 0 { b"," } else { b"" });
        let is_last = index + 1 == history.turns.len();
        push_turn(&mut body, turn, is_last && format.cache_control);
    }
    body.push(b']');
    // Some gateways stream unless they are told not to.
    push_field(&mut body, "stream", format.stream && !format.learned.drops("stream"));
    body.push(b'}');
    Ok(body)
}

/// Returns the fields besides messages and sampling. The form of the answer is beside the effort.
fn fields(question: &Question, format: &RequestFormat<'_>) -> Map<String, Value> {
    let mut fields = format.fields_as_asked(question);
    if let Some(schema) = format.schema(question) {
        let output = fields.entry("output_config").or_insert_with(|| json!({}));
        if let Some(output) = output.as_object_mut() {
            output.insert("format".to_owned(), json!({"type": "json_schema", "schema": schema.schema}));
        }
    }
    fields
}

/// Returns what a refusal reveals: a parameter that this model does not take, or its limit.
pub fn learn(refused: &RefusedCall<'_>) -> Vec<Adjustment> {
    let (question, format) = (refused.question, refused.format);
    if !matches!(refused.failure.code, FailureCode::Http(400 | 422)) {
        return Vec::new();
    }
    let message = refused.failure.message.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
    let names = |field: &str| message.contains(field);
    if names("temperature") && names("top_p") && says(&["cannot both", "only one", "not both"]) {
        return vec![Adjustment::Drop("top_p".to_owned())];
    }
    if names("temperature") && says(&["range", "between 0 and 1", "less than or equal to 1", "at most 1"]) {
        return vec![Adjustment::Use(TEMPERATURE_TO_1)];
    }
    if names("max_tokens") && names(&MAX_TOKENS.to_string()) && says(&["maximum", "at most", "too large"]) {
        return vec![Adjustment::Use(SMALL)];
    }
    if let Some(Limit { field, value }) = limit(refused, "max_tokens") {
        return vec![Adjustment::Cap { field, value }];
    }
    if format.schema(question).is_some() && refuses_schema(refused) {
        return vec![Adjustment::Drop(SCHEMA.to_owned())];
    }
    let fields = format.fields_as_asked(question);
    let sampling = format.sampling(question);
    let own = [("temperature", sampling.temperature.is_some()), ("top_p", sampling.top_p.is_some())];
    let own = own.into_iter().filter(|(_, is_sent)| *is_sent).map(|(name, _)| name);
    let sent: Vec<&str> = own.chain(fields.keys().map(String::as_str)).collect();
    let mut unsupported = unsupported_fields(refused, &sent);
    if says(&["deprecated", "not support", "unsupported", "removed", "not permitted", "not allowed"]) {
        // One refusal may name both.
        let also = ["temperature", "top_p"].into_iter().filter(|field| names(field) && sent.contains(field));
        let also: Vec<String> =
            also.filter(|field| !unsupported.iter().any(|known| known == field)).map(Into::into).collect();
        unsupported.extend(also);
        unsupported.sort();
    }
    unsupported.into_iter().map(Adjustment::Drop).collect()
}

/// Declares the tools that the model may call, and those of the history, which the API requires. Where the row offers no
/// tools, further calls are forbidden: text is wanted.
fn push_tools(body: &mut Vec<u8>, offered: Option<&ToolSet>, called: &[String]) {
    let mut tools: Vec<Value> = offered.into_iter().flat_map(ToolSet::tools).filter_map(declaration).collect();
    for name in called {
        if tools.iter().all(|tool| tool["name"] != name.as_str()) {
            tools.push(json!({"name": name, "input_schema": {"type": "object"}}));
        }
    }
    if tools.is_empty() {
        return;
    }
    push_field(body, "tools", tools);
    if offered.is_none() {
        push_field(body, "tool_choice", json!({"type": "none"}));
    }
}

/// Returns a function's definition as the API has it; `None` for a tool of another kind.
fn declaration(tool: &Value) -> Option<Value> {
    let function = tool.get("function")?;
    let name = plain_name(function["name"].as_str()?)?;
    let mut declared = Map::from_iter([("name".to_owned(), name.into())]);
    declared.extend(function.get("description").map(|text| ("description".to_owned(), text.clone())));
    let schema = function.get("parameters").cloned().unwrap_or_else(|| json!({"type": "object"}));
    declared.insert("input_schema".to_owned(), schema);
    Some(Value::Object(declared))
}

fn push_system(body: &mut Vec<u8>, system: &[&Message], cache_control: bool) {
    let text: Vec<&str> = system.iter().map(|message| message.content()).collect();
    match system {
        [] => {}
        _ if cache_control => {
            body.extend_from_slice(b",\"system\":[");
            push_text(body, |body| push_json(body, &text.join("\n\n")), true);
            body.push(b']');
        }
        _ => push_field(body, "system", text.join("\n\n")),
    }
}

fn push_turn(body: &mut Vec<u8>, turn: &Turn<'_>, cache_control: bool) {
    body.extend_from_slice(if turn.is_user { b"{\"role\":\"user\"" } else { b"{\"role\":\"assistant\"" });
    body.extend_from_slice(b",\"content\":");
    match &turn.blocks[..] {
        [Block::Text(message)] if !cache_control => body.extend_from_slice(message.content_json().as_bytes()),
        blocks => {
            body.push(b'[');
            for (index, block) in blocks.iter().enumerate() {
                body.extend_from_slice(if index > 0 { b"," } else { b"" });
                push_block(body, block, cache_control && index + 1 == blocks.len());
            }
            body.push(b']');
        }
    }
    body.push(b'}');
}

fn push_block(body: &mut Vec<u8>, block: &Block<'_>, is_marked: bool) {
    match block {
        Block::Text(message) => {
            push_text(body, |body| body.extend_from_slice(message.content_json().as_bytes()), is_marked);
        }
        Block::Named { name, message } => {
            let text = format!("{name}: {}", message.content());
            push_text(body, |body| push_json(body, &text), is_marked);
        }
        Block::Opening => push_text(body, |body| push_json(body, OPENING), is_marked),
        Block::Call { number, name, input } => {
            body.extend_from_slice(b"{\"type\":\"tool_use\"");
            push_field(body, "id", call_id(*number));
            push_field(body, "name", name);
            push_field(body, "input", input);
            end_block(body, is_marked);
        }
        Block::Result { number, content } => {
            body.extend_from_slice(b"{\"type\":\"tool_result\"");
            push_field(body, "tool_use_id", call_id(*number));
            body.extend_from_slice(b",\"content\":");
            body.extend_from_slice(content.content_json().as_bytes());
            end_block(body, is_marked);
        }
    }
}

fn push_text(body: &mut Vec<u8>, text: impl FnOnce(&mut Vec<u8>), is_marked: bool) {
    body.extend_from_slice(b"{\"type\":\"text\",\"text\":");
    text(body);
    end_block(body, is_marked);
}

fn end_block(body: &mut Vec<u8>, is_marked: bool) {
    body.extend_from_slice(if is_marked { CACHE_MARK } else { b"" });
    body.push(b'}');
}

fn call_id(number: usize) -> String {
    format!("call_{number}")
}

fn push_option(body: &mut Vec<u8>, name: &str, value: Option<impl Serialize>) {
    if let Some(value) = value {
        push_field(body, name, value);
    }
}

fn push_field(body: &mut Vec<u8>, name: &str, value: impl Serialize) {
    write!(body, ",\"{name}\":").expect("a vector takes every write");
    push_json(body, &value);
}

fn push_json(body: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(body, value).expect("names and numbers are valid JSON");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Value;

    use super::*;
    use crate::conversation::{Columns, Extras, RequestOptions, Role, Sampling, Slot, Target};
    use crate::model::failure::FailureClass;
    use crate::model::learned::Learned;

    fn said(role: Role, text: &str) -> Arc<Message> {
        Message::new(role, text)
    }

    fn with_fields(role: Role, text: &str, fields: &Value) -> Arc<Message> {
        let fields: Columns = fields.as_object().unwrap().clone();
        Message::with_fields(role, text, fields)
    }

    fn question(messages: Vec<Arc<Message>>, sampling: Sampling) -> Question {
        Question {
            slot: Slot::main(0),
            target: Target::new("claude", "anthropic", sampling),
            sample: 0,
            messages: messages.into(),
        }
    }

    fn sent(messages: Vec<Arc<Message>>, format: &RequestFormat<'_>) -> Value {
        serde_json::from_slice(&body(&question(messages, Sampling::default()), format).unwrap()).unwrap()
    }

    fn refused(messages: Vec<Arc<Message>>) -> String {
        let failure = body(&question(messages, Sampling::default()), &RequestFormat::default()).unwrap_err();
        assert_eq!((failure.class, failure.code.to_string().as_str()), (FailureClass::Permanent, "inexpressible"));
        failure.message
    }

    #[test]
    fn system_is_apart_and_the_turns_alternate() {
        use Role::{Assistant, System, User};
        let messages = vec![
            said(System, "Be brief."),
            said(User, "Hi"),
            said(User, " "),
            said(User, "there \"you\""),
            said(Assistant, "Hello."),
            said(System, "In German."),
            said(User, "And now?"),
        ];
        let expected = json!({
            "model": "claude", "max_tokens": 8192, "stream": false, "system": "Be brief.\n\nIn German.",
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "there \"you\""}]},
                {"role": "assistant", "content": "Hello."},
                {"role": "user", "content": "And now?"},
            ],
        });
        assert_eq!(sent(messages, &RequestFormat::default()), expected);
        let greeting = vec![said(Assistant, "Welcome!"), said(User, "Hi"), said(Assistant, ""), said(User, "?")];
        let expected = json!([
            {"role": "user", "content": [{"type": "text", "text": "Hello."}]},
            {"role": "assistant", "content": "Welcome!"},
            {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "?"}]},
        ]);
        assert_eq!(sent(greeting, &RequestFormat::default())["messages"], expected);
        assert!(refused(vec![said(System, "s"), said(User, "\n")]).contains("no message of the user"));
    }

    #[test]
    fn a_folded_system_message_is_part_of_the_first_turn() {
        let messages = vec![said(Role::System, "Be brief."), said(Role::User, "Hi")];
        let mut question = question(messages, Sampling::default());
        question.target = question.target.with_folded_system(true);
        let body: Value = serde_json::from_slice(&body(&question, &RequestFormat::default()).unwrap()).unwrap();
        assert_eq!((&body["system"], &body["messages"][0]["content"]), (&Value::Null, &json!("Be brief.\n\nHi")));
    }

    #[test]
    fn sampling_is_sent_where_the_version_and_the_model_take_it() {
        let sampling = Sampling { temperature: Some(1.2), top_p: Some(0.9), max_tokens: Some(7), seed: Some(1) };
        let question = question(vec![said(Role::User, "Hi")], sampling);
        let sent = |format: RequestFormat<'_>| {
            let body: Value = serde_json::from_slice(&body(&question, &format).unwrap()).unwrap();
            assert_eq!((&body["max_tokens"], &body["seed"]), (&json!(7), &Value::Null));
            (body["temperature"].as_f64(), body["top_p"].as_f64(), body["stream"] == true)
        };
        let plain = RequestFormat::default();
        let learned = |adjustment: Adjustment| {
            let mut learned = Learned::default();
            learned.add(&adjustment);
            sent(RequestFormat { learned: &learned, ..plain })
        };
        assert_eq!(sent(RequestFormat { stream: true, ..plain }), (Some(1.2), Some(0.9), true));
        assert_eq!(sent(RequestFormat { api_version: Some("2026-10-21"), ..plain }), (None, None, false));
        assert_eq!(learned(Adjustment::Use(TEMPERATURE_TO_1)), (Some(1.0), Some(0.9), false));
        assert_eq!(learned(dropped("temperature")), (None, Some(0.9), false));
        assert_eq!(learned(dropped("top_p")), (Some(1.2), None, false));
    }

    fn dropped(field: &str) -> Adjustment {
        Adjustment::Drop(field.to_owned())
    }

    #[test]
    fn a_refusal_tells_what_the_model_does_not_take() {
        let sampling = Sampling { temperature: Some(1.2), top_p: Some(0.9), ..Sampling::default() };
        let question = question(vec![said(Role::User, "Hi")], sampling);
        let learned = |code: u16, message: &str| {
            let failure = Failure::new(FailureClass::Refused, FailureCode::Http(code), message);
            let format = RequestFormat::default();
            learn(&RefusedCall { failure: &failure, reply: &[], question: &question, format: &format })
        };
        for (message, expected) in [
            (
                "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
                vec![dropped("top_p")],
            ),
            ("temperature: range: 0..1", vec![Adjustment::Use(TEMPERATURE_TO_1)]),
            ("temperature: Input should be less than or equal to 1", vec![Adjustment::Use(TEMPERATURE_TO_1)]),
            ("`temperature` is deprecated for this model.", vec![dropped("temperature")]),
            ("top_p: Extra inputs are not permitted", vec![dropped("top_p")]),
            ("`temperature` and `top_p` are not supported", vec![dropped("temperature"), dropped("top_p")]),
            (
                "max_tokens: 8192 > 4096, which is the maximum allowed number of output tokens for this model",
                vec![Adjustment::Use(SMALL)],
            ),
        ] {
            assert_eq!(learned(400, message), expected, "{message}");
            assert_eq!(learned(500, message), []);
        }
        assert_eq!(learned(400, "prompt is too long: 9 tokens > 8 maximum"), []);
        let mut learned = Learned::default();
        learned.add(&Adjustment::Use(SMALL));
        let format = RequestFormat { learned: &learned, ..RequestFormat::default() };
        assert_eq!(sent(vec![said(Role::User, "Hi")], &format)["max_tokens"], 4096);
    }

    #[test]
    fn body_fields_are_sent_where_they_have_a_place() {
        let options = RequestOptions {
            body: r#"{"top_k": 5, "system": "other", "a \"b\"": 1}"#.parse().unwrap(),
            ..RequestOptions::default()
        };
        let extras = Extras::new(options).unwrap();
        let mut question = question(vec![said(Role::User, "Hi")], Sampling::default());
        question.target = Target::with_extras("claude", "anthropic", Sampling::default(), extras);
        let sent = |api_version| {
            let format = RequestFormat { api_version, ..RequestFormat::default() };
            serde_json::from_slice::<Value>(&body(&question, &format).unwrap()).unwrap()
        };
        let (old, new) = (sent(None), sent(Some("2026-10-21")));
        assert_eq!((&old["top_k"], &old["system"], &old["a \"b\""]), (&json!(5), &Value::Null, &json!(1)));
        assert_eq!((&new["top_k"], &new["a \"b\""]), (&Value::Null, &json!(1)), "that version refuses top_k");
    }

    #[test]
    fn the_system_and_the_last_message_are_marked_for_the_cache() {
        let messages = vec![
            said(Role::System, "Be brief."),
            said(Role::User, "Hi"),
            said(Role::Assistant, "Hello."),
            said(Role::User, "And now?"),
        ];
        let body = sent(messages, &RequestFormat { cache_control: true, ..RequestFormat::default() });
        let mark = json!({"type": "ephemeral"});
        assert_eq!(body["system"], json!([{"type": "text", "text": "Be brief.", "cache_control": mark}]));
        assert_eq!(body["messages"][0]["content"], "Hi");
        assert_eq!(
            body["messages"][2]["content"],
            json!([{"type": "text", "text": "And now?", "cache_control": mark}])
        );
    }

    fn call(id: &str, name: &str, arguments: &str) -> Arc<Message> {
        let call = json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
        with_fields(Role::Assistant, "", &json!({"tool_calls": [call]}))
    }

    #[test]
    fn calls_and_results_become_blocks() {
        let result = |id: &str, text: &str| with_fields(Role::Tool, text, &json!({"tool_call_id": id, "name": "w"}));
        let messages = vec![
            said(Role::User, "Weather?"),
            call("functions.w:0", "get weather", "{\"city\": \"Rome\"}"),
            result("functions.w:0", "sunny"),
            said(Role::Assistant, "Sunny."),
            said(Role::User, "Again"),
            call("functions.w:0", "get weather", ""),
            result("functions.w:0", "rain"),
        ];
        let body = sent(messages, &RequestFormat { cache_control: true, ..RequestFormat::default() });
        let expected = json!([
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Rome"}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "sunny"}]},
            {"role": "assistant", "content": "Sunny."},
            {"role": "user", "content": "Again"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "call_2", "name": "get_weather", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_2", "content": "rain",
                "cache_control": {"type": "ephemeral"}}]},
        ]);
        assert_eq!(body["messages"], expected);
        assert_eq!(body["tools"], json!([{"name": "get_weather", "input_schema": {"type": "object"}}]));
        assert_eq!(body["tool_choice"], json!({"type": "none"}));
    }

    #[test]
    fn what_the_api_cannot_express_is_refused_with_its_reason() {
        let user = || said(Role::User, "Hi");
        let stray = with_fields(Role::Tool, "x", &json!({"tool_call_id": "a"}));
        assert!(refused(vec![user(), call("a", "f", "[1]")]).contains("are not a JSON object"));
        assert!(refused(vec![user(), call("a", "f", "{"), user()]).contains("are not a JSON object"));
        assert!(refused(vec![user(), call("a", "f", "{}"), user()]).contains("without a result"));
        assert!(refused(vec![user(), call("a", "", "{}"), user()]).contains("without a name"));
        assert!(refused(vec![user(), stray]).contains("not before it"));
        let image = with_fields(Role::User, "Look", &json!({"images": ["a.png"]}));
        assert!(refused(vec![image]).contains("the field `images`"));
    }
}
