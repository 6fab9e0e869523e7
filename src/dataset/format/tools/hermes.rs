//! Calls that are written into the text, as Hermes, Qwen and others are trained: `<tool_call>{"name", "arguments"}
//! </tool_call>`, and results as `<tool_response>…</tool_response>`.

use serde_json::Value;

use super::normalised_calls;
use crate::dataset::unread::Unread;

const CALL: [&str; 2] = ["<tool_call>", "</tool_call>"];
const RESULT: [&str; 2] = ["<tool_response>", "</tool_response>"];

/// Splits a text into its words and its calls; `None` where it has no call. A text that speaks about the tags has none.
pub fn split_calls(text: &str) -> Option<(String, Vec<Value>)> {
    if !text.contains(CALL[0]) {
        return None;
    }
    let (mut words, mut calls, mut rest) = (String::new(), Vec::new(), text);
    while let Some((before, after)) = rest.split_once(CALL[0]) {
        // The end of the last call may be missing: some templates stop at it.
        let (body, behind) = after.split_once(CALL[1]).unwrap_or((after, ""));
        let is_quoted = is_quoted(&text[..text.len() - rest.len() + before.len()]);
        match call_in(body).filter(|_| !is_quoted) {
            Some(found) => {
                words.push_str(before);
                calls.extend(found);
            }
            None => {
                words.push_str(&rest[..rest.len() - behind.len()]);
            }
        }
        rest = behind;
    }
    words.push_str(rest);
    (!calls.is_empty()).then(|| (words.trim().to_owned(), calls))
}

/// True where what follows stands in code: behind an open fence or an open backtick.
fn is_quoted(before: &str) -> bool {
    let fences = before.matches("```").count();
    let line = before.rsplit('\n').next().unwrap_or_default();
    fences % 2 == 1 || (fences == 0 && line.matches('`').count() % 2 == 1)
}

fn call_in(body: &str) -> Option<Vec<Value>> {
    let body = body.trim();
    if !body.starts_with(['{', '[']) {
        return None;
    }
    normalised_calls(Value::String(body.to_owned()), "", &mut Unread::default()).ok().filter(|calls| !calls.is_empty())
}

/// Splits a message into the results at its beginning and the words behind them; `None` where it does not begin with a
/// result.
pub fn split_results(text: &str) -> Option<(Vec<String>, &str)> {
    let (mut results, mut rest) = (Vec::new(), text.trim());
    while let Some(body) = rest.strip_prefix(RESULT[0]) {
        let (result, behind) = body.split_once(RESULT[1])?;
        results.push(result.trim_matches('\n').to_owned());
        rest = behind.trim_start();
    }
    (!results.is_empty()).then_some((results, rest))
}

/// Markers of calls in other notations, with what follows in a call. What they say is not read.
const OTHER_CALLS: [[&str; 2]; 4] =
    [["<function=", "</function>"], ["<functioncall>", "{"], ["[TOOL_CALLS]", "{"], ["<|python_tag|>", "("]];

/// What a text may hold of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// A call or a result that is read.
    pub is_read: bool,
    /// A call in another notation.
    pub is_other: bool,
    /// A picture or sound that is written into the text.
    pub is_media: bool,
}

/// Media that are written into a text: the beginning and what follows.
const MEDIA: [[&str; 2]; 3] = [["<img>", "</img>"], ["<|image_", "|>"], ["](data:image/", ")"]];

impl Written {
    /// Looks for markers. Most texts have none of the characters that markers begin with.
    pub fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let Some(first) = memchr::memchr2(b'<', b'[', bytes) else { return Self::default() };
        let (bytes, rest) = (&bytes[first..], &text[first..]);
        let has = |marker: &str| memchr::memmem::find(bytes, marker.as_bytes()).is_some();
        let is_other = |[begin, end]: &[&str; 2]| rest.find(begin).is_some_and(|at| rest[at..].contains(end));
        Self {
            is_read: has(CALL[0]) || has(RESULT[0]),
            is_other: OTHER_CALLS.iter().any(is_other),
            is_media: MEDIA.iter().any(is_other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_found_between_the_words() {
        let text = "Let me look.\n<tool_call>\n{\"name\": \"tide\", \"arguments\": {\"at\": 1}}\n</tool_call>\n<tool_call>{\"name\": \"wind\"}</tool_call>";
        let (words, calls) = split_calls(text).unwrap();
        assert_eq!(words, "Let me look.");
        let names: Vec<_> = calls.iter().map(|call| call["function"]["name"].as_str().unwrap()).collect();
        assert_eq!((names, &calls[0]["function"]["arguments"]), (vec!["tide", "wind"], &Value::from("{\"at\":1}")));
    }

    #[test]
    fn words_about_the_tags_are_no_call() {
        for text in ["Write <tool_call> and </tool_call> around it.", "<tool_call>tide</tool_call>", "no tag"] {
            assert_eq!(split_calls(text), None, "{text}");
        }
    }

    #[test]
    fn results_stand_at_the_beginning() {
        let two = "<tool_response>\n3 m\n</tool_response>\n<tool_response>4 Bft</tool_response>";
        assert_eq!(split_results(two), Some((vec!["3 m".to_owned(), "4 Bft".to_owned()], "")));
        let then = "<tool_response>3 m</tool_response>\nAnd now?";
        assert_eq!(split_results(then), Some((vec!["3 m".to_owned()], "And now?")));
        for text in ["3 m", "See: <tool_response>3 m</tool_response>", "<tool_response>3 m", ""] {
            assert_eq!(split_results(text), None, "{text}");
        }
    }
}
