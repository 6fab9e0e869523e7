use serde_json::{Map, Number, Value};

/// Values that are nested deeper are not read.
pub(super) const DEPTH_MAX: usize = 64;

/// Reads a literal from its beginning.
pub struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    depth: usize,
}

/// What adjacent strings are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Strings {
    /// One string.
    Joined,
    /// Decided by what is around them.
    Apart,
}

impl<'a> Parser<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// Reads the literal that the whole text is.
    pub fn whole(mut self) -> Option<Value> {
        self.skip_space();
        let value = self.value(Strings::Joined)?;
        self.skip_space();
        (self.at == self.text.len()).then_some(value)
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    /// Skips white space. Returns true where there is some.
    pub(super) fn skip_space(&mut self) -> bool {
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
}

/// Returns a dictionary's key as a text.
fn key(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}
