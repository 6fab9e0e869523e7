use std::fmt;

/// An API key. It prints as asterisks; only a request header gets the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a key; `None` if it is empty.
    pub fn new(key: &str) -> Option<Self> {
        let key = key.trim();
        (!key.is_empty()).then(|| Self(key.to_owned()))
    }

    /// Returns the key itself, for a request header only.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// Returns `text` with the key masked: servers like to quote it in errors.
    pub(super) fn redact(&self, text: &str) -> String {
        if text.contains(&self.0) { text.replace(&self.0, "***") } else { text.to_owned() }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
