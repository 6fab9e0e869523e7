use serde_json::Value;

use super::{InputFormat, SourceMessage, assistant_message, user_message};
use crate::conversation::Columns;
use crate::dataset::threads::{DEPTH_MAX, by_rank, is_tree, is_usable};

/// `{"prompt": {"text", "role", "replies": [...]}}`: a tree of `OpenAssistant` (oasst1, oasst2 `trees`).
///
/// One thread of each tree is read: the reply with the lowest `rank` at every message, unranked ones last. Deleted and
/// rejected messages are skipped. Flat files, and trees where all threads are selected, are converted to such trees first
/// (`threads.rs`).
pub struct OasstTree;

impl InputFormat for OasstTree {
    fn name(&self) -> &'static str {
        "oasst"
    }

    fn matches(&self, row: &Columns) -> bool {
        is_tree(row)
    }

    fn take(&self, row: &mut Columns) -> Result<Vec<SourceMessage>, String> {
        let mut node = row.shift_remove("prompt").unwrap_or_default();
        let mut messages = Vec::new();
        for _ in 0..DEPTH_MAX {
            let Value::String(text) = node["text"].take() else {
                return Err("a message of the tree has no text".to_owned());
            };
            messages.push(match node["role"].as_str() {
                Some("prompter") => user_message(text),
                Some("assistant") => assistant_message(text),
                _ => return Err("a message of the tree has no known role".to_owned()),
            });
            let Value::Array(replies) = node["replies"].take() else { return Ok(messages) };
            let usable = replies.into_iter().filter(is_usable);
            match usable.min_by(by_rank) {
                Some(best) => node = best,
                None => return Ok(messages),
            }
        }
        Err(format!("the tree is deeper than {DEPTH_MAX} messages"))
    }
}
