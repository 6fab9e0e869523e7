//! Reads JSON as model servers write it. A field that nobody asked for must not destroy an answer, so this reader accepts
//! more than the standard does: NaN and infinities, raw control characters in strings, duplicate keys, trailing commas,
//! halves of surrogate pairs, and bytes that are no UTF-8. It borrows from its input wherever a string has no escapes.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

/// Deepest nesting that is read.
const DEPTH_MAX: usize = 128;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'a> {
    Null,
    Bool(bool),
    /// A number as it was written, NaN and infinities included.
    Number(&'a str),
    /// A string's bytes. Half of a surrogate pair has its three bytes of WTF-8; two halves that follow each other are
    /// joined by [`TextBuffer`](super::text::TextBuffer).
    Text(Cow<'a, [u8]>),
    List(Vec<Json<'a>>),
    /// Keys and values in their order, duplicates included.
    Object(Vec<(Cow<'a, [u8]>, Json<'a>)>),
}

/// The text is no JSON, even for this reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    expected: &'static str,
    at: usize,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} at byte {}", self.expected, self.at)
    }
}

impl<'a> Json<'a> {
    /// Reads the first value of `bytes` and returns what follows it, too.
    pub fn read(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), JsonError> {
        let start = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let mut reader = Reader { bytes, at: start, depth: 0 };
        let value = reader.value()?;
        Ok((value, &bytes[reader.at..]))
    }

