use serde_json::Value;

use super::{InputFormat, SourceMessage};
use crate::conversation::Columns;
use crate::dataset::role::SourceRole;

/// `{"text": "<|im_start|>user\n…<|im_end|>…"}`: a dialogue rendered with a template's markers. It must be named
/// explicitly, because a plain text may contain any of them.
pub struct Templated;

/// Markers that start a message, with its speaker.
const MARKERS: [(&str, SourceRole); 9] = [
    ("<|im_start|>system", SourceRole::System),
    ("<|im_start|>user", SourceRole::User),
    ("<|im_start|>assistant", SourceRole::Assistant),
    ("### Human:", SourceRole::User),
    ("### Assistant:", SourceRole::Assistant),
    ("<human>:", SourceRole::User),
    ("<bot>:", SourceRole::Assistant),
    ("[|Human|]", SourceRole::User),
    ("[|AI|]", SourceRole::Assistant),
];
const ENDS: [&str; 2] = ["<|im_end|>", "<|endoftext|>"];

impl InputFormat for Templated {
    fn name(&self) -> &'static str {
        "templated"
    }

    fn matches(&self, row: &Columns) -> bool {
        row.get("text").is_some_and(Value::is_string)
    }

    fn take(&self, row: &mut Columns) -> Result<Vec<SourceMessage>, String> {
        let Some(Value::String(text)) = row.shift_remove("text") else { return Err("`text` is not a text".to_owned()) };
        let next = |from: usize| {
            let found = MARKERS
                .iter()
                .filter_map(|(marker, role)| Some((from + text[from..].find(marker)?, marker.len(), *role)));
            found.min_by_key(|(at, length, _)| (*at, std::cmp::Reverse(*length)))
        };
        let mut messages = Vec::new();
        let mut marker = next(0);
        while let Some((at, length, role)) = marker {
            let start = at + length;
            marker = next(start);
            let end = marker.map_or(text.len(), |(at, ..)| at);
            let mut said = text[start..end].trim();
            for ending in ENDS {
                said = said.strip_suffix(ending).unwrap_or(said).trim();
            }
            messages.push(SourceMessage::text(role, said.to_owned()));
        }
        if messages.is_empty() { Err("`text` has no known marker".to_owned()) } else { Ok(messages) }
    }
}
