//! What a request has beside the question.

/// A header that every request of a dialect has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: HeaderText,
}

/// The value of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderText {
    /// Always the same.
    Fixed(&'static str),
    /// This text, then the API key; the header is left out where there is no key. A dialect never sees the key.
    Key(&'static str),
}

impl Header {
    /// The request is JSON.
    pub const JSON: Self = Self::fixed("content-type", "application/json");
    /// The key is a bearer token.
    pub const BEARER: Self = Self::key("authorization", "Bearer ");

    /// Makes a header that is always the same.
    pub const fn fixed(name: &'static str, value: &'static str) -> Self {
        Self { name, value: HeaderText::Fixed(value) }
    }

    /// Makes the header that carries the key, after `prefix`.
    pub const fn key(name: &'static str, prefix: &'static str) -> Self {
        Self { name, value: HeaderText::Key(prefix) }
    }
}

/// How a request is written, beside what is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestFormat<'a> {
    /// Asks for the answer in pieces.
    pub stream: bool,
    /// Which field limits the answer's length, where the format has two of them.
    pub length_field: LengthField,
    /// A name that is equal for requests whose beginnings the server may have cached.
    pub cache_key: Option<&'a str>,
    /// What this server has taught.
    pub learned: Learned,
}

/// The field that limits the answer's length; servers know one or the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LengthField {
    /// What every server but `OpenAI`'s reasoning models takes.
    #[default]
    MaxTokens,
    /// What `OpenAI`'s reasoning models take.
    MaxCompletionTokens,
}

/// What a server has taught by its refusals: bits whose meaning is the dialect's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learned(pub u32);

impl Learned {
    /// True where all of `other` is known.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
