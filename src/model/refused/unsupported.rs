//! Finds in a refusal the field that a server does not support.
//!
//! Machine-readable fields come first, wording last:
//!
//! | sign | servers |
//! |---|---|
//! | `param` with `code` `unsupported_parameter`, `unknown_parameter`, `unsupported_value` | `OpenAI`, Azure |
//! | `loc` with `type` `extra_forbidden`, `value_error.extra` | `FastAPI`: Mistral, Fireworks, vLLM, `SGLang` |
//! | "Unrecognized request argument supplied: X" | `OpenAI`, Azure |
//! | "property 'X' is unsupported" | Groq |
//! | "Argument not supported on this model: X", in camel case | xAI |
//! | "unknown name \"X\": Cannot find field" | Gemini, Vertex |
//! | "unknown field `X`", "Unrecognized key(s) in object: 'X'" | servers in Rust, Go and TypeScript |
//! | "does not support parameters: X, Y" | `LiteLLM` |
//! | "`X` is deprecated for this model", "extraneous key [X]" | Anthropic, Bedrock |
//!
//! A value that is wrong is no unsupported field: it is the user's to correct.

use std::ops::Range;

use super::fault::entries;
use super::phrases::{only_value, says_wrong_value, unsupported_phrase};
use super::{concerns_the_request, reply_text};
use crate::model::request::RefusedCall;

/// Fields that a request can do without, whatever their value.
const DISPENSABLE: &[&str] = &["temperature", "top_p", "seed", "stream", "stream_options"];

/// Returns the fields of `sent` that the server does not support, as the refusal says.
pub fn unsupported_fields(refused: &RefusedCall<'_>, sent: &[&str]) -> Vec<String> {
    if !concerns_the_request(refused) {
        return Vec::new();
    }
    let text = reply_text(refused);
    let mut found: Vec<&str> = Vec::new();
    for entry in entries(&text) {
        let names = entry.fields.iter().filter_map(|name| sent_field(name, sent));
        found.extend(names.filter(|field| is_unsupported(&entry.words, field)));
    }
    let words = text.to_lowercase();
    if found.is_empty()
        && let Some(phrase) = unsupported_phrase(&words)
    {
        let named = mentioned(&words, phrase, sent).into_iter();
        found.extend(named.filter(|field| is_unsupported(&words, field)));
    }
    if found.is_empty()
        && let Some(place) = only_value(&words)
    {
        let named = mentioned(&words, place, sent).into_iter();
        found.extend(named.filter(|field| DISPENSABLE.contains(field)));
    }
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(str::to_owned).collect()
}

/// Returns the field of `sent` that a server names: as a path, in camel case, or with other punctuation.
fn sent_field<'a>(name: &str, sent: &[&'a str]) -> Option<&'a str> {
    let first = name.trim_start_matches("body.").split(['.', '[']).next().unwrap_or_default();
    sent.iter().copied().find(|field| plain(field) == plain(first))
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

fn is_unsupported(words: &str, field: &str) -> bool {
    if says_wrong_value(words) {
        let is_fixed = words.contains("only the default") || only_value(words).is_some();
        let is_refused = unsupported_phrase(words).is_some() || words.contains("unsupported_value");
        return is_fixed || DISPENSABLE.contains(&field) && is_refused;
    }
    unsupported_phrase(words).is_some()
}

/// Returns the fields of `sent` that a text in lower case names nearest to a phrase: those in the list after it, or the
/// one closest to it.
fn mentioned<'a>(words: &str, phrase: Range<usize>, sent: &[&'a str]) -> Vec<&'a str> {
    let mut best: Option<(usize, &str)> = None;
    let mut listed = Vec::new();
    for (start, word) in words_of(words) {
        let end = start + word.len();
        let Some(field) = sent_field(word, sent) else { continue };
        let (before, after) = (words[..start].chars().next_back(), words[end..].chars().next());
        let is_quoted = [before, after].iter().flatten().any(|mark| "'\"`[*".contains(*mark));
        let is_after = start >= phrase.start;
        let distance = if is_after { start.saturating_sub(phrase.end) } else { phrase.start.saturating_sub(end) };
        // An everyday word is a field only where it is marked as one.
        let is_everyday = !field.contains('_') && !DISPENSABLE[..3].contains(&field);
        if is_everyday && !is_quoted && distance > NEAR_BYTES {
            continue;
        }
        let between = words.get(phrase.end..start).unwrap_or_default();
        let is_in_list = between.contains('[') && !between.contains(']');
        if is_in_list {
            listed.push(field);
        }
        if best.is_none_or(|(other, _)| distance < other) {
            best = Some((distance, field));
        }
    }
    if listed.is_empty() { best.into_iter().map(|(_, field)| field).collect() } else { listed }
}

/// Bytes between a phrase and an everyday word that belongs to it.
const NEAR_BYTES: usize = 4;

/// Returns the words of a text, each with its place; a path of names is one word.
fn words_of(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let parts = text.split(move |letter: char| !is_part(letter)).filter(|word| !word.is_empty());
    let base = text.as_ptr() as usize;
    parts.map(move |word| (word.as_ptr() as usize - base, word))
}

#[cfg(test)]
mod tests {
    use super::super::testing::with_refusal;
    use super::*;

    const SENT: &[&str] = &[
        "max_tokens",
        "temperature",
        "top_p",
        "seed",
        "stream",
        "stream_options",
        "reasoning_effort",
        "presence_penalty",
        "user",
        "provider",
        "stop",
        "top_k",
        "chat_template_kwargs",
    ];

