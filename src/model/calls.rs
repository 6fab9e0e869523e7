//! The calls of an answer while its reply is read: whole, or in pieces.

use super::anthropic::plain_name;
use super::json::Json;
use super::text::TextBuffer;
use crate::conversation::{Question, ToolCall, ToolSet, calls_tool_in_text};

/// The calls that have been read so far.
#[derive(Debug, Default)]
pub struct PartialCalls {
    calls: Vec<PartialCall>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct PartialCall {
    /// Its number in the reply, where the server numbers calls.
    index: Option<u64>,
    id: String,
    name: String,
    arguments: TextBuffer,
}

/// A call, or a piece of one, as a reply has it.
#[derive(Debug, Default)]
pub struct CallPiece {
    pub index: Option<u64>,
    pub id: String,
    pub name: String,
    pub arguments: TextBuffer,
}

impl PartialCalls {
    /// Returns the size of what has been read.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Reads the calls of a message, or of a piece of one: `tool_calls`, or the older `function_call`.
    pub fn take_message(&mut self, message: &Json<'_>, is_whole: bool) {
        let calls = message.get("tool_calls").map(listed).unwrap_or_default();
        let calls = calls.iter().filter(|call| matches!(call, Json::Object(_)) && !call.is_empty());
        let mut pieces: Vec<CallPiece> = calls.map(|call| CallPiece::read(call)).collect();
        if pieces.is_empty() {
            let call = message.get("function_call").filter(|call| matches!(call, Json::Object(_)) && !call.is_empty());
            pieces.extend(call.map(CallPiece::of_function));
        }
        // Some servers end a stream with the whole message, which repeats what they have sent.
        if is_whole && !pieces.is_empty() {
            self.calls.clear();
        }
        for piece in pieces {
            if is_whole {
                // In a whole message each item is a call, whatever its id.
                self.begin(piece);
            } else {
                self.take(piece);
            }
        }
    }

    /// Adds a call, or a piece of the call with the same number or id. A piece without either belongs to the last call.
    pub fn take(&mut self, piece: CallPiece) {
        self.bytes += piece.id.len() + piece.name.len() + piece.arguments.len() + size_of::<PartialCall>();
        let Some(call) = self.call_of(&piece) else { return self.begin(piece) };
        let repeats = !piece.name.is_empty()
            && !call.arguments.is_empty()
            && piece.arguments.as_bytes().starts_with(call.arguments.as_bytes());
        if call.id.is_empty() {
            call.id = piece.id;
        }
        if call.name.is_empty() {
            call.name = piece.name;
        }
        // Some servers send the whole call with each chunk.
        if repeats {
            call.arguments.clear();
        }
        call.arguments.push(piece.arguments.as_bytes());
    }

    fn begin(&mut self, CallPiece { index, id, name, arguments }: CallPiece) {
        self.calls.push(PartialCall { index, id, name, arguments });
    }

    /// Returns the call that a piece continues.
    fn call_of(&mut self, piece: &CallPiece) -> Option<&mut PartialCall> {
        let is_other = |call: &PartialCall| {
            let differs = |own: &str, other: &str| !own.is_empty() && !other.is_empty() && own != other;
            // A server may give every call the same number.
            differs(&call.id, &piece.id) || (differs(&call.name, &piece.name) && !call.arguments.is_empty())
        };
        let begins = !piece.name.is_empty() && piece.id.is_empty() && piece.index.is_none();
        let is_same = |call: &PartialCall| match (piece.index, call.index) {
            (Some(own), Some(other)) => own == other && !is_other(call),
            _ if !piece.id.is_empty() && !call.id.is_empty() => call.id == piece.id,
            _ => !begins && !is_other(call),
        };
        let at = self.calls.iter().rposition(is_same)?;
        // Without a number and an id a piece continues the last call alone.
        let is_named = piece.index.is_some() || !piece.id.is_empty();
        (is_named || at + 1 == self.calls.len()).then(|| &mut self.calls[at])
    }

    /// Adds a piece of the arguments of the call with this number.
    pub fn take_arguments(&mut self, index: u64, piece: &[u8]) {
        self.bytes += piece.len();
        if let Some(call) = self.calls.iter_mut().rev().find(|call| call.index == Some(index)) {
            call.arguments.push(piece);
        }
    }

