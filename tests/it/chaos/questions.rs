//! What a run asked, from its log: each question with the moment at which it began to leave.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::recorder::Event;

/// A question: its messages as JSON.
pub type Asked = String;

/// A question, and the number of the event with which it began to leave.
pub struct Departure {
    pub event: usize,
    messages: Vec<Value>,
}

impl Departure {
    pub fn asked(&self) -> Asked {
        text_of(&self.messages)
    }

    /// The questions whose answers this one contains. Asking it shows that they are on disk.
    pub fn built_on(&self) -> impl Iterator<Item = Asked> {
        let answers = self.messages.iter().enumerate().filter(|(_, message)| message["role"] == "assistant");
        answers.map(|(at, _)| text_of(&self.messages[..at]))
    }
}

fn text_of(messages: &[Value]) -> Asked {
    serde_json::to_string(messages).unwrap()
}

/// Returns the questions of a log, in order.
pub fn departures(events: &[Event]) -> Vec<Departure> {
    // Per socket: what has left of a request, and when it began to leave.
    let mut open: HashMap<u64, (usize, Vec<u8>)> = HashMap::new();
    let mut found = Vec::new();
    for (number, event) in events.iter().enumerate() {
        let Event::Send { socket, bytes } = event else { continue };
        let (began, sent) = open.entry(*socket).or_insert((number, Vec::new()));
        if sent.is_empty() {
            *began = number;
        }
        sent.extend_from_slice(bytes);
        if let Some(messages) = messages_of(sent) {
            found.push(Departure { event: *began, messages });
            sent.clear();
        }
    }
    found.sort_by_key(|departure| departure.event);
    found
}

/// Returns the messages of a request once all of it is there. A request without a body has none and is dropped.
fn messages_of(sent: &mut Vec<u8>) -> Option<Vec<Value>> {
    let end = sent.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&sent[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let Some(length) = length.and_then(|length| length.parse::<usize>().ok()) else {
        sent.clear();
        return None;
    };
    let body: Value = serde_json::from_slice(sent.get(end..end + length)?).ok()?;
    body["messages"].as_array().cloned()
}

/// What a run was told, and what it relied on, before an event.
pub struct Before {
    /// Questions that had left.
    pub asked: HashSet<Asked>,
    /// Those whose answers later questions contain, or that an output was made of: they must never be asked again.
    pub acknowledged: HashSet<Asked>,
    /// The run had said that it was done.
    pub has_said_done: bool,
}

impl Before {
    /// Looks at the events before `end`. Once a file has been renamed to `output`, every answer is acknowledged.
    pub fn event(events: &[Event], departures: &[Departure], end: usize, output: &str) -> Self {
        let left: Vec<&Departure> = departures.iter().take_while(|departure| departure.event < end).collect();
        let asked: HashSet<Asked> = left.iter().map(|departure| departure.asked()).collect();
        let is_output = |event: &Event| matches!(event, Event::Rename { to_name, .. } if to_name == output);
        let acknowledged = if events[..end].iter().any(is_output) {
            asked.clone()
        } else {
            left.iter().flat_map(|departure| departure.built_on()).collect()
        };
        let is_done = |event: &Event| matches!(event, Event::Print { text } if text.contains("wrote "));
        Self { asked, acknowledged, has_said_done: events[..end].iter().any(is_done) }
    }
}
