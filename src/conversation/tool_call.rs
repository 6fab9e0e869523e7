use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value, json};

use super::message::{Message, Role};
use super::tools::ToolSet;

/// A call to a tool, as an entry of a message's `tool_calls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// The name by which its result refers to it.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments as text: JSON, or whatever the model wrote.
    pub arguments: String,
}

/// The field of a message that holds its calls.
const CALLS: &str = "tool_calls";

impl ToolCall {
    /// Returns the calls of a message, in order.
    pub fn of(message: &Message) -> Vec<Self> {
        let calls = message.fields().and_then(|fields| fields.get(CALLS)).and_then(Value::as_array);
        calls.into_iter().flatten().map(Self::from_value).collect()
    }

    /// Returns the fields of a message with these calls; none without a call.
    pub fn fields(calls: &[Self]) -> Map<String, Value> {
        let values: Vec<Value> = calls.iter().map(Self::to_value).collect();
        if values.is_empty() { Map::new() } else { Map::from_iter([(CALLS.to_owned(), values.into())]) }
    }

    fn from_value(call: &Value) -> Self {
        let function = &call["function"];
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let or_empty = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            id: or_empty(&call["id"]),
            name: or_empty(&function["name"]),
            arguments: if function["arguments"].is_null() { String::new() } else { text(&function["arguments"]) },
        }
    }

    fn to_value(&self) -> Value {
        json!({"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}})
    }

    /// Returns the message that asks somebody else for the call's result: its name and its arguments, as canonical JSON in one
    /// line.
    pub fn question(&self) -> Arc<Message> {
        let (name, arguments) = (Value::from(self.name.as_str()), self.canonical_arguments());
        let arguments = arguments.as_deref().unwrap_or("null");
        Message::new(Role::User, format!("{{\"name\":{name},\"arguments\":{arguments}}}"))
    }

    /// Returns the arguments as canonical JSON: keys sorted, no spaces, numbers of equal value written alike. No text counts
    /// as no arguments. `None` where the arguments are not a JSON object.
    pub fn canonical_arguments(&self) -> Option<String> {
        let text = self.arguments.trim();
        let arguments = if text.is_empty() { Value::Object(Map::new()) } else { serde_json::from_str(text).ok()? };
        arguments.is_object().then(|| canonical(arguments).to_string())
    }

    /// True where both call the same tool with the same arguments. Arguments that are not a JSON object are never the same.
    pub fn is_same(&self, other: &Self) -> bool {
        let arguments = || self.canonical_arguments().filter(|own| Some(own) == other.canonical_arguments().as_ref());
        self.name == other.name && arguments().is_some()
    }
}

fn canonical(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> =
                fields.into_iter().map(|(name, value)| (name, canonical(value))).collect();
            fields.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(canonical).collect()),
        Value::Number(number) => Value::Number(canonical_number(number)),
        other => other,
    }
}

/// Returns the number as an integer where it is one that a double holds exactly, else as the shortest text of the double.
fn canonical_number(number: Number) -> Number {
    /// Integers up to here are the same as doubles.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    if number.is_i64() || number.is_u64() {
        return number;
    }
    match number.as_f64() {
        Some(value) if value.fract() == 0.0 && value.abs() <= EXACT_MAX => Number::from(value as i64),
        Some(value) => Number::from_f64(value).unwrap_or(number),
        None => number,
    }
}

/// When a source row's result may follow a model's call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToolMatch {
    /// Name and arguments are equal.
    #[default]
    Exact,
    /// The name is equal.
    Name,
}

impl ToolMatch {
    /// Returns its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Name => "name",
        }
    }
}

/// The call of the source that a model's call is matched with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatchedCall {
    /// Its place among the source's calls.
    pub source: usize,
    /// True where the arguments are equal too.
    pub is_same: bool,
}