    /// Returns the calls that the question's answer keeps. Each has an id that no earlier call of the conversation has.
    pub fn into_kept(self, question: &Question) -> Vec<ToolCall> {
        if !question.target.keeps_calls() {
            return Vec::new();
        }
        let calls = self.calls.into_iter().map(|call| {
            let arguments = call.arguments.into_string();
            let is_empty = matches!(arguments.trim(), "" | "null");
            let arguments = if is_empty { "{}".to_owned() } else { arguments };
            ToolCall { id: call.id, name: defined_name(call.name.trim(), question), arguments }
        });
        let mut calls: Vec<ToolCall> = calls.collect();
        name_calls(&mut calls, question);
        calls
    }
}

/// Returns the name of the tool that is meant. Some APIs take plain names alone, and the model answers with these.
fn defined_name(name: &str, question: &Question) -> String {
    let names = || question.target.tools().into_iter().flat_map(ToolSet::names);
    if names().any(|defined| defined == name) {
        return name.to_owned();
    }
    let mut meant = names().filter(|defined| plain_name(defined).as_deref() == Some(name));
    match (meant.next(), meant.next()) {
        (Some(one), None) => one.to_owned(),
        _ => name.to_owned(),
    }
}

/// Returns a list's items, or the value itself where it is one call.
fn listed<'a, 'b>(value: &'b Json<'a>) -> &'b [Json<'a>] {
    match value {
        Json::Object(_) => std::slice::from_ref(value),
        other => other.items(),
    }
}

impl CallPiece {
    fn read(call: &Json<'_>) -> Self {
        let function = call.get("function").filter(|function| matches!(function, Json::Object(_))).unwrap_or(call);
        Self { index: call.get("index").and_then(Json::count), id: text_in(call, "id"), ..Self::of_function(function) }
    }

    /// Reads a block of Anthropic's, whole or at its start. Arguments that follow in pieces are an empty object at the start.
    pub fn of_block(block: &Json<'_>, index: u64) -> Self {
        let piece = Self { index: Some(index), id: text_in(block, "id"), ..Self::of_function(block) };
        let arguments = if piece.arguments.as_bytes() == b"{}" { TextBuffer::default() } else { piece.arguments };
        Self { arguments, ..piece }
    }

    fn of_function(function: &Json<'_>) -> Self {
        let mut arguments = TextBuffer::default();
        match function.any_of(&["arguments", "input", "parameters"]) {
            Some(Json::Text(text)) => arguments.push(text),
            Some(value @ (Json::Object(_) | Json::List(_))) => arguments.push(value.to_value().to_string()),
            _ => {}
        }
        Self { name: text_in(function, "name"), arguments, ..Self::default() }
    }
}

fn text_in(value: &Json<'_>, field: &str) -> String {
    value.get(field).and_then(Json::text).map(Into::into).unwrap_or_default()
}

/// Letters of an id that is made here: some servers accept this length alone.
const ID_LETTERS: usize = 9;

/// Gives calls ids of their own where they have none, or one that the conversation has already. An id is made of the
/// question and the call's place, so that the same reply is read in the same way.
fn name_calls(calls: &mut [ToolCall], question: &Question) {
    let earlier = question.messages.iter().flat_map(|message| ToolCall::of(message)).map(|call| call.id);
    let mut taken: std::collections::HashSet<String> = earlier.collect();
    let mut salt = None;
    for (place, call) in (0u64..).zip(calls) {
        if !call.id.is_empty() && taken.insert(call.id.clone()) {
            continue;
        }
        let own = *salt.get_or_insert_with(|| question.fingerprint().prefix());
        let mut number = own.wrapping_add(place);
        call.id = loop {
            let id = format!("{number:016x}")[16 - ID_LETTERS..].to_owned();
            if taken.insert(id.clone()) {
                break id;
            }
            number = number.wrapping_add(1 << 8);
        };
    }
}

const TAGS: [&str; 2] = ["<tool_call>", "</tool_call>"];

