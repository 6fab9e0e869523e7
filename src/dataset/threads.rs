//! Message trees: selects the threads that become rows, and assembles trees from flat files with one message a row.

use std::cmp::Ordering;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::meta::scalar_text;
use super::places::RowSink;
use super::row::{Problem, RawRow, RowSource};
use crate::conversation::Columns;

/// The threads of a tree that become conversations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Threads {
    /// One thread: the reply with the best rank at every message.
    #[default]
    Best,
    /// One thread for each leaf.
    All,
}

/// Threads have at most this many messages. Deeper ones are left out.
pub const DEPTH_MAX: usize = 1_000;

/// True where a file that starts with this row must be converted before its rows are conversations: a message of
/// `OpenAssistant`'s flat files (`message_id`, `parent_id`, `text`, `role`), or a tree where all threads are selected.
pub fn needs_arranging(first_row: &[u8], threads: Threads) -> bool {
    let Ok(row) = serde_json::from_slice::<Columns>(first_row) else { return false };
    is_message(&row) || (threads == Threads::All && (is_tree(&row) || is_root(&row)))
}

fn is_message(row: &Columns) -> bool {
    ["message_id", "parent_id", "text", "role"].iter().all(|name| row.contains_key(*name)) && !is_root(row)
}

/// True for a tree whose first message is the row itself.
pub fn is_root(row: &Columns) -> bool {
    row.get("replies").is_some_and(Value::is_array) && ["text", "role"].iter().all(|name| row.contains_key(*name))
}

/// True for a tree of messages.
pub fn is_tree(row: &Columns) -> bool {
    row.get("prompt").is_some_and(|prompt| prompt.get("replies").is_some() && prompt.get("role").is_some())
}

/// True for a message that was neither deleted nor rejected in review.
pub fn is_usable(message: &Value) -> bool {
    message["deleted"] != true && message["review_result"] != false
}

/// Orders replies: the lowest rank first, unranked ones last.
pub fn by_rank(left: &Value, right: &Value) -> Ordering {
    rank_of(left).total_cmp(&rank_of(right))
}

fn rank_of(message: &Value) -> f64 {
    let rank = &message["rank"];
    rank.as_f64().or_else(|| rank.as_str()?.trim().parse().ok()).unwrap_or(f64::INFINITY)
}

/// Writes the threads of a file as trees of one thread each, in the order of their first messages. Other rows are copied
/// unchanged, as are messages with a missing parent, so that they are reported as invalid later.
///
/// Memory: a few dozen bytes per message of a flat file. The texts are not in memory.
pub fn arrange_threads(
    path: &Path,
    mut rows: Box<dyn RowSource>,
    threads: Threads,
    sink: &mut RowSink<'_>,
) -> io::Result<()> {
    let mut forest =
        Forest { file: File::open(path)?, messages: Vec::new(), by_id: HashMap::new(), faults: BTreeMap::new() };
    while let Some(row) = rows.next()? {
        let row = match row {
            Ok(row) => row,
            Err(problem) => {
                sink.problem(&problem)?;
                continue;
            }
        };
        match serde_json::from_slice::<Columns>(row.bytes) {
            Ok(columns) if is_message(&columns) => forest.add(columns, &row),
            Ok(columns) if is_tree(&columns) && threads == Threads::All => write_all_threads(columns, row.line, sink)?,
            Ok(columns) if is_root(&columns) && threads == Threads::All => {
                let tree = Columns::from_iter([("prompt".to_owned(), Value::Object(columns))]);
                write_all_threads(tree, row.line, sink)?;
            }
            _ if row.bytes.contains(&b'\n') => match on_one_line(row.bytes) {
                Some(bytes) => sink.row(row.line, &bytes)?,
                None => sink.problem(&Problem {
                    line: row.line,
                    reason: "not valid JSON: a text contains a line feed".to_owned(),
                })?,
            },
            _ => sink.row(row.line, row.bytes)?,
        }
    }
    forest.write(threads, sink)
}