    /// Returns a field of an object. Of duplicates the last one that holds something counts.
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(fields) = self else { return None };
        let mut found = fields.iter().rev().filter(|(key, _)| **key == *name.as_bytes()).map(|(_, value)| value);
        let last = found.next()?;
        Some(if last.is_empty() { found.find(|value| !value.is_empty()).unwrap_or(last) } else { last })
    }

    /// Returns the first of these fields that is there and not null.
    pub fn any_of(&self, names: &[&str]) -> Option<&Self> {
        names.iter().filter_map(|name| self.get(name)).find(|value| **value != Self::Null)
    }

    /// True for null and for a text, list or object without content.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Bool(_) | Self::Number(_) => false,
            Self::Text(text) => text.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Object(fields) => fields.is_empty(),
        }
    }

    /// Returns the items of a list; none for any other value.
    pub fn items(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }

    /// Returns a text's bytes.
    pub fn bytes(&self) -> Option<&[u8]> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// Returns a text. Bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        self.bytes().map(String::from_utf8_lossy)
    }

    /// Returns a count: a whole number that is not negative, also one written as a decimal fraction or as text.
    pub fn count(&self) -> Option<u64> {
        let written = match self {
            Self::Number(number) => (*number).into(),
            other => other.text()?,
        };
        let written = written.trim();
        let whole = written.split_once('.').filter(|(_, rest)| rest.bytes().all(|digit| digit == b'0'));
        whole.map_or(written, |(whole, _)| whole).parse().ok()
    }

    /// Returns a number.
    pub fn number(&self) -> Option<f64> {
        if let Self::Number(number) = self { number.parse().ok() } else { None }
    }

    /// Returns the value for code that reads errors of any shape.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => serde_json::from_str(number).unwrap_or(Value::Null),
            Self::Text(text) => Value::String(String::from_utf8_lossy(text).into_owned()),
            Self::List(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Self::Object(fields) => {
                let key = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
                Value::Object(fields.iter().map(|(name, value)| (key(name), value.to_value())).collect())
            }
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self) -> Result<Json<'a>, JsonError> {
        match self.peek() {
            Some(b'"') => self.text().map(Json::Text),
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::list),
            _ => self.word(),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Json<'a>, JsonError>) -> Result<Json<'a>, JsonError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.expected("less nesting"));
        }
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Json<'a>, JsonError> {
        let mut fields = Vec::new();
        while !self.ends_with(b'}') {
            let Some(b'"') = self.peek() else { return Err(self.expected("a key")) };
            let key = self.text()?;
            if self.peek() != Some(b':') {
                return Err(self.expected("a colon"));
            }
            self.at += 1;
            fields.push((key, self.value()?));
            self.separator(b'}')?;
        }
        Ok(Json::Object(fields))
    }

    fn list(&mut self) -> Result<Json<'a>, JsonError> {
        let mut items = Vec::new();
        while !self.ends_with(b']') {
            items.push(self.value()?);
            self.separator(b']')?;
        }
        Ok(Json::List(items))
    }

    /// Consumes the closing bracket if it is next.
    fn ends_with(&mut self, end: u8) -> bool {
        let is_end = self.peek() == Some(end);
        self.at += usize::from(is_end);
        is_end
    }

    /// Consumes a comma. The closing bracket stays.
    fn separator(&mut self, end: u8) -> Result<(), JsonError> {
        match self.peek() {
            Some(b',') => self.at += 1,
            Some(next) if next == end => {}
            _ => return Err(self.expected("a comma or the end of a list or object")),
        }
        Ok(())
    }

    fn word(&mut self) -> Result<Json<'a>, JsonError> {
        let rest = &self.bytes[self.at.min(self.bytes.len())..];
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let word = &rest[..rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len())];
        let word = std::str::from_utf8(word).unwrap_or_default();
        let value = match word {
            "null" => Json::Null,
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            // Includes `NaN`, `Infinity` and `-Infinity`.
            number if number.parse::<f64>().is_ok() => Json::Number(number),
            _ => return Err(self.expected("a value")),
        };
        self.at += word.len();
        Ok(value)
    }

    fn text(&mut self) -> Result<Cow<'a, [u8]>, JsonError> {
        self.at += 1;
        let start = self.at;
        let mut written: Option<Vec<u8>> = None;
        loop {
            let rest = &self.bytes[self.at..];
            let Some(length) = memchr::memchr2(b'"', b'\\', rest) else {
                self.at = self.bytes.len();
                return Err(self.expected("the end of a string"));
            };
            if let Some(written) = &mut written {
                written.extend_from_slice(&rest[..length]);
            }
            self.at += length + 1;
            if rest[length] == b'"' {
                return Ok(written.map_or(Cow::Borrowed(&self.bytes[start..self.at - 1]), Cow::Owned));
            }
            let written = written.get_or_insert_with(|| self.bytes[start..self.at - 1].to_vec());
            let escape = self.bytes.get(self.at).copied().ok_or(JsonError { expected: "an escape", at: self.at })?;
            self.at += 1;
            match escape {
                b'b' => written.push(8),
                b'f' => written.push(12),
                b'n' => written.push(b'\n'),
                b'r' => written.push(b'\r'),
                b't' => written.push(b'\t'),
                b'u' => self.at += push_unit(written, &self.bytes[self.at..]).ok_or(self.expected("four digits"))?,
                // Includes escapes that the standard does not have: `\'` stands for itself.
                other => written.push(other),
            }
        }
    }

    /// Returns the next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !byte.is_ascii_whitespace() {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    fn expected(&self, expected: &'static str) -> JsonError {
        JsonError { expected, at: self.at }
    }
}

/// Appends the character of the escape whose digits `rest` begins with. Returns the number of bytes consumed.
fn push_unit(written: &mut Vec<u8>, rest: &[u8]) -> Option<usize> {
    let unit = |digits: Option<&[u8]>| u32::from_str_radix(std::str::from_utf8(digits?).ok()?, 16).ok();
    let first = unit(rest.get(..4))?;
    if let 0xd800..=0xdbff = first
        && rest.get(4..6) == Some(b"\\u")
        && let Some(second @ 0xdc00..=0xdfff) = unit(rest.get(6..10))
    {
        let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        push_character(written, code);
        return Some(10);
    }
    push_character(written, first);
    Some(4)
}

