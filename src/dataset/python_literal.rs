//! Values as Python writes them: the literals of `ast.literal_eval`, and the text of a numpy array.
//!
//! pandas writes a list into a CSV cell as `str()` shows it. That is a Python literal, or, for an array of objects, its
//! elements between brackets without commas.

use serde_json::{Map, Number, Value};

/// Values that are nested deeper are not read.
const DEPTH_MAX: usize = 64;

/// Reads a Python literal as JSON, in one pass over `text`. `None` for anything that is not one.
///
/// Tuples and sets become lists. `None`, `nan` and `inf` become null. Keys of dictionaries become texts as `json.dumps`
/// has them. Integers over 64 bits become floats, as they do in JSON. In a list without commas each element stands for
/// itself, as in numpy; elsewhere adjacent strings are one string.
pub fn python_value(text: &str) -> Option<Value> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    parser.skip_space();
    let value = parser.value(Strings::Joined)?;
    parser.skip_space();
    (parser.at == text.len()).then_some(value)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

/// What adjacent strings are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strings {
    /// One string.
    Joined,
    /// Decided by what is around them.
    Apart,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    /// Skips white space. Returns true where there is some.
    fn skip_space(&mut self) -> bool {
        let start = self.at;
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0c)) {
            self.at += 1;
        }
        self.at > start
    }

    fn value(&mut self, strings: Strings) -> Option<Value> {
        match self.peek()? {
            b'[' => self.nested(Self::list),
            b'(' => self.nested(Self::tuple),
            b'{' => self.nested(Self::braces),
            b'\'' | b'"' => self.strings(strings),
            b'0'..=b'9' | b'.' => self.number(false),
            sign @ (b'+' | b'-') => {
                self.at += 1;
                self.number(sign == b'-')
            }
            _ if self.string_prefix().is_some() => self.strings(strings),
            _ => self.word(),
        }
    }

    /// Reads what is inside of the bracket that is next.
    fn nested(&mut self, read: fn(&mut Self) -> Option<Value>) -> Option<Value> {
        if self.depth >= DEPTH_MAX {
            return None;
        }
        self.at += 1;
        self.depth += 1;
        self.skip_space();
        let value = read(self);
        self.depth -= 1;
        value
    }

    /// Reads elements with commas, or all without.
    fn list(&mut self) -> Option<Value> {
        let mut items: Vec<Value> = Vec::new();
        // Elements that follow another one without a comma.
        let (mut commas, mut joints) = (0_usize, Vec::new());
        let mut after_comma = true;
        while !self.take(b']') {
            let value = self.value(Strings::Apart)?;
            if !after_comma {
                joints.push(items.len());
            }
            items.push(value);
            let has_space = self.skip_space();
            after_comma = self.take(b',');
            commas += usize::from(after_comma);
            if after_comma {
                self.skip_space();
            } else if !has_space && self.peek() != Some(b']') && !self.is_string_next() {
                return None;
            }
        }
        if commas == 0 || joints.is_empty() {
            return Some(Value::Array(items));
        }
        // With commas, adjacent strings are one, and nothing else may be adjacent.
        let (mut joined, mut joints): (Vec<Value>, _) = (Vec::new(), joints.into_iter().peekable());
        for (number, value) in items.into_iter().enumerate() {
            match (joints.next_if_eq(&number).and_then(|_| joined.last_mut()), value) {
                (Some(Value::String(before)), Value::String(text)) => before.push_str(&text),
                (Some(_), _) => return None,
                (None, value) => joined.push(value),
            }
        }
        Some(Value::Array(joined))
    }

    fn tuple(&mut self) -> Option<Value> {
        let (mut items, mut commas) = (Vec::new(), 0_usize);
        while !self.take(b')') {
            if items.len() > commas {
                return None;
            }
            items.push(self.value(Strings::Joined)?);
            self.skip_space();
            commas += usize::from(self.take(b','));
            self.skip_space();
        }
        // Without a comma they are parentheses.
        if commas == 0 && items.len() == 1 { items.pop() } else { Some(Value::Array(items)) }
    }

    /// Reads a dictionary or a set.
    fn braces(&mut self) -> Option<Value> {
        let (mut fields, mut items, mut after_comma) = (Map::new(), Vec::new(), true);
        while !self.take(b'}') {
            if !after_comma {
                return None;
            }
            let value = self.value(Strings::Joined)?;
            self.skip_space();
            if self.take(b':') {
                self.skip_space();
                let field = self.value(Strings::Joined)?;
                fields.insert(key(value)?, field);
                self.skip_space();
            } else {
                items.push(value);
            }
            after_comma = self.take(b',');
            self.skip_space();
        }
        match (fields.is_empty(), items.is_empty()) {
            (_, true) => Some(Value::Object(fields)),
            (true, false) => Some(Value::Array(items)),
            (false, false) => None,
        }
    }

    fn number(&mut self, is_negative: bool) -> Option<Value> {
        let start = self.at;
        if matches!(self.peek(), Some(b'i' | b'n' | b'I' | b'N')) {
            let word = self.name();
            return matches!(word, "inf" | "nan" | "Infinity" | "NaN").then_some(Value::Null);
        }
        while let Some(byte) = self.peek() {
            let is_exponent_sign = matches!(byte, b'+' | b'-')
                && matches!(self.text.as_bytes()[self.at - 1], b'e' | b'E')
                && self.at > start;
            if !(byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E') || is_exponent_sign) {
                break;
            }
            self.at += 1;
        }
        let digits = &self.text[start..self.at];
        if matches!(self.peek(), Some(b'_' | b'a'..=b'z' | b'A'..=b'Z'))
            || !digits.bytes().any(|byte| byte.is_ascii_digit())
        {
            return None;
        }
        let is_integer = digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_integer && digits.len() > 1 && digits.starts_with('0') && digits.bytes().any(|byte| byte != b'0') {
            return None;
        }
        let text = if is_negative { format!("-{digits}") } else { digits.to_owned() };
        if is_integer {
            // Any length; Python writes `00` for zero, which JSON does not have.
            let digits = text.trim_start_matches('-').trim_start_matches('0');
            let digits = if digits.is_empty() { "0" } else { digits };
            return serde_json::from_str(&format!("{}{digits}", if is_negative { "-" } else { "" })).ok();
        }
        let number = text.parse::<f64>().ok()?;
        Some(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    /// Takes letters, digits, underscores and dots.
    fn name(&mut self) -> &str {
        let start = self.at;
        while matches!(self.peek(), Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')) {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    fn word(&mut self) -> Option<Value> {
        let name = self.name();
        let short = name.strip_prefix("np.").or_else(|| name.strip_prefix("numpy.")).unwrap_or(name);
        let is_numpy = short.len() < name.len();
        match short {
            "None" | "nan" | "inf" | "NaN" | "null" => return Some(Value::Null),
            "True" | "true" => return Some(Value::Bool(true)),
            "False" | "false" => return Some(Value::Bool(false)),
            "True_" if is_numpy => return Some(Value::Bool(true)),
            "False_" if is_numpy => return Some(Value::Bool(false)),
            _ => {}
        }
        let is_list = matches!(short, "array" | "set" | "frozenset");
        let is_scalar = is_numpy
            && (matches!(short, "str_" | "bool_" | "bool")
                || ["int", "uint", "float"].iter().any(|kind| {
                    short.strip_prefix(kind).is_some_and(|bits| bits.bytes().all(|byte| byte.is_ascii_digit()))
                }));
        if !(is_list || is_scalar) || self.peek() != Some(b'(') {
            return None;
        }
        let value = self.nested(Self::call)?;
        match value {
            Value::Null if is_list => Some(Value::Array(Vec::new())),
            Value::Array(_) if is_list => Some(value),
            Value::Array(_) | Value::Object(_) => None,
            scalar if is_scalar => Some(scalar),
            _ => None,
        }
    }

    /// Reads the arguments of a call: a value, and named ones such as `dtype=object`, which are dropped.
    fn call(&mut self) -> Option<Value> {
        if self.take(b')') {
            return Some(Value::Null);
        }
        let value = self.value(Strings::Joined)?;
        self.skip_space();
        while self.take(b',') {
            self.skip_space();
            if self.peek() == Some(b')') {
                break;
            }
            let name = self.name();
            if !matches!(name, "dtype" | "shape") || !self.take(b'=') {
                return None;
            }
            match self.peek()? {
                b'(' | b'[' | b'{' | b'\'' | b'"' => drop(self.value(Strings::Joined)?),
                _ if self.name().is_empty() => return None,
                _ => {}
            }
            self.skip_space();
        }
        self.take(b')').then_some(value)
    }

    /// Returns the length of a string's prefix and whether it is raw or bytes, if a string is next.
    fn string_prefix(&self) -> Option<(usize, bool, bool)> {
        let rest = &self.text.as_bytes()[self.at..];
        let (mut is_raw, mut is_bytes) = (false, false);
        for (length, byte) in rest.iter().take(3).enumerate() {
            match byte {
                b'\'' | b'"' => return Some((length, is_raw, is_bytes)),
                b'r' | b'R' if !is_raw => is_raw = true,
                b'b' | b'B' if !is_bytes => is_bytes = true,
                b'u' | b'U' if length == 0 && matches!(rest.get(1), Some(b'\'' | b'"')) => {}
                _ => return None,
            }
        }
        None
    }

    fn is_string_next(&self) -> bool {
        self.string_prefix().is_some()
    }

    fn strings(&mut self, strings: Strings) -> Option<Value> {
        let mut text = self.string()?;
        if strings == Strings::Apart {
            return Some(Value::String(text));
        }
        loop {
            let end = self.at;
            self.skip_space();
            if !self.is_string_next() {
                self.at = end;
                return Some(Value::String(text));
            }
            text.push_str(&self.string()?);
        }
    }

    fn string(&mut self) -> Option<String> {
        let (prefix, is_raw, is_bytes) = self.string_prefix()?;
        self.at += prefix;
        let quote = self.peek()?;
        let triple = [quote; 3];
        let is_triple = self.text.as_bytes()[self.at..].starts_with(&triple);
        let closing = if is_triple { &triple[..] } else { &triple[..1] };
        self.at += closing.len();
        let start = self.at;
        let mut text = Vec::new();
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let plain = memchr::memchr3(quote, b'\\', b'\n', rest)?;
            text.extend_from_slice(&rest[..plain]);
            self.at += plain;
            match rest[plain] {
                b'\\' if is_raw => {
                    // The backslash stays, and what follows it does not end the string.
                    let length = 1 + usize::from(rest.get(plain + 1).is_some_and(u8::is_ascii));
                    text.extend_from_slice(&rest[plain..plain + length]);
                    self.at += length;
                }
                b'\\' => {
                    self.at += 1;
                    self.escape(is_bytes, &mut text)?;
                }
                b'\n' if !is_triple => return None,
                b'\n' => {
                    text.push(b'\n');
                    self.at += 1;
                }
                _ if rest[plain..].starts_with(closing) => {
                    let inside = &self.text[start..self.at];
                    self.at += closing.len();
                    return if is_bytes && !inside.is_ascii() { None } else { String::from_utf8(text).ok() };
                }
                _ => {
                    text.push(quote);
                    self.at += 1;
                }
            }
        }
    }

    /// Reads what follows a backslash.
    fn escape(&mut self, is_bytes: bool, text: &mut Vec<u8>) -> Option<()> {
        let byte = self.peek()?;
        self.at += 1;
        let plain = match byte {
            b'\n' => return Some(()),
            b'\\' | b'\'' | b'"' => byte,
            b'a' => 0x07,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'0'..=b'7' => {
                let mut code = u32::from(byte - b'0');
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = self.peek() else { break };
                    code = code * 8 + u32::from(digit - b'0');
                    self.at += 1;
                }
                return push_code(code, is_bytes, text);
            }
            b'x' => {
                let code = self.hex(2)?;
                return push_code(code, is_bytes, text);
            }
            b'u' if !is_bytes => {
                let code = self.hex(4)?;
                let code = if matches!(code, 0xd800..=0xdbff) { self.low_surrogate(code)? } else { code };
                return push_code(code, false, text);
            }
            b'U' if !is_bytes => {
                let code = self.hex(8)?;
                return push_code(code, false, text);
            }
            // A character by its name.
            b'N' if !is_bytes => return None,
            // Any other backslash stays.
            _ => {
                self.at -= 1;
                b'\\'
            }
        };
        text.push(plain);
        Some(())
    }

    fn hex(&mut self, digits: usize) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + digits)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.at += digits.len();
        u32::from_str_radix(digits, 16).ok()
    }

    /// Joins two halves of a character.
    fn low_surrogate(&mut self, high: u32) -> Option<u32> {
        let is_escape = self.take(b'\\') && self.take(b'u');
        let low = if is_escape { self.hex(4)? } else { return None };
        matches!(low, 0xdc00..=0xdfff).then(|| 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))
    }
}

