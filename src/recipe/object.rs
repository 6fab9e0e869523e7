use serde_json::Value;

use crate::conversation::behind_thoughts;

/// More opening braces are not tried.
const BRACES_MAX: usize = 64;

/// Returns the first JSON object with a field of this name in what a model says, whatever stands around it: behind its thoughts, or
/// where the words begin with it, as an object may quote the mark by which thoughts end.
pub(super) fn object_with(field: &str, text: &str) -> Option<Value> {
    let begins = text.trim_start().starts_with(['{', '`']);
    first_with(field, if begins { text } else { behind_thoughts(text) })
}

fn first_with(field: &str, text: &str) -> Option<Value> {
    let starts = text.match_indices('{').take(BRACES_MAX);
    let mut values = starts.filter_map(|(at, _)| {
        let mut stream = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>();
        stream.next()?.ok()
    });
    values.find(|value| value.get(field).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_found_among_words_and_other_objects() {
        let text = "<think>{\"score\": 1}</think>It says {\"a\": {\"b\": 2}}.\n```json\n{\"score\": 7}\n```";
        assert_eq!(object_with("score", text).unwrap()["score"], 7);
        assert_eq!(object_with("score", "{{\"score\": 7"), None);
        assert_eq!(object_with("b", text).unwrap()["b"], 2);
        assert_eq!(object_with("score", r#"{"score": 7, "quote": "a </think> b"}"#).unwrap()["score"], 7);
    }
}