/// Why no result can follow what a model answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CallFault {
    /// The source calls a tool here, and the model answers in words.
    NoCall,
    /// The model calls a tool, and the source has no result here.
    ExtraCall,
    /// The model calls other tools, or another number of them.
    OtherCall,
    /// The model calls the source's tools with other arguments.
    OtherArguments,
    /// The model calls a tool that is not defined.
    UnknownTool,
    /// The arguments are not a JSON object.
    InvalidArguments,
    /// The model calls tools again and again.
    TooManyCalls,
}

impl CallFault {
    /// Every fault.
    pub const ALL: [Self; 7] = [
        Self::NoCall,
        Self::ExtraCall,
        Self::OtherCall,
        Self::OtherArguments,
        Self::UnknownTool,
        Self::InvalidArguments,
        Self::TooManyCalls,
    ];

    /// Returns the code in stores, outputs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoCall => "no_call",
            Self::ExtraCall => "extra_call",
            Self::OtherCall => "other_call",
            Self::OtherArguments => "other_arguments",
            Self::UnknownTool => "unknown_tool",
            Self::InvalidArguments => "invalid_arguments",
            Self::TooManyCalls => "too_many_calls",
        }
    }

    /// Returns the fault with this code.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }

    /// Returns the fault of calls that no tool could answer: one is not defined, or has invalid arguments.
    pub fn in_calls(calls: &[ToolCall], tools: &ToolSet) -> Option<Self> {
        let is_unknown = |call: &ToolCall| !tools.names().any(|name| name == call.name);
        let is_invalid = |call: &ToolCall| call.canonical_arguments().is_none();
        if calls.iter().any(is_unknown) {
            Some(Self::UnknownTool)
        } else {
            calls.iter().any(is_invalid).then_some(Self::InvalidArguments)
        }
    }
}

impl MatchedCall {
    /// Matches a model's calls with the source's, one by one and in any order. Each of the source's calls is used once, and
    /// none is left.
    pub fn all(own: &[ToolCall], source: &[ToolCall], rule: ToolMatch) -> Result<Vec<Self>, CallFault> {
        match (own.is_empty(), source.is_empty()) {
            (true, true) => return Ok(Vec::new()),
            (true, false) => return Err(CallFault::NoCall),
            (false, true) => return Err(CallFault::ExtraCall),
            (false, false) => {}
        }
        let mut free = vec![true; source.len()];
        let mut take = |accepts: &dyn Fn(&ToolCall) -> bool| {
            let at = (0..source.len()).find(|at| free[*at] && accepts(&source[*at]))?;
            free[at] = false;
            Some(at)
        };
        let same: Vec<Option<usize>> = own.iter().map(|call| take(&|other| call.is_same(other))).collect();
        let named = |(call, same): (&ToolCall, Option<usize>)| match same {
            Some(source) => Some(Self { source, is_same: true }),
            None => take(&|other| call.name == other.name).map(|source| Self { source, is_same: false }),
        };
        let matched: Option<Vec<Self>> = own.iter().zip(same).map(named).collect();
        let matched = matched.filter(|matched| matched.len() == source.len()).ok_or(CallFault::OtherCall)?;
        let is_accepted = rule == ToolMatch::Name || matched.iter().all(|call| call.is_same);
        if is_accepted { Ok(matched) } else { Err(CallFault::OtherArguments) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
        ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned() }
    }

