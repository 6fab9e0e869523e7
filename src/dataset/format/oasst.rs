use serde_json::Value;

use super::message::MessageFormat;
use super::{InputFormat, SourceMessage};
use crate::conversation::Columns;
use crate::dataset::threads::{DEPTH_MAX, by_rank, is_root, is_tree, is_usable};
use crate::dataset::unread::Unread;

/// `{"prompt": {"text", "role", "replies": [...]}}`: a tree of `OpenAssistant` (oasst1, oasst2 `trees`). The first message
/// may also be the row itself.
///
/// One thread of each tree is read: the reply with the lowest `rank` at every message, unranked ones last. Deleted and
/// rejected messages are skipped. Flat files, and trees where all threads are selected, are converted to such trees first
/// (`threads.rs`).
pub struct OasstTree;

/// Fields of a message that describe it as a part of the tree.
const ABOUT: [&str; 3] = ["message_id", "parent_id", "replies"];

impl InputFormat for OasstTree {
    fn name(&self) -> &'static str {
        "oasst"
    }

    fn matches(&self, row: &Columns) -> bool {
        is_tree(row) || is_root(row)
    }

    fn take(&self, row: &mut Columns, unread: &mut Unread) -> Result<Vec<SourceMessage>, String> {
        let mut place = if is_tree(row) { "prompt".to_owned() } else { String::new() };
        let mut node = if is_tree(row) {
            row.shift_remove("prompt").unwrap_or_default()
        } else {
            let root = ["text", "role", "replies"].map(|name| (name.to_owned(), row.shift_remove(name)));
            root.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
        };
        if !is_usable(&node) || !row.get("deleted").is_none_or(|deleted| *deleted != true) {
            return Err("the first message of the tree is deleted, or was rejected in review".to_owned());
        }
        let format = MessageFormat { role: "role", content: "text" };
        let mut messages = Vec::new();
        for depth in 0..DEPTH_MAX {
            let replies = node.get_mut("replies").map(Value::take).unwrap_or_default();
            if let Some(fields) = node.as_object_mut() {
                fields.retain(|name, _| !ABOUT.contains(&name.as_str()));
            }
            let read = format.read(node, &place, unread, &mut messages);
            read.map_err(|reason| format!("message {} of the tree {reason}", depth + 1))?;
            place = if place.is_empty() { "replies[]".to_owned() } else { format!("{place}.replies[]") };
            let replies = if let Value::Array(replies) = replies { replies } else { Vec::new() };
            let usable = |reply: &(usize, &Value)| is_usable(reply.1);
            let best = replies.iter().enumerate().filter(usable).min_by(|left, right| by_rank(left.1, right.1));
            let Some(best) = best.map(|(at, _)| at) else { return Ok(messages) };
            let mut next = Value::Null;
            for (at, reply) in replies.into_iter().enumerate() {
                if at == best {
                    next = reply;
                } else {
                    // Another thread of the tree; `--threads all` reads it.
                    unread.add(|| place.clone(), &reply);
                }
            }
            node = next;
        }
        Err(format!("the tree is deeper than {DEPTH_MAX} messages"))
    }
}
