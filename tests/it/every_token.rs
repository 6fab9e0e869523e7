//! Each text of a row is a word of its own. What belongs to the conversation reaches the request or the training messages, or
//! the row is refused; what reaches neither is exactly what `inspect` lists.

use std::collections::{BTreeMap, BTreeSet};

use cohobate::dataset::{Census, Reading, RowReader};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::capture::Capture;
use crate::support::{Place, jsonl};

/// A text that belongs to the conversation.
const SAID: &str = "§";

/// A layout with `turns` exchanges.
type Layout = fn(usize) -> Value;

fn messages(turns: usize, role: &str, content: &str, names: [&str; 2]) -> Value {
    (0..turns).flat_map(|_| names.map(|name| json!({role: name, content: SAID}))).collect()
}

fn plain(turns: usize) -> Value {
    messages(turns, "role", "content", ["user", "assistant"])
}

const LAYOUTS: &[(&str, Layout)] = &[
    ("openai", |turns| json!({"id": "§id", "messages": plain(turns)})),
    ("openai with a system column", |turns| json!({"system": SAID, "messages": plain(turns)})),
    ("anthropic", |turns| {
        let said = |role: &str| json!({"role": role, "content": [{"type": "text", "text": SAID}, {"type": "text", "text": SAID}]});
        let list: Vec<Value> = (0..turns).flat_map(|_| [said("user"), said("assistant")]).collect();
        json!({"system": [{"type": "text", "text": SAID}], "messages": list})
    }),
    ("bedrock", |turns| {
        let said = |role: &str| json!({"role": role, "content": [{"text": SAID}]});
        let list: Vec<Value> = (0..turns).flat_map(|_| [said("user"), said("assistant")]).collect();
        json!({"system": [{"text": SAID}], "messages": list})
    }),
    ("gemini", |turns| {
        let said = |role: &str| json!({"role": role, "parts": [{"text": SAID}]});
        let list: Vec<Value> = (0..turns).flat_map(|_| [said("user"), said("model")]).collect();
        json!({"systemInstruction": {"parts": [{"text": SAID}]}, "contents": list})
    }),
    ("thoughts", |turns| {
        let said = json!([{"role": "user", "content": SAID}, {"role": "assistant", "content": SAID, "reasoning_content": SAID}]);
        json!({"messages": (0..turns).flat_map(|_| said.as_array().unwrap().clone()).collect::<Vec<_>>()})
    }),
    ("names", |turns| {
        let said = json!([{"role": "user", "name": SAID, "content": SAID}, {"role": "assistant", "content": SAID}]);
        json!({"messages": (0..turns).flat_map(|_| said.as_array().unwrap().clone()).collect::<Vec<_>>()})
    }),
    (
        "refusals",
        |_| json!({"messages": [{"role": "user", "text": SAID}, {"role": "assistant", "content": null, "refusal": SAID}]}),
    ),
    ("tools", |turns| {
        json!({"tools": [{"type": "function", "function": {"name": SAID, "description": SAID, "parameters": {"type": "object",
            "properties": {"at": {"type": "string", "description": SAID}}}}}], "messages": plain(turns)})
    }),
    ("calls", |_| {
        json!({"messages": [{"role": "user", "content": SAID},
            {"role": "assistant", "content": SAID, "tool_calls": [{"id": SAID, "type": "function", "function": {"name": SAID, "arguments": {"at": SAID}}}]},
            {"role": "tool", "content": SAID}, {"role": "assistant", "content": SAID}]})
    }),
    ("sharegpt", |turns| json!({"system": SAID, "conversations": messages(turns, "from", "value", ["human", "gpt"])})),
    ("lmsys", |turns| json!({"conversation_id": "§id", "conversation": plain(turns)})),
    (
        "exchanges",
        |turns| json!({"system_prompt": SAID, "conversation": vec![json!({"human": SAID, "assistant": SAID}); turns]}),
    ),
    ("questions", |turns| json!({"conversations": vec![json!({"question": SAID, "answer": SAID}); turns]})),
    ("mtbench101", |turns| json!({"history": vec![json!({"user": SAID, "bot": SAID}); turns]})),
    (
        "alpaca",
        |turns| json!({"instruction": SAID, "input": SAID, "output": SAID, "history": vec![json!([SAID, SAID]); turns - 1]}),
    ),
    ("dolly", |_| json!({"instruction": SAID, "context": SAID, "response": SAID})),
    ("self-instruct", |_| json!({"instruction": SAID, "instances": [{"input": SAID, "output": SAID}]})),
    ("history of roles", |turns| json!({"history": plain(turns - 1), "prompt": SAID, "response": SAID})),
    ("oasst", |_| {
        json!({"prompt": {"text": SAID, "role": "prompter", "replies": [{"text": SAID, "role": "assistant",
            "replies": [{"text": SAID, "role": "prompter", "replies": []}]}]}})
    }),
    (
        "nested replies",
        |_| json!({"text": SAID, "role": "prompter", "replies": [{"text": SAID, "role": "assistant", "replies": []}]}),
    ),
    ("turns", |turns| json!({"turns": vec![json!(SAID); turns]})),
    ("ultrachat", |turns| json!({"data": vec![json!(SAID); 2 * turns]})),
    (
        "cohere",
        |turns| json!({"preamble": SAID, "chat_history": messages(turns - 1, "role", "message", ["USER", "CHATBOT"]), "message": SAID, "text": SAID}),
    ),
    ("arena-hard", |turns| {
        let said = |role: &str| {
            if role == "user" {
                json!({"role": role, "content": SAID})
            } else {
                json!({"role": role, "content": {"answer": SAID}})
            }
        };
        json!({"messages": (0..turns).flat_map(|_| [said("user"), said("assistant")]).collect::<Vec<_>>()})
    }),
    (
        "model answers",
        |turns| json!({"turns": vec![json!(SAID); turns], "choices": [{"index": 0, "turns": vec![json!(SAID); turns]}]}),
    ),
    (
        "votes",
        |turns| json!({"prompt": vec![json!(SAID); turns], "response_a": vec![json!(SAID); turns], "winner_model_a": 1}),
    ),
    ("pairs", |turns| {
        json!({"prompt": messages(turns, "role", "content", ["user", "assistant"]).as_array().unwrap()[..2 * turns - 1],
            "chosen": [{"role": "assistant", "content": SAID}], "rejected": [{"role": "assistant", "content": SAID}]})
    }),
    ("pairs of texts", |_| json!({"system": SAID, "question": SAID, "chosen": SAID, "rejected": SAID})),
];

