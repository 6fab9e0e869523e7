//! The parts of a request other than the question.

use std::borrow::Cow;

/// A header of every request of a dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The header's name.
    pub name: &'static str,
    /// The header's value.
    pub value: HeaderText,
}

/// The value of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderText {
    /// A fixed value.
    Fixed(Cow<'static, str>),
    /// This prefix and the API key; the header is omitted without a key. A dialect never sees the key.
    Key(&'static str),
}

impl Header {
    /// Declares the request as JSON.
    pub const JSON: Self = Self::fixed("content-type", "application/json");
    /// Sends the key as a bearer token.
    pub const BEARER: Self = Self::key("authorization", "Bearer ");

    /// Makes a header with a fixed value.
    pub const fn fixed(name: &'static str, value: &'static str) -> Self {
        Self { name, value: HeaderText::Fixed(Cow::Borrowed(value)) }
    }

    /// Makes a header with a value that the configuration decides.
    pub fn owned(name: &'static str, value: String) -> Self {
        Self { name, value: HeaderText::Fixed(Cow::Owned(value)) }
    }

    /// Makes the header that carries the key after `prefix`.
    pub const fn key(name: &'static str, prefix: &'static str) -> Self {
        Self { name, value: HeaderText::Key(prefix) }
    }
}

/// How a request is written, apart from the question.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestFormat<'a> {
    /// Requests a streamed answer.
    pub stream: bool,
    /// The field that limits the answer's length, if the format has two of them.
    pub length_field: LengthField,
    /// A key that is equal for requests whose prefixes the server may have cached.
    pub cache_key: Option<&'a str>,
    /// The configured version of the API; `None` is the dialect's default.
    pub api_version: Option<&'a str>,
    /// Marks where the server is to cache the prompt, if the format has such marks.
    pub cache_control: bool,
    /// The settings learned from this server's refusals.
    pub learned: Learned,
}

/// The field that limits the answer's length. Most servers know only one of the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LengthField {
    /// The field of every server except `OpenAI`'s reasoning models.
    #[default]
    MaxTokens,
    /// The field of `OpenAI`'s reasoning models.
    MaxCompletionTokens,
}

/// Settings learned from a server's refusals, as bits that the dialect defines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learned(pub u32);

impl Learned {
    /// True if all bits of `other` are set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