fn push_code(code: u32, is_bytes: bool, text: &mut Vec<u8>) -> Option<()> {
    if is_bytes {
        text.push(u8::try_from(code).ok()?);
    } else {
        let letter = char::from_u32(code)?;
        text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Some(())
}

/// Returns a dictionary's key as a text.
fn key(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_python_writes_is_read() {
        let cases = [
            ("[{'role': 'user', 'content': 'hi'}]", json!([{"role": "user", "content": "hi"}])),
            (r#"["it's", 'say "so"', 'it\'s "so"']"#, json!(["it's", "say \"so\"", "it's \"so\""])),
            (r"'\n\t\\\x41\u4f60\U0001f642\101\0'", json!("\n\t\\A你🙂A\0")),
            (r"'\ud83d\ude42'", json!("🙂")),
            (
                r"'a\
b\q'",
                json!("ab\\q"),
            ),
            (r"r'\n\'' u'x' b'\xc3\xa9'", json!("\\n\\'xé")),
            ("'''a\n'b' ''c'''", json!("a\n'b' ''c")),
            ("\"\"\"\"x\"\"\"", json!("\"x")),
            ("('a'\n 'b', 1,)", json!(["ab", 1])),
            ("(1)", json!(1)),
            ("()", json!([])),
            ("{1, 2,}", json!([1, 2])),
            ("set()", json!([])),
            ("{}", json!({})),
            (
                "{'a': None, 1: True, None: False, 2.5: nan, 'b': -inf,}",
                json!({"a": null, "1": true, "null": false, "2.5": null, "b": null}),
            ),
            (
                "[-1, 18446744073709551615, 1.5e-3, .5, 1., -0.0]",
                json!([-1, 18_446_744_073_709_551_615_u64, 0.0015, 0.5, 1.0, -0.0]),
            ),
            ("  [ ]\n", json!([])),
            ("array([{'a': 1}, {'b': 'x'}], dtype=object)", json!([{"a": 1}, {"b": "x"}])),
            ("{'m': array(['a', 'b'], dtype='<U1')}", json!({"m": ["a", "b"]})),
            ("array([], shape=(0, 2), dtype=float64)", json!([])),
            ("[{'a': 1}\n {'b': array([1, 2])}]", json!([{"a": 1}, {"b": [1, 2]}])),
            ("['a' 'b'\n 'c']", json!(["a", "b", "c"])),
            ("['a' 'b', 'c']", json!(["ab", "c"])),
            ("[['a' 'b']\n ['c' 'd']]", json!([["a", "b"], ["c", "d"]])),
            ("[ 1. -2. nan]", json!([1.0, -2.0, null])),
            ("[np.int64(3), np.float64(0.5), np.str_('x'), np.True_]", json!([3, 0.5, "x", true])),
        ];
        for (text, expected) in cases {
            assert_eq!(python_value(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_literal_is_nothing() {
        let texts = [
            "",
            "hello",
            "hello world",
            "[1, 2",
            "[1 2, 3]",
            "[1,, 2]",
            "[,]",
            "{'a'}1",
            "{'a': 1, 2}",
            "{'a' 1}",
            "'a",
            "'a\nb'",
            "1 2",
            "0x10",
            "007",
            "1_000",
            "1e",
            "--1",
            "-",
            ".",
            "1.2.3",
            "[{'a': 1} ... {'b': 2}]",
            "datetime.date(2024, 1, 2)",
            "f'x'",
            "ub'x'",
            "b'é'",
            "b'\\xff'",
            r"'\ud83d'",
            r"'\ude42'",
            r"'\N{DASH}'",
            r"'\x4'",
            "{(1, 2): 3}",
            "[1](2)",
            "array",
            "array(1)",
            "array([1], 2)",
            "foo([1])",
            "[a]",
            "(1 2)",
            "# comment",
            "1 + 2",
            "[{'a': 1}{'b': 2}]",
            "\u{a0}1",
        ];
        for text in texts {
            assert_eq!(python_value(text), None, "{text}");
        }
    }

    #[test]
    fn depth_and_length_have_limits() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(python_value(&nested(DEPTH_MAX)).is_some());
        assert!(python_value(&nested(DEPTH_MAX + 1)).is_none());
        assert!(python_value(&"[".repeat(1_000_000)).is_none());
        let long = format!("[{}]", "'a' ".repeat(1_000_000));
        assert_eq!(python_value(&long).and_then(|value| value.as_array().map(Vec::len)), Some(1_000_000));
    }

    /// Writes a value as `repr()` does.
    fn repr(value: &Value, out: &mut String) {
        let list = |items: &[Value], out: &mut String| {
            for (number, item) in items.iter().enumerate() {
                out.push_str(if number > 0 { ", " } else { "" });
                repr(item, out);
            }
        };
        match value {
            Value::Null => out.push_str("None"),
            Value::Bool(is_true) => out.push_str(if *is_true { "True" } else { "False" }),
            Value::Number(number) => out.push_str(&number.to_string()),
            Value::String(text) => repr_text(text, out),
            Value::Array(items) => {
                out.push('[');
                list(items, out);
                out.push(']');
            }
            Value::Object(fields) => {
                out.push('{');
                for (number, (name, item)) in fields.iter().enumerate() {
                    out.push_str(if number > 0 { ", " } else { "" });
                    repr_text(name, out);
                    out.push_str(": ");
                    repr(item, out);
                }
                out.push('}');
            }
        }
    }

    fn repr_text(text: &str, out: &mut String) {
        let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
        out.push(quote);
        for letter in text.chars() {
            match letter {
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                _ if letter == quote => out.extend(['\\', letter]),
                _ if (letter as u32) < 0x20 || letter as u32 == 0x7f => {
                    write!(out, "\\x{:02x}", letter as u32).unwrap();
                }
                _ => out.push(letter),
            }
        }
        out.push(quote);
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e15..1e15_f64).prop_map(Value::from),
            "[ -~\\n\\t\\x00\u{1}'\"\\\\你🙂é]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec(("[a-z'\"\\n]{0,4}", inner), 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_value_is_read_as_it_was_written(value in values()) {
            let mut text = String::new();
            repr(&value, &mut text);
            prop_assert_eq!(python_value(&text), Some(value));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\](){}'\"\\\\,:. \\n\\tabnruxUN0-9e+\\-é]{0,40}", bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = python_value(&text);
            let _ = python_value(&String::from_utf8_lossy(&bytes));
        }
    }
}