/// Gives each text a word of its own, and adds fields that nobody knows to some objects. Returns the words by their place, and
/// those that belong to the conversation.
struct Words {
    next: u32,
    places: BTreeMap<String, String>,
    said: BTreeSet<String>,
    /// Objects get a further field where a bit is set.
    further: u64,
}

impl Words {
    fn give(&mut self, value: &mut Value, place: &str) {
        match value {
            Value::String(text) if text.starts_with(SAID) => {
                *text = format!("w{}w", self.next);
                self.next += 1;
                self.places.insert(text.clone(), place.to_owned());
                self.said.insert(text.clone());
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.give(item, &format!("{place}[]"))),
            Value::Object(fields) => {
                for (name, value) in fields.iter_mut() {
                    self.give(value, &if place.is_empty() { name.clone() } else { format!("{place}.{name}") });
                }
                // A schema is a thing of its own: all of it is sent.
                let is_plain = !place.contains("tools") && !place.contains("arguments");
                let is_set = self.further & 1 == 1;
                self.further = self.further.rotate_right(1);
                if is_plain && is_set {
                    let name = if place.is_empty() { "note".to_owned() } else { format!("{place}.note") };
                    self.places.insert(format!("w{}w", self.next), name);
                    fields.insert("note".to_owned(), format!("w{}w", self.next).into());
                    self.next += 1;
                }
            }
            _ => {}
        }
    }
}

/// Returns the words in a text: digits between two letters `w`. They may stand side by side.
fn words_in(text: &str) -> BTreeSet<String> {
    let starts = text.match_indices('w').map(|(at, _)| &text[at + 1..]);
    let word = |rest: &str| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        (!digits.is_empty() && rest[digits.len()..].starts_with('w')).then(|| format!("w{digits}w"))
    };
    starts.filter_map(word).collect()
}

/// Returns the words of a row that reach the request or the training messages; `None` where it is refused.
fn reached(row: &Value) -> Option<BTreeSet<String>> {
    let reader = RowReader::default();
    let bytes = row.to_string();
    let source = reader.source(bytes.as_bytes()).ok()?;
    let mut words = words_in(source.id.as_deref().unwrap_or_default());
    let record = source.clone().into_record(&reader.rules).ok()?;
    for line in record.lines.iter().chain(&record.rejected) {
        words.extend(words_in(line.text()));
        words.extend(words_in(line.reasoning.as_deref().unwrap_or_default()));
        words.extend(words_in(&json!(line.message.fields()).to_string()));
    }
    if let Reading::Ready { seed, .. } = reader.seed(source) {
        for message in seed.turns.iter().flat_map(|turn| &turn.messages) {
            words.extend(words_in(message.content()));
            words.extend(words_in(&json!(message.fields()).to_string()));
        }
        words.extend(words_in(seed.tools.as_ref().map_or("", |tools| tools.json())));
    }
    words.extend(words_in(record.tools.as_ref().map_or("", |tools| tools.json())));
    Some(words)
}