/// Appends a character, or the three bytes of half a surrogate pair.
fn push_character(written: &mut Vec<u8>, code: u32) {
    match char::from_u32(code) {
        Some(character) => written.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        None => {
            let low_bits = |shift: u32| 0x80 | ((code >> shift) & 0x3f) as u8;
            written.extend_from_slice(&[0xe0 | (code >> 12) as u8, low_bits(6), low_bits(0)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Json<'_> {
        Json::read(text.as_bytes()).unwrap().0
    }

    #[test]
    fn what_the_standard_forbids_is_read_where_it_does_no_harm() {
        let json = read("{\"a\": NaN, \"b\": [-Infinity, 1e5,], \"c\": \"one\ntwo\", \"d\": \"\\'\",}");
        assert_eq!(json.get("c").unwrap().text().unwrap(), "one\ntwo");
        assert_eq!(json.get("b").unwrap().items().len(), 2);
        assert_eq!(json.to_value()["a"], Value::Null);
        let (value, rest) = Json::read(b"\xef\xbb\xbf \n{\"a\":1}\n\ndata: [DONE]").unwrap();
        assert_eq!((value.get("a").and_then(Json::count), rest), (Some(1), &b"\n\ndata: [DONE]"[..]));
        assert_eq!(Json::read(b"{\"a\":\"\xe9\"}").unwrap().0.get("a").unwrap().bytes(), Some(&b"\xe9"[..]));
    }

    #[test]
    fn of_duplicate_keys_the_last_that_holds_something_counts() {
        assert_eq!(read(r#"{"a":"","b":1,"a":"words"}"#).get("a").unwrap().text().unwrap(), "words");
        assert_eq!(read(r#"{"a":"words","a":null}"#).get("a").unwrap().text().unwrap(), "words");
        assert_eq!(read(r#"{"a":1,"a":2}"#).get("a").unwrap().count(), Some(2));
        assert_eq!(read(r#"{"a":null}"#).get("a"), Some(&Json::Null));
    }

    #[test]
    fn halves_of_a_pair_are_joined_or_kept() {
        assert_eq!(read(r#""\ud83e\ude81 好\u00e9""#).text().unwrap(), "🪁 好é");
        assert_eq!(read(r#""\ud83e""#).bytes(), Some(&b"\xed\xa0\xbe"[..]));
        assert_eq!(read(r#""\ude81x""#).bytes(), Some(&b"\xed\xba\x81x"[..]));
    }

    #[test]
    fn a_count_is_a_whole_number_that_is_not_negative() {
        for (text, count) in [
            ("20", Some(20)),
            ("20.0", Some(20)),
            ("\"20\"", Some(20)),
            ("37.25", None),
            ("-35", None),
            ("NaN", None),
            ("\"many\"", None),
            ("[]", None),
            ("1e99", None),
        ] {
            assert_eq!(read(text).count(), count, "{text}");
        }
    }

    #[test]
    fn what_is_broken_is_refused_with_its_place() {
        for (text, said) in [
            ("", "expected a value at byte 0"),
            ("<html>", "expected a value at byte 0"),
            ("{\"a\":\"b", "expected the end of a string at byte 7"),
            ("{\"a\" 1}", "expected a colon at byte 5"),
            ("[1 2]", "expected a comma or the end of a list or object at byte 3"),
            ("\"\\u12\"", "expected four digits at byte 3"),
        ] {
            assert_eq!(Json::read(text.as_bytes()).unwrap_err().to_string(), said, "{text}");
        }
        assert!(Json::read("[".repeat(100_000).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn any_json_is_read_as_serde_json_reads_it(texts in prop::collection::vec(any::<String>(), 0..4), number in any::<i64>(), pretty in any::<bool>()) {
            let value = serde_json::json!({"a": texts, "b": {"c": number, "d": [null, true, 0.5]}, "é\n": texts.first()});
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            prop_assert_eq!(read(&text.unwrap()).to_value(), value);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), text in "[\\[\\]{}\":,\\\\ud8n1 -]{0,60}") {
            let _ = Json::read(&bytes);
            let _ = Json::read(text.as_bytes());
        }
    }
}
