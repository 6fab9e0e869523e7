use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::conversation::{FailureCode, Message, Role};
use crate::model::failure::{Failure, FailureClass};

/// The user's turn before a conversation that begins with the assistant: the API refuses such a beginning.
pub const OPENING: &str = "Hello.";
/// Longest name of a tool.
const NAME_CHARACTERS_MAX: usize = 128;
/// The fields of a message that can be expressed. The name of a user has no field in the API; it is put before the text.
const KNOWN_FIELDS: [&str; 3] = ["tool_calls", "tool_call_id", "name"];

/// A history as the API takes it: system texts apart, turns that alternate and begin with the user, no empty text.
#[derive(Debug, Default)]
pub struct History<'a> {
    /// The system messages, from wherever in the conversation.
    pub system: Vec<&'a Message>,
    /// The turns; consecutive messages of one role are one turn.
    pub turns: Vec<Turn<'a>>,
    /// The names of the tools that were called, in the order of their first calls.
    pub tools: Vec<String>,
}

/// One turn of the user or the assistant.
#[derive(Debug)]
pub struct Turn<'a> {
    pub is_user: bool,
    /// At least one.
    pub blocks: Vec<Block<'a>>,
}

/// A part of a turn.
#[derive(Debug)]
pub enum Block<'a> {
    Text(&'a Message),
    /// Text of one of several users.
    Named {
        name: &'a str,
        message: &'a Message,
    },
    /// [`OPENING`].
    Opening,
    /// A call, with its number in the conversation.
    Call {
        number: usize,
        name: String,
        input: Value,
    },
    /// The result of the call with this number.
    Result {
        number: usize,
        content: &'a Message,
    },
}

impl<'a> History<'a> {
    /// Sorts the messages, or says why the API cannot express them.
    pub fn of(messages: &'a [Arc<Message>]) -> Result<Self, Failure> {
        let mut history = Self::default();
        let mut calls = Calls::default();
        for message in messages {
            check_fields(message)?;
            if message.role() != Role::Tool && message.role() != Role::System {
                calls.check_answered()?;
            }
            match message.role() {
                Role::System => history.system.extend(Some(&**message).filter(|message| !is_blank(message))),
                Role::User => history.push_text(true, message),
                Role::Assistant => {
                    history.push_text(false, message);
                    for call in calls_of(message) {
                        let (number, name, input) = calls.begin(call)?;
                        if !history.tools.contains(&name) {
                            history.tools.push(name.clone());
                        }
                        history.push(false, Block::Call { number, name, input });
                    }
                }
                Role::Tool => {
                    let number = calls.finish(message)?;
                    history.push(true, Block::Result { number, content: message });
                }
            }
        }
        calls.check_answered()?;
        if history.turns.is_empty() {
            return Err(inexpressible("no message of the user with text in it"));
        }
        Ok(history)
    }

    /// The API refuses empty text.
    fn push_text(&mut self, is_user: bool, message: &'a Message) {
        if !is_blank(message) {
            let block = match message.name().filter(|_| is_user) {
                Some(name) => Block::Named { name, message },
                None => Block::Text(message),
            };
            self.push(is_user, block);
        }
    }

    fn push(&mut self, is_user: bool, block: Block<'a>) {
        if self.turns.is_empty() && !is_user {
            self.turns.push(Turn { is_user: true, blocks: vec![Block::Opening] });
        }
        match self.turns.last_mut() {
            Some(turn) if turn.is_user == is_user => turn.blocks.push(block),
            _ => self.turns.push(Turn { is_user, blocks: vec![block] }),
        }
    }
}

/// The calls of a conversation. They get numbers as ids: the API requires ids that are unique and plain, and rows have
/// others.
#[derive(Default)]
struct Calls {
    count: usize,
    /// The numbers of the calls without a result, by the row's id.
    open: HashMap<String, usize>,
}

impl Calls {
    /// Returns a call's number, name and arguments.
    fn begin(&mut self, call: &Value) -> Result<(usize, String, Value), Failure> {
        let function = &call["function"];
        let said = function["name"].as_str().unwrap_or_default();
        let name = plain_name(said).ok_or_else(|| inexpressible("a tool call without a name"))?;
        let input = match &function["arguments"] {
            Value::String(text) if text.trim().is_empty() => Value::Null,
            Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into()),
            other => other.clone(),
        };
        let input = match input {
            Value::Null => Value::Object(serde_json::Map::new()),
            Value::Object(_) => input,
            _ => return Err(inexpressible(&format!("a call to `{said}` whose arguments are not a JSON object"))),
        };
        self.count += 1;
        self.open.insert(call["id"].as_str().unwrap_or_default().to_owned(), self.count);
        Ok((self.count, name, input))
    }

    /// Returns the number of the call that a result belongs to.
    fn finish(&mut self, result: &Message) -> Result<usize, Failure> {
        let id = result.fields().and_then(|fields| fields.get("tool_call_id")).and_then(Value::as_str);
        let number = self.open.remove(id.unwrap_or_default());
        number.ok_or_else(|| inexpressible("the result of a tool call that is not before it"))
    }

    fn check_answered(&self) -> Result<(), Failure> {
        if self.open.is_empty() { Ok(()) } else { Err(inexpressible("a tool call without a result after it")) }
    }
}

fn calls_of(message: &Message) -> impl Iterator<Item = &Value> {
    let calls = message.fields().and_then(|fields| fields.get("tool_calls")).and_then(Value::as_array);
    calls.into_iter().flatten()
}

/// Returns a tool's name in the characters that the API accepts.
pub fn plain_name(name: &str) -> Option<String> {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
    let name: String = name.trim().chars().take(NAME_CHARACTERS_MAX).map(plain).collect();
    Some(name).filter(|name| !name.is_empty())
}

/// Fails for a field that would be lost: the server would be asked something else than the question.
fn check_fields(message: &Message) -> Result<(), Failure> {
    let mut names = message.fields().into_iter().flat_map(|fields| fields.keys());
    match names.find(|name| !KNOWN_FIELDS.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(inexpressible(&format!("a message with the field `{name}`"))),
    }
}

fn is_blank(message: &Message) -> bool {
    message.content().trim().is_empty()
}

fn inexpressible(what: &str) -> Failure {
    let message = format!("the dialect anthropic cannot express {what}");
    Failure::new(FailureClass::Permanent, FailureCode::from("inexpressible"), message)
}