/// Puts an element of an array on one line. `None` where a line feed is part of a text, which JSON does not allow.
fn on_one_line(bytes: &[u8]) -> Option<Vec<u8>> {
    let (mut in_text, mut after_backslash) = (false, false);
    let plain = bytes.iter().map(|byte| {
        match byte {
            b'\n' | b'\r' if !in_text => return Some(b' '),
            b'\n' | b'\r' => return None,
            b'"' if !after_backslash => in_text = !in_text,
            _ => {}
        }
        after_backslash = *byte == b'\\' && !after_backslash;
        Some(*byte)
    });
    plain.collect()
}

/// The messages of a flat file.
struct Forest {
    file: File,
    messages: Vec<FlatMessage>,
    by_id: HashMap<[u8; 16], u32>,
    /// Messages that belong to no thread, and why.
    faults: BTreeMap<u32, &'static str>,
}

struct FlatMessage {
    line: u64,
    offset: u64,
    length: u32,
    /// The parent's id; `None` for a tree's first message.
    parent: Option<[u8; 16]>,
    rank: f64,
    is_usable: bool,
    replies: Vec<u32>,
}

impl Forest {
    fn add(&mut self, columns: Columns, bytes: &RawRow<'_>) {
        let row = Value::Object(columns);
        let id = |name: &str| row.get(name).cloned().and_then(scalar_text).map(|id| short_id(&id));
        let number = u32::try_from(self.messages.len()).unwrap_or(u32::MAX);
        let (length, parent) = (bytes.bytes.len() as u32, id("parent_id"));
        self.messages.push(FlatMessage {
            line: bytes.line,
            offset: bytes.offset,
            length,
            parent,
            rank: rank_of(&row),
            is_usable: is_usable(&row),
            replies: Vec::new(),
        });
        if let Some(id) = id("message_id") {
            match self.by_id.entry(id) {
                Entry::Vacant(place) => drop(place.insert(number)),
                Entry::Occupied(_) => drop(self.faults.insert(number, "an earlier message has the same `message_id`")),
            }
        }
    }

    /// Finds messages that no first message leads to: their parents form a circle.
    fn find_circles(&mut self) {
        let mut is_reached = vec![false; self.messages.len()];
        let mut open: Vec<u32> = Vec::new();
        for (number, message) in (0..).zip(&self.messages) {
            let has_no_parent = message.parent.is_none_or(|parent| !self.by_id.contains_key(&parent));
            open.extend(has_no_parent.then_some(number));
        }
        while let Some(number) = open.pop() {
            if !std::mem::replace(&mut is_reached[number as usize], true) {
                open.extend(&self.messages[number as usize].replies);
            }
        }
        let lost = (0..).zip(&is_reached).filter(|(_, is_reached)| !**is_reached);
        for (number, _) in lost {
            self.faults.entry(number).or_insert("its `parent_id` leads back to itself");
        }
    }

    fn write_faults(&self, sink: &mut RowSink<'_>) -> io::Result<()> {
        self.faults.iter().try_for_each(|(number, reason)| {
            let line = self.messages[*number as usize].line;
            sink.problem(&Problem { line, reason: (*reason).to_owned() })
        })
    }

