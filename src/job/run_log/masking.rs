use serde_json::Value;

use crate::conversation::beginning;
use crate::job::Keys;
use crate::model::{Masked, redact, without_passwords};
use crate::report::printable;

/// Bytes of one text. A longer one is shortened.
pub const TEXT_BYTES_MAX: usize = 32 << 10;
/// Bytes of one line without its end.
const LINE_BYTES_MAX: usize = 256 << 10;

/// Takes secrets out of what is written.
#[derive(Default)]
pub struct Masking(Vec<Masked>);

impl Masking {
    /// Hides these keys.
    pub fn of(keys: &Keys) -> Self {
        Self(
            keys.default
                .iter()
                .chain(keys.by_variable.values())
                .chain(keys.caller.iter().map(|caller| &caller.key))
                .flat_map(Masked::key)
                .collect(),
        )
    }

    /// Returns a text without secrets, shortened.
    pub fn text(&self, text: &str) -> String {
        let masked = redact(text, &self.0);
        let mut masked = without_passwords(&masked).into_owned();
        if masked.len() > TEXT_BYTES_MAX {
            masked.truncate(beginning(&masked, TEXT_BYTES_MAX).len());
            masked.push('…');
        }
        masked
    }

    /// Returns a value whose texts are without secrets.
    pub fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(values) => values.into_iter().map(|value| self.value(value)).collect(),
            Value::Object(fields) => {
                fields.into_iter().map(|(name, value)| (self.text(&name), self.value(value))).collect()
            }
            other => other,
        }
    }

    /// Returns a line for the file: one line, without secrets and without characters that a terminal obeys. `None` where
    /// it would be too long.
    pub fn line(&self, value: Value) -> Option<String> {
        let line = self.value(value).to_string();
        let line = printable(&line);
        (line.len() <= LINE_BYTES_MAX).then(|| format!("{line}\n"))
    }
}