/// Splits calls from a text, as servers without a parser for calls pass them on: `<tool_call>{"name", "arguments"}
/// </tool_call>`. Returns the words and the calls; `None` where the text has none, or one that cannot be read.
pub fn calls_in_text(text: &str, question: &Question) -> Option<(String, Vec<ToolCall>)> {
    if !question.target.keeps_calls() || !calls_tool_in_text(text) {
        return None;
    }
    let (mut words, mut calls, mut rest) = (String::new(), PartialCalls::default(), text);
    while let Some((before, after)) = rest.split_once(TAGS[0]) {
        let (body, behind) = after.split_once(TAGS[1]).unwrap_or((after, ""));
        let (call, left) = Json::read(body.trim().as_bytes()).ok()?;
        let piece = CallPiece::read(&call);
        if piece.name.is_empty() || !left.trim_ascii().is_empty() {
            return None;
        }
        words.push_str(before);
        calls.calls.push(PartialCall { name: piece.name, arguments: piece.arguments, ..PartialCall::default() });
        rest = behind;
    }
    words.push_str(rest);
    Some((words.trim().to_owned(), calls.into_kept(question)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::conversation::{Message, Role, Sampling, Slot, Target};

    fn question() -> Question {
        let tools = ToolSet::new(vec![json!({"type": "function", "function": {"name": "tide"}})]);
        let target = Target::new("m", "openai", Sampling::default()).keeping_calls(Some(&tools));
        Question { slot: Slot::main(0), target, sample: 0, messages: vec![Message::new(Role::User, "hi")].into() }
    }

    fn read(messages: &[Value]) -> Vec<(String, String, String)> {
        let mut calls = PartialCalls::default();
        for message in messages {
            let text = message.to_string();
            calls.take_message(&Json::read(text.as_bytes()).unwrap().0, message.get("content").is_some());
        }
        calls.into_kept(&question()).into_iter().map(|call| (call.id, call.name, call.arguments)).collect()
    }

    fn call(id: &str, name: &str, arguments: &str) -> (String, String, String) {
        (id.to_owned(), name.to_owned(), arguments.to_owned())
    }

    fn piece(index: u32, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
        json!({"tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": arguments}}]})
    }

    #[test]
    fn calls_are_put_together_from_pieces_by_their_number() {
        let pieces = [
            piece(0, Some("a"), Some("tide"), ""),
            piece(0, None, None, "{\"at\""),
            piece(1, Some("b"), Some("wind"), "{"),
            piece(0, None, None, ": 1}"),
            piece(1, None, None, "}"),
        ];
        assert_eq!(read(&pieces), [call("a", "tide", "{\"at\": 1}"), call("b", "wind", "{}")]);
    }

    #[test]
    fn whole_calls_are_read_in_every_form() {
        for message in [
            json!({"content": null, "tool_calls": [{"id": "a", "function": {"name": "tide", "arguments": "{\"at\":1}"}}]}),
            json!({"content": "", "tool_calls": [{"id": "a", "function": {"name": "tide", "arguments": {"at": 1}}}]}),
            json!({"content": "", "tool_calls": {"id": "a", "name": "tide", "input": {"at": 1}}}),
        ] {
            assert_eq!(read(std::slice::from_ref(&message)), [call("a", "tide", "{\"at\":1}")], "{message}");
        }
        let old = json!({"content": null, "function_call": {"name": "tide", "arguments": "{\"at\":1}"}});
        let [(id, name, arguments)] = &read(&[old])[..] else { panic!("one call") };
        assert_eq!((id.len(), name.as_str(), arguments.as_str()), (9, "tide", "{\"at\":1}"));
        let old = [
            json!({"function_call": {"name": "tide", "arguments": ""}}),
            json!({"function_call": {"arguments": "{\"at\""}}),
            json!({"function_call": {"arguments": ":1}"}}),
        ];
        assert_eq!(read(&old)[0].2, "{\"at\":1}");
    }

    #[test]
    fn pieces_without_a_number_or_an_id_continue_the_last_call() {
        let piece = |id: Value, name: Value, arguments: &str| json!({"tool_calls": [{"id": id, "function": {"name": name, "arguments": arguments}}]});
        let named = [
            piece(json!("a"), json!("tide"), "{"),
            piece(Value::Null, Value::Null, "}"),
            piece(json!("b"), json!("tide"), "{}"),
        ];
        assert_eq!(read(&named), [call("a", "tide", "{}"), call("b", "tide", "{}")]);
        let unnamed = [
            piece(Value::Null, json!("tide"), "{\"at\":"),
            piece(Value::Null, json!(""), "1}"),
            piece(Value::Null, json!("tide"), "{\"at\":1}"),
        ];
        let calls = read(&unnamed);
        assert_eq!((calls.len(), &calls[0].2, &calls[1].2), (2, &"{\"at\":1}".to_owned(), &"{\"at\":1}".to_owned()));
        assert_ne!(calls[0].0, calls[1].0, "each has an id of its own");
        assert_eq!(calls, read(&unnamed), "the same reply, the same ids");
    }

    #[test]
    fn one_number_for_every_call_and_whole_calls_in_every_chunk_are_read() {
        let same = [piece(0, Some("a"), Some("tide"), "{}"), piece(0, Some("b"), Some("wind"), "{}")];
        assert_eq!(read(&same), [call("a", "tide", "{}"), call("b", "wind", "{}")]);
        let whole = [
            piece(0, Some("a"), Some("tide"), "{\"at\""),
            piece(0, Some("a"), Some("tide"), "{\"at\":1}"),
            piece(0, Some("a"), Some("tide"), "{\"at\":1}"),
        ];
        assert_eq!(read(&whole), [call("a", "tide", "{\"at\":1}")]);
        let mut last = piece(0, Some("a"), Some("tide"), "{\"at\":1}");
        last["content"] = "".into();
        let ended = [piece(0, Some("a"), Some("tide"), "{\"at\""), piece(0, None, None, ":1}"), last];
        assert_eq!(read(&ended), [call("a", "tide", "{\"at\":1}")], "the stream ends with the whole message");
    }

    #[test]
    fn invalid_arguments_stay_what_they_are_and_none_are_an_empty_object() {
        let of = |arguments: Value| json!({"content": "", "tool_calls": [{"id": "a", "function": {"name": "tide", "arguments": arguments}}]});
        for (given, kept) in
            [(json!("{\"at\": "), "{\"at\": "), (json!(""), "{}"), (json!("null"), "{}"), (Value::Null, "{}")]
        {
            assert_eq!(read(&[of(given)]), [call("a", "tide", kept)]);
        }
        assert!(read(&[json!({"content": "", "tool_calls": [{}, null, 7]}), json!({"tool_calls": null})]).is_empty());
    }

    #[test]
    fn an_id_is_not_used_twice_in_a_conversation() {
        let mut question = question();
        let earlier = ToolCall { id: "a".to_owned(), name: "tide".to_owned(), arguments: "{}".to_owned() };
        question.messages.push(Message::with_fields(Role::Assistant, "", ToolCall::fields(&[earlier])));
        let mut calls = PartialCalls::default();
        for id in ["a", "b", "b", ""] {
            calls.calls.push(PartialCall { id: id.to_owned(), name: "tide".to_owned(), ..PartialCall::default() });
        }
        let ids: Vec<String> = calls.into_kept(&question).into_iter().map(|call| call.id).collect();
        assert_eq!(ids[1], "b");
        let mut all = ids.clone();
        all.extend(["a".to_owned()]);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 5, "{ids:?}");
    }

    #[test]
    fn a_plain_name_is_that_of_the_tool_that_is_meant() {
        let tools = ["sea.tide", "sea wind", "sea:wind"].map(|name| json!({"function": {"name": name}}));
        let tools = ToolSet::new(tools.to_vec());
        let target = Target::new("m", "anthropic", Sampling::default()).keeping_calls(Some(&tools));
        let question = Question { target, ..question() };
        for (name, meant) in [("sea_tide", "sea.tide"), ("sea.tide", "sea.tide"), ("sea_wind", "sea_wind"), ("x", "x")]
        {
            assert_eq!(defined_name(name, &question), meant);
        }
    }

    #[test]
    fn calls_in_the_text_are_split_from_the_words() {
        let question = question();
        let text = "Let me look.\n<tool_call>\n{\"name\": \"tide\", \"arguments\": {\"at\": 1}}\n</tool_call>\n<tool_call>{\"name\": \"wind\"}";
        let (words, calls) = calls_in_text(text, &question).unwrap();
        let calls: Vec<_> = calls.iter().map(|call| (call.name.as_str(), call.arguments.as_str())).collect();
        assert_eq!((words.as_str(), calls), ("Let me look.", vec![("tide", "{\"at\":1}"), ("wind", "{}")]));
        for text in ["words", "<tool_call>{\"name\": \"tide\"", "<tool_call>{\"at\": 1}</tool_call>"] {
            assert!(calls_in_text(text, &question).is_none(), "{text}");
        }
        let plain = Question { target: Target::new("m", "openai", Sampling::default()), ..question };
        assert!(calls_in_text(text, &plain).is_none(), "nobody keeps calls");
    }
}
