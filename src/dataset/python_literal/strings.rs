//! Strings of Python: prefixes, quotes, escapes, and strings that stand side by side.

use serde_json::Value;

use super::parser::{Parser, Strings};

impl Parser<'_> {
    /// Returns the length of a string's prefix and whether it is raw or bytes, if a string is next.
    pub(super) fn string_prefix(&self) -> Option<(usize, bool, bool)> {
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

    pub(super) fn is_string_next(&self) -> bool {
        self.string_prefix().is_some()
    }

    pub(super) fn strings(&mut self, strings: Strings) -> Option<Value> {
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

    pub(super) fn string(&mut self) -> Option<String> {
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