    fn unsupported(status: u16, reply: &str) -> Vec<String> {
        with_refusal(status, reply, |refused| unsupported_fields(refused, SENT))
    }

    #[test]
    fn fields_are_found_in_every_known_wording() {
        for (reply, field) in [
            (
                r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#,
                "max_tokens",
            ),
            (
                r#"{"error":{"message":"Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1) value is supported.","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}}"#,
                "temperature",
            ),
            (
                r#"{"error":{"message":"Unknown parameter: 'chat_template_kwargs.x'.","param":"chat_template_kwargs.x","code":"unknown_parameter"}}"#,
                "chat_template_kwargs",
            ),
            (
                r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","stream_options","include_usage"],"msg":"Extra inputs are not permitted","input":true}]}}"#,
                "stream_options",
            ),
            (
                r#"{"detail":[{"loc":["body","seed"],"msg":"extra fields not permitted","type":"value_error.extra"}]}"#,
                "seed",
            ),
            (r#"{"error":{"message":"Unrecognized request argument supplied: stream_options"}}"#, "stream_options"),
            (
                r#"{"error":{"message":"Unrecognized request argument supplied: user","param":null,"code":null}}"#,
                "user",
            ),
            (r#"{"error":{"message":"property 'top_k' is unsupported","type":"invalid_request_error"}}"#, "top_k"),
            (
                r#"{"code":"Client specified an invalid argument","error":"Argument not supported on this model: presencePenalty"}"#,
                "presence_penalty",
            ),
            (r#"{"error":"Model grok-4 does not support parameter reasoningEffort."}"#, "reasoning_effort"),
            (
                r#"[{"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \"seed\": Cannot find field.","status":"INVALID_ARGUMENT"}}]"#,
                "seed",
            ),
            (
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"seed: Extra inputs are not permitted"}}"#,
                "seed",
            ),
            (
                "Failed to deserialize the JSON body: unknown field `seed`, expected one of `model`, `temperature`",
                "seed",
            ),
            (r#"{"error":{"message":"Unrecognized key(s) in object: 'stop'"}}"#, "stop"),
            (
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"`temperature` is deprecated for this model."}}"#,
                "temperature",
            ),
            (
                r#"{"message":"Malformed input request: #: extraneous key [seed] is not permitted, please reformat your input and try again."}"#,
                "seed",
            ),
            (
                r#"{"error":{"message":"The parameter seed is not supported by this model, see the documentation of your provider"}}"#,
                "seed",
            ),
        ] {
            assert_eq!(unsupported(400, reply), [field], "{reply}");
            assert!(unsupported(401, reply).is_empty(), "{reply}");
        }
        for (words, field) in [
            ("Unsupported param: seed", "seed"),
            ("unexpected keyword argument 'top_k'", "top_k"),
            ("seed is no longer supported", "seed"),
            ("This endpoint does not accept top_p", "top_p"),
            ("该模型不支持 temperature 参数", "temperature"),
            ("[{'type': 'extra_forbidden', 'loc': ('body', 'seed'), 'msg': 'Extra inputs are not permitted'}]", "seed"),
        ] {
            assert_eq!(unsupported(400, words), [field], "{words}");
        }
        for only in [
            "invalid temperature: only 1 is allowed for this model",
            "`temperature` may only be set to 1 when thinking is enabled",
        ] {
            assert_eq!(unsupported(400, only), ["temperature"], "{only}");
        }
        let unverified = r#"{"error":{"message":"Your organization must be verified to stream this model.","param":"stream","code":"unsupported_value"}}"#;
        assert_eq!(unsupported(400, unverified), ["stream"]);
        let raw = r#"{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"message\":\"Unknown parameter: 'seed'.\"}}"}}}"#;
        assert_eq!(unsupported(400, raw), ["seed"]);
        let passed_on = r#"{"detail": "generate() got an unexpected keyword argument 'top_k'"}"#;
        assert_eq!(unsupported(500, passed_on), ["top_k"]);
        assert!(unsupported(500, "CUDA error: seed is not supported").is_empty());
        let two = r#"{"error":{"message":"litellm.UnsupportedParamsError: openai does not support parameters: ['seed', 'top_p'], for model=o1. To drop these, set `litellm.drop_params=True`"}}"#;
        assert_eq!(unsupported(400, two), ["seed", "top_p"]);
    }

    #[test]
    fn a_wrong_value_and_a_refused_prompt_reveal_nothing() {
        for reply in [
            r#"{"error":{"message":"Unsupported value: 'reasoning_effort' does not support 'none' with this model. Supported values are: 'low' and 'high'.","param":"reasoning_effort","code":"unsupported_value"}}"#,
            r#"{"error":{"message":"Invalid value: 'x'. Supported values are: 'low'.","param":"reasoning_effort","code":"invalid_value"}}"#,
            r#"{"detail":[{"loc":["body","top_k"],"msg":"Input should be a valid integer","type":"int_parsing"}]}"#,
            r#"{"error":{"message":"System role is not supported by this template"}}"#,
            r#"{"error":{"message":"Images are not supported. Please stop sending them to this provider."}}"#,
            r#"{"error":{"message":"temperature must be between 0 and 2"}}"#,
            r#"{"error":{"message":"temperature must be 2 or less"}}"#,
            r#"{"error":{"message":"invalid temperature: only between 0 and 1 is allowed"}}"#,
            "",
        ] {
            assert!(unsupported(400, reply).is_empty(), "{reply}");
        }
    }
}
