//! Reads a row's JSON, also as Python writes it.

use serde_json::Value;

/// What a row's bytes are.
pub struct ParsedRow {
    /// The value.
    pub value: Value,
    /// Numbers that JSON does not have (`NaN`, `Infinity`), which became null.
    pub not_numbers: u64,
}

/// Words that Python's `json` writes for numbers that JSON does not have.
const NOT_NUMBERS: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];

/// Parses a row. `NaN` and infinite numbers, as Python writes them, become null.
pub fn parse_row(bytes: &[u8]) -> Result<ParsedRow, serde_json::Error> {
    match serde_json::from_slice(bytes) {
        Ok(value) => Ok(ParsedRow { value, not_numbers: 0 }),
        Err(error) => match with_nulls(bytes) {
            Some((replaced, not_numbers)) => {
                serde_json::from_slice(&replaced).map(|value| ParsedRow { value, not_numbers })
            }
            None => Err(error),
        },
    }
}

/// True where a key stands twice in one object, so that one of its values would be lost. `value` is what `bytes` were parsed
/// to, which holds each key once.
pub fn repeats_key(bytes: &[u8], value: &Value) -> bool {
    keys_written(bytes) != keys_held(value)
}

/// Counts the colons outside of texts.
fn keys_written(bytes: &[u8]) -> usize {
    let (mut count, mut rest) = (0, bytes);
    while let Some(at) = memchr::memchr2(b'"', b':', rest) {
        let byte = rest[at];
        rest = &rest[at + 1..];
        if byte == b':' {
            count += 1;
            continue;
        }
        while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
            let is_end = rest[at] == b'"';
            // A backslash takes the next byte along.
            rest = rest.get(at + if is_end { 1 } else { 2 }..).unwrap_or_default();
            if is_end {
                break;
            }
        }
    }
    count
}

fn keys_held(value: &Value) -> usize {
    match value {
        Value::Object(fields) => fields.len() + fields.values().map(keys_held).sum::<usize>(),
        Value::Array(items) => items.iter().map(keys_held).sum(),
        _ => 0,
    }
}

/// Replaces the words outside of texts; `None` if there is no such word.
fn with_nulls(bytes: &[u8]) -> Option<(Vec<u8>, u64)> {
    if !NOT_NUMBERS.iter().any(|word| memchr::memmem::find(bytes, word).is_some()) {
        return None;
    }
    let (mut replaced, mut count, mut at) = (Vec::with_capacity(bytes.len()), 0, 0);
    let mut in_text = false;
    while at < bytes.len() {
        let byte = bytes[at];
        if !in_text && let Some(word) = NOT_NUMBERS.iter().find(|word| bytes[at..].starts_with(word)) {
            replaced.extend_from_slice(b"null");
            count += 1;
            at += word.len();
            continue;
        }
        replaced.push(byte);
        match byte {
            b'"' => in_text = !in_text,
            b'\\' if in_text && at + 1 < bytes.len() => {
                at += 1;
                replaced.push(bytes[at]);
            }
            _ => {}
        }
        at += 1;
    }
    (count > 0).then_some((replaced, count))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_python_writes_for_no_number_is_null() {
        let row = br#"{"text": "NaN \" Infinity", "a": NaN, "b": [-Infinity, Infinity, 1]}"#;
        let parsed = parse_row(row).ok().unwrap();
        assert_eq!(parsed.value, json!({"text": "NaN \" Infinity", "a": null, "b": [null, null, 1]}));
        assert_eq!(parsed.not_numbers, 3);
        assert!(parse_row(b"{\"text\": \"NaN\"").is_err());
    }

    #[test]
    fn a_key_that_stands_twice_is_noticed() {
        for (text, is_repeated) in [
            (r#"{"a": 1, "b": {"a": 2}, "c": [{"a": 3}, {"a": 4}]}"#, false),
            (r#"{"a": "x: \" y: ", "b": "\\"}"#, false),
            (r#"{"a": 1, "b": 2, "a": 3}"#, true),
            (r#"[{"role": "user", "content": "a", "content": "b"}]"#, true),
            (r#"{"a": {}, "b": []}"#, false),
        ] {
            assert_eq!(repeats_key(text.as_bytes(), &serde_json::from_str(text).unwrap()), is_repeated, "{text}");
        }
    }

    #[test]
    fn numbers_stay_as_they_are_written() {
        let text = r#"{"a":123456789012345678901,"b":1.10,"c":1e-7,"d":-0.0,"e":0.1}"#;
        assert_eq!(parse_row(text.as_bytes()).ok().unwrap().value.to_string(), text);
    }
}
