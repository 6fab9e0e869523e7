use serde_json::Value;

use crate::conversation::behind_thoughts;

/// The maximum number of opening braces that are tried, from the end.
const BRACES_MAX: usize = 256;

/// Returns the last JSON object with all of these fields in a model's answer; drafts may come before it. The search starts
/// after the model's reasoning, unless the text begins with the object, as an object may quote the mark that ends reasoning.
pub(super) fn object_with(fields: &[&str], text: &str) -> Option<Value> {
    let begins = text.trim_start().starts_with(['{', '`']);
    let text = if begins { text } else { behind_thoughts(text) };
    let starts = text.rmatch_indices('{').take(BRACES_MAX);
    let mut values = starts.filter_map(|(at, _)| {
        let mut stream = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>();
        stream.next()?.ok()
    });
    values.find(|value| fields.iter().all(|field| value.get(field).is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_found_among_words_and_other_objects() {
        let text = "<think>{\"score\": 1}</think>It says {\"a\": {\"b\": 2}}.\n```json\n{\"score\": 7}\n```";
        assert_eq!(object_with(&["score"], text).unwrap()["score"], 7);
        assert_eq!(object_with(&["score"], "{{\"score\": 7"), None);
        let drafts = r#"{"score": 2} is what I thought. Final: {"score": 8, "verdict": "keep"}, and so {"score": 1}."#;
        assert_eq!(object_with(&["score", "verdict"], drafts).unwrap()["score"], 8);
        assert_eq!(object_with(&["b"], text).unwrap()["b"], 2);
        assert_eq!(object_with(&["score"], r#"{"score": 7, "quote": "a </think> b"}"#).unwrap()["score"], 7);
    }
}