fn row_of(layout: Layout, turns: usize, further: u64) -> (Value, Words) {
    let mut row = layout(turns);
    let mut words = Words { next: 0, places: BTreeMap::new(), said: BTreeSet::new(), further };
    words.give(&mut row, "");
    (row, words)
}

proptest! {
    #[test]
    fn a_word_is_read_or_listed(number in 0..LAYOUTS.len(), turns in 1usize..4, further in any::<u64>()) {
        let (name, layout) = LAYOUTS[number];
        let (row, words) = row_of(layout, turns, further);
        let Some(found) = reached(&row) else { return Err(TestCaseError::fail(format!("{name} is refused: {row}"))) };
        let lost: Vec<&String> = words.said.difference(&found).collect();
        prop_assert!(lost.is_empty(), "{name} loses {lost:?} of {row}");
        let mut census = Census::default();
        census.add(&RowReader::default(), row.to_string().as_bytes());
        let not_read = census.not_read();
        let listed: BTreeSet<&str> = not_read.keys().map(String::as_str).collect();
        let nowhere: BTreeSet<&str> = words.places.iter().filter(|(word, _)| !found.contains(*word)).map(|(_, place)| place.as_str()).collect();
        let listed: BTreeSet<&str> = listed.into_iter().filter(|place| words.places.values().any(|known| known == place)).collect();
        prop_assert_eq!(listed, nowhere, "{} {}", name, row);
    }

    #[test]
    fn a_row_with_a_conversation_under_another_name_is_read_or_refused(
        prompt in prop::sample::select(vec!["prompt", "instruction", "question", "query"]),
        name in prop::sample::select(vec!["messages", "conversations", "dialog", "history", "chosen", "turns", "chat_history"]),
        role in prop::sample::select(vec!["role", "from", "speaker", "who"]),
    ) {
        let mut row = json!({prompt: SAID, name: [{role: "user", "content": SAID}, {role: "assistant", "content": SAID}]});
        let mut words = Words { next: 0, places: BTreeMap::new(), said: BTreeSet::new(), further: 0 };
        words.give(&mut row, "");
        if let Some(found) = reached(&row) {
            let list: BTreeSet<String> = words_in(&row[name].to_string());
            prop_assert!(list.is_subset(&found), "{:?} of {}", found, row);
        }
    }
}

#[test]
fn the_words_of_every_layout_are_sent() {
    let rows: Vec<(Value, Words)> = LAYOUTS.iter().map(|(_, layout)| row_of(*layout, 2, 0)).collect();
    let server = Capture::start();
    let place = Place::new();
    for ((name, _), (row, words)) in LAYOUTS.iter().zip(rows) {
        place.write("in.jsonl", jsonl(std::slice::from_ref(&row)));
        let before = server.requests().len();
        let model = server.model("m");
        let line = [
            "distill",
            "in.jsonl",
            "--teacher",
            &model,
            "--store",
            name,
            "-o",
            "out.jsonl",
            "--tools",
            "replay",
            "--to",
            "axolotl",
        ];
        place.complete(&line);
        let sent: BTreeSet<String> =
            server.requests()[before..].iter().flat_map(|request| words_in(&request.text)).collect();
        let source = RowReader::default().source(row.to_string().as_bytes()).unwrap();
        let answers: BTreeSet<String> = source
            .into_record(&RowReader::default().rules)
            .unwrap()
            .lines
            .iter()
            .filter(|line| line.is_trained && !line.message.is_tool_use())
            .flat_map(|line| words_in(&format!("{} {}", line.text(), line.reasoning.as_deref().unwrap_or_default())))
            .collect();
        // What an old assistant said is replaced; its words are in the training messages of `convert`.
        let lost: Vec<&String> =
            words.said.iter().filter(|word| !sent.contains(*word) && !answers.contains(*word)).collect();
        let ids: Vec<&str> = ["id", "conversation_id"].to_vec();
        let lost: Vec<_> = lost
            .into_iter()
            .filter(|word| !ids.contains(&words.places[*word].as_str()) && !words.places[*word].contains("rejected"))
            .collect();
        assert!(lost.is_empty(), "{name} does not send {lost:?} of {row}");
    }
}
