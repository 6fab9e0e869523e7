use serde_json::Value;

use super::tolerant;
use crate::conversation::{Answer, Finish, after_reasoning};

/// The maximum number of opening braces that are tried, from the end.
const BRACES_MAX: usize = 256;

/// Returns the last JSON object with all of these fields in a model's answer; drafts may come before it. The search starts
/// after the model's reasoning, unless the text begins with the object, as an object may quote the mark that ends reasoning.
pub(super) fn object_with(fields: &[&str], text: &str) -> Option<Value> {
    let begins = text.trim_start().starts_with(['{', '`']);
    let text = if begins { text } else { after_reasoning(text) };
    let starts = text.rmatch_indices('{').take(BRACES_MAX);
    let mut values = starts.filter_map(|(at, _)| {
        let mut stream = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>();
        stream.next()?.ok()
    });
    values.find(|value| fields.iter().all(|field| value.get(field).is_some()))
}

/// Returns what [`object_with`] does; where it finds nothing, the last object with these fields that a person would read as one.
/// The brace that opens the object may be missing.
pub(super) fn tolerant_object_with(fields: &[&str], text: &str) -> Option<Value> {
    if let Some(value) = object_with(fields, text).filter(Value::is_object) {
        return Some(value);
    }
    let text = after_reasoning(text);
    let has_all = |value: &Value| fields.iter().all(|field| value.get(field).is_some());
    let (mut last, mut end) = (None, 0);
    // An object inside another one is part of it.
    for (at, _) in text.match_indices('{').take(BRACES_MAX) {
        if let Some((value, length)) = tolerant::object(&text[at..]).filter(|_| at >= end) {
            end = at + length;
            last = Some(value).filter(has_all).or(last);
        }
    }
    last.or_else(|| {
        let opened = text.trim_start_matches(|letter: char| letter.is_whitespace() || letter == '`');
        tolerant::object(&format!("{{{opened}")).map(|(value, _)| value).filter(has_all)
    })
}

/// True if an answer follows a schema as far as it goes, so that the next question may have one too. Some servers write
/// white space until the limit under a schema.
pub(super) fn follows_schema(answer: &Answer) -> bool {
    const WHITE_SPACE_MAX: usize = 16;
    let text = answer.text();
    let is_own = matches!(answer.finish, Finish::Complete | Finish::Length | Finish::Loop);
    is_own && text.trim_start().starts_with('{') && text.len() - text.trim_end().len() < WHITE_SPACE_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_follows_a_schema_if_it_is_an_object_as_far_as_it_goes() {
        let said = |text: &str, finish| Answer { finish, ..Answer::complete("m", text) };
        assert!(follows_schema(&said(" {\"explanation\": \"so it", Finish::Length)));
        assert!(!follows_schema(&said("So it is.", Finish::Complete)));
        assert!(!follows_schema(&said("", Finish::Empty)));
        let blank = format!("{{{}", "\n".repeat(100));
        assert!(!follows_schema(&said(&blank, Finish::Length)), "white space until the limit");
    }

    #[test]
    fn an_object_with_slips_is_found_where_a_person_would_find_it() {
        let score = |text: &str| tolerant_object_with(&["score", "verdict"], text).map(|value| value["score"].clone());
        for text in [
            "Here you are:\n```json\n{\"score\": 7, \"errors\": [{\"quote\": \"a\",}], \"verdict\": \"keep\"\n```",
            "\"score\": 7, \"verdict\": \"keep\"}",
            "Draft: {score: 2, verdict: keep}. Final: {score: 7, verdict: keep}",
            "<think>{score: 2, verdict: keep}</think>{“score”: 7, “verdict”: “keep”}",
        ] {
            assert_eq!(score(text), Some(7.into()), "{text}");
        }
        assert_eq!(score("It is {nearly} fine."), None);
        assert_eq!(score("{\"score\": 7"), None, "the verdict is missing");
    }

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

    #[test]
    fn white_space_at_the_end_counts_from_16_on() {
        let said = |text: String| Answer { finish: Finish::Length, ..Answer::complete("m", text) };
        assert!(follows_schema(&said(format!("{{{}", " ".repeat(15)))));
        assert!(!follows_schema(&said(format!("{{{}", " ".repeat(16)))));
        let long = format!("{{\"explanation\": \"{}\"}}", "so it is ".repeat(9));
        assert!(follows_schema(&said(format!("{long}{}", " ".repeat(15)))));
        assert!(!follows_schema(&said(format!("{long}{}", " ".repeat(16)))));
        for finish in [Finish::Filtered, Finish::Refused, Finish::Tools] {
            assert!(!follows_schema(&Answer { finish, ..said("{".to_owned()) }), "{finish:?}");
        }
    }
}