    #[test]
    fn arguments_are_the_same_whatever_their_order_their_spaces_and_their_numbers_look_like() {
        for (one, other) in [
            (r#"{"a": 1, "b": {"d": [1, 2], "c": "x"}}"#, r#"{"b":{"c":"\u0078","d":[1.0,2e0]},"a":1}"#),
            ("{}", ""),
            ("{}", " { } "),
            (r#"{"a": 0.10}"#, r#"{"a": 1e-1}"#),
        ] {
            assert!(call("1", "f", one).is_same(&call("2", "f", other)), "{one} {other}");
        }
        for (one, other) in [
            (r#"{"a": 1}"#, r#"{"a": "1"}"#),
            (r#"{"a": 1}"#, r#"{"a": 1, "b": null}"#),
            (r#"{"a": [1, 2]}"#, r#"{"a": [2, 1]}"#),
            (r#"{"a": 9007199254740993}"#, r#"{"a": 9007199254740992}"#),
            ("{", "{"),
            ("[]", "[]"),
            ("7", "7"),
        ] {
            assert!(!call("1", "f", one).is_same(&call("1", "f", other)), "{one} {other}");
        }
        assert!(!call("1", "f", "{}").is_same(&call("1", "g", "{}")));
    }

    #[test]
    fn calls_are_matched_one_by_one_in_any_order() {
        let source = [call("1", "f", r#"{"a":1}"#), call("2", "f", r#"{"a":2}"#), call("3", "g", "{}")];
        let own = [call("x", "g", ""), call("y", "f", r#"{"a": 2}"#), call("z", "f", r#"{"a": 1}"#)];
        let matched = MatchedCall::all(&own, &source, ToolMatch::Exact).unwrap();
        assert_eq!(matched.iter().map(|call| call.source).collect::<Vec<_>>(), [2, 1, 0]);
        assert!(matched.iter().all(|call| call.is_same));
        let twice = [own[1].clone(), own[1].clone(), own[0].clone()];
        assert_eq!(MatchedCall::all(&twice, &source, ToolMatch::Exact), Err(CallFault::OtherArguments));
        let named = MatchedCall::all(&twice, &source, ToolMatch::Name).unwrap();
        let found: Vec<_> = named.iter().map(|call| (call.source, call.is_same)).collect();
        assert_eq!(found, [(1, true), (0, false), (2, true)], "the result of the same arguments is taken first");
    }

    #[test]
    fn another_number_or_another_tool_is_another_call() {
        let source = [call("1", "f", "{}"), call("2", "f", "{}")];
        let fault = |own: &[ToolCall]| MatchedCall::all(own, &source, ToolMatch::Name).unwrap_err();
        assert_eq!(fault(&[]), CallFault::NoCall);
        assert_eq!(fault(&source[..1]), CallFault::OtherCall);
        assert_eq!(fault(&[source[0].clone(), call("2", "g", "{}")]), CallFault::OtherCall);
        assert_eq!(fault(&[&source[..], &source[..1]].concat()), CallFault::OtherCall);
        assert_eq!(MatchedCall::all(&source, &[], ToolMatch::Name), Err(CallFault::ExtraCall));
        assert_eq!(MatchedCall::all(&[], &[], ToolMatch::Exact), Ok(Vec::new()));
    }

    #[test]
    fn calls_are_read_from_a_message_as_they_are_written_to_it() {
        let calls = vec![call("1", "f", r#"{"a":1}"#), call("2", "g", "{broken")];
        let message = Message::with_fields(Role::Assistant, "words", ToolCall::fields(&calls));
        assert_eq!(ToolCall::of(&message), calls);
        assert!(message.is_tool_use());
        let plain = Message::with_fields(Role::Assistant, "words", ToolCall::fields(&[]));
        assert!(plain.fields().is_none() && ToolCall::of(&plain).is_empty());
    }

    #[test]
    fn a_fault_is_found_before_calls_are_compared() {
        let tools = ToolSet::new(vec![json!({"type": "function", "function": {"name": "f"}}), json!({"name": "g"})]);
        let fault = |name: &str, arguments: &str| CallFault::in_calls(&[call("1", name, arguments)], &tools);
        assert_eq!((fault("f", "{}"), fault("g", "")), (None, None));
        assert_eq!(fault("h", "{"), Some(CallFault::UnknownTool));
        assert_eq!(fault("f", "{"), Some(CallFault::InvalidArguments));
        assert_eq!(fault("f", "[1]"), Some(CallFault::InvalidArguments));
        for fault in CallFault::ALL {
            assert_eq!(CallFault::named(fault.name()), Some(fault));
        }
        assert_eq!(CallFault::named("tool_use"), None);
    }
}