    fn write(mut self, threads: Threads, sink: &mut RowSink<'_>) -> io::Result<()> {
        for number in 0..self.messages.len() {
            let Some(parent) = self.messages[number].parent else { continue };
            let is_faulty = self.faults.contains_key(&(number as u32));
            match self.by_id.get(&parent) {
                _ if is_faulty => {}
                Some(parent) => self.messages[*parent as usize].replies.push(number as u32),
                None => sink.row(self.messages[number].line, self.read(number)?.to_string().as_bytes())?,
            }
        }
        self.find_circles();
        self.write_faults(sink)?;
        for number in 0..self.messages.len() {
            let mut replies = std::mem::take(&mut self.messages[number].replies);
            replies.retain(|reply| self.messages[*reply as usize].is_usable);
            replies.sort_by(|left, right| {
                self.messages[*left as usize].rank.total_cmp(&self.messages[*right as usize].rank)
            });
            if threads == Threads::Best {
                replies.truncate(1);
            }
            self.messages[number].replies = replies;
        }
        let is_root =
            |number: &usize| self.messages[*number].parent.is_none() && !self.faults.contains_key(&(*number as u32));
        for root in (0..self.messages.len()).filter(is_root) {
            let mut count = 0;
            let replies = |message: &usize| {
                self.messages[*message].replies.iter().map(|reply| *reply as usize).collect::<Vec<_>>()
            };
            for_each_thread(root, replies, |thread| {
                let messages = thread.iter().map(|number| self.read(*number)).collect::<io::Result<Vec<_>>>()?;
                let mut columns = Columns::new();
                for name in ["message_tree_id", "tree_state", "lang"] {
                    columns.extend(messages[0].get(name).map(|value| (name.to_owned(), value.clone())));
                }
                count += 1;
                let number = (threads == Threads::All).then_some(count);
                sink.row(self.messages[root].line, thread_row(columns, messages, number).as_bytes())
            })?;
        }
        Ok(())
    }

    fn read(&self, number: usize) -> io::Result<Value> {
        let message = &self.messages[number];
        let mut bytes = vec![0; message.length as usize];
        self.file.read_exact_at(&mut bytes, message.offset)?;
        Ok(serde_json::from_slice(&bytes)?)
    }
}

/// Shortens an id to the first half of its hash.
fn short_id(id: &str) -> [u8; 16] {
    let digest = crate::conversation::Message::new(crate::conversation::Role::User, id).digest().0;
    digest[..16].try_into().expect("a hash has 32 bytes")
}

fn write_all_threads(mut columns: Columns, line: u64, sink: &mut RowSink<'_>) -> io::Result<()> {
    let root = columns.shift_remove("prompt").unwrap_or_default();
    let mut count = 0;
    for_each_thread(
        &root,
        |message| usable_replies(message),
        |thread| {
            count += 1;
            let messages = thread.iter().map(|message| without_replies(message)).collect();
            sink.row(line, thread_row(columns.clone(), messages, Some(count)).as_bytes())
        },
    )
}

fn usable_replies(message: &Value) -> Vec<&Value> {
    let replies = message["replies"].as_array().map_or(&[][..], Vec::as_slice);
    let mut usable: Vec<&Value> = replies.iter().filter(|reply| is_usable(reply)).collect();
    usable.sort_by(|left, right| by_rank(left, right));
    usable
}

/// Calls `take` with each path from `root` to a leaf.
fn for_each_thread<Node: Clone>(
    root: Node,
    replies: impl Fn(&Node) -> Vec<Node>,
    mut take: impl FnMut(&[Node]) -> io::Result<()>,
) -> io::Result<()> {
    let mut thread: Vec<Node> = Vec::new();
    let mut open = vec![(0, root)];
    while let Some((depth, node)) = open.pop() {
        thread.truncate(depth);
        let next = if depth + 1 < DEPTH_MAX { replies(&node) } else { Vec::new() };
        thread.push(node);
        if next.is_empty() {
            take(&thread)?;
        }
        open.extend(next.into_iter().rev().map(|reply| (depth + 1, reply)));
    }
    Ok(())
}

fn without_replies(message: &Value) -> Value {
    let fields = message.as_object().into_iter().flatten().filter(|(name, _)| *name != "replies");
    Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>())
}

/// Returns messages as a tree of one thread.
fn thread_row(mut columns: Columns, messages: Vec<Value>, number: Option<u32>) -> String {
    let chain = messages.into_iter().rev().fold(None, |below: Option<Value>, mut message| {
        message["replies"] = below.into_iter().collect();
        Some(message)
    });
    if let (Some(number), Some(tree)) = (number, columns.get("message_tree_id").and_then(Value::as_str)) {
        let id = format!("{tree}#{number}");
        columns.insert("id".to_owned(), id.into());
    }
    columns.insert("prompt".to_owned(), chain.unwrap_or_default());
    Value::Object(columns).to_string()
}
