//! The parts of a request other than the question.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::detail::add_fields;
use super::failure::Failure;
use super::family::ServerFamily;
use super::learned::Learned;
use crate::conversation::{AnswerSchema, Question, Sampling, ServiceTier};

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

/// The field that asks for a form of the answer.
pub const RESPONSE_FORMAT: &str = "response_format";
/// What a server does not support that refuses a schema. It is no name of a field: the user's own `response_format`, which
/// another role may have on the same server, stays as it is.
pub const SCHEMA: &str = "response_format.json_schema";
/// Body fields that say what an answer looks like, on any server.
const OUTPUT_FIELDS: &[&str] = &[
    RESPONSE_FORMAT,
    "grammar",
    "json_schema",
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "structured_outputs",
    "structural_tag",
    "output_format",
    "output_config.format",
    "regex",
    "ebnf",
];

/// How a request is written, apart from the question.
#[derive(Clone, Copy, Debug)]
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
    /// How the server is told to reason.
    pub family: ServerFamily,
    /// Asks for answers that follow the question's schema, if it has one.
    pub structured: bool,
    /// The tier that is asked for.
    pub tier: ServiceTier,
    /// The settings learned from this server's refusals.
    pub learned: &'a Learned,
}

impl Default for RequestFormat<'_> {
    fn default() -> Self {
        Self {
            stream: false,
            length_field: LengthField::default(),
            cache_key: None,
            api_version: None,
            cache_control: false,
            family: ServerFamily::default(),
            structured: false,
            tier: ServiceTier::default(),
            learned: Learned::NOTHING,
        }
    }
}

impl RequestFormat<'_> {
    /// Returns the sampling parameters to send: without those that the server does not support, the seed for this sample,
    /// and in a further attempt no more than the server accepts.
    pub fn sampling(&self, question: &Question) -> Sampling {
        let asked = question.target.sampling();
        let is_raised = question.target.raised_from().is_some();
        let cap = |field: &str| self.learned.cap(field).filter(|_| is_raised).unwrap_or(f64::INFINITY);
        let takes = |field: &str| !self.learned.drops(field);
        let seed = asked.seed.map(|seed| seed.wrapping_add(i64::from(question.sample)));
        Sampling {
            temperature: asked.temperature.map(|value| value.min(cap("temperature"))).filter(|_| takes("temperature")),
            top_p: asked.top_p.filter(|_| takes("top_p")),
            max_tokens: asked.max_tokens.map(|limit| f64::from(limit).min(cap("max_tokens")) as u32),
            seed: seed.filter(|_| takes("seed")),
        }
    }

    /// Returns the fields that the user adds, without those that the server does not support. The shortcuts for reasoning
    /// are not among them.
    pub fn body_fields(&self, question: &Question) -> Map<String, Value> {
        let extras = question.target.extras();
        let fields = extras.body.iter().chain(extras.side.iter()).filter(|(name, _)| !self.learned.drops(name));
        fields.map(|(name, value)| (name.to_owned(), value.clone())).collect()
    }

    /// Returns the schema that the server is asked for: not where it has refused one, nor where the user's own fields
    /// already say what an answer looks like.
    pub fn schema<'q>(&self, question: &'q Question) -> Option<&'q AnswerSchema> {
        let body = &question.target.extras().body;
        let is_free = || OUTPUT_FIELDS.iter().all(|field| body.get(field).is_none());
        let takes = || [SCHEMA, RESPONSE_FORMAT].iter().all(|name| !self.learned.drops(name));
        question.target.schema().filter(|_| self.structured && takes() && is_free())
    }

    /// Returns the fields of the body besides messages and sampling: the user's, those that the server's family
    /// understands as the shortcuts for reasoning, the form of the answer, and the tokens that are asked for.
    pub fn extra_fields(&self, question: &Question) -> Map<String, Value> {
        let mut fields = self.fields_as_asked(question);
        if let Some(AnswerSchema { name, schema }) = self.schema(question) {
            let schema = json!({"name": name, "strict": true, "schema": schema});
            fields.insert(RESPONSE_FORMAT.to_owned(), json!({"type": "json_schema", "json_schema": schema}));
        }
        if let Some(detail) = question.target.detail() {
            add_fields(detail, &mut fields, |name| self.learned.drops(name));
        }
        fields
    }

    /// Returns the same without the form of the answer and its tokens.
    pub fn fields_as_asked(&self, question: &Question) -> Map<String, Value> {
        let extras = question.target.extras();
        if extras.thinking.is_none() && extras.effort.is_none() {
            return self.body_fields(question);
        }
        let mut fields = extras.body.clone().merged(&extras.side);
        for (_, path, value) in self.family.shortcut_fields(&question.target) {
            fields.set(path, value);
        }
        let fields = fields.iter().filter(|(name, _)| !self.learned.drops(name));
        fields.map(|(name, value)| (name.to_owned(), value.clone())).collect()
    }
}

impl RequestFormat<'_> {
    /// Returns what the user asked for and the server does not take, in words: names of fields, and values above a limit.
    pub fn left_out(&self, question: &Question) -> Vec<String> {
        if self.learned == Learned::NOTHING {
            return Vec::new();
        }
        let (asked, sent) = (question.target.sampling(), self.sampling(question));
        let names = ["temperature", "top_p", "max_tokens", "seed"].into_iter();
        let words = names.zip(asked.as_words().into_iter().zip(sent.as_words()));
        let left_out = words.filter_map(|(name, (asked, sent))| match sent {
            None => asked.map(|_| name.to_owned()),
            // The seed that is sent differs by the sample.
            Some(sent) => {
                asked.filter(|asked| *asked != sent && name != "seed").map(|_| format!("{name} above {sent}"))
            }
        });
        let as_asked = RequestFormat { learned: Learned::NOTHING, ..*self };
        let mut all = as_asked.fields_as_asked(question);
        all.retain(|name, _| self.learned.drops(name));
        let own = [
            ("prompt_cache_key", self.cache_key.is_some()),
            ("stream", self.stream),
            ("stream_options", self.stream),
            (SCHEMA, as_asked.schema(question).is_some()),
        ];
        let own = own.into_iter().filter(|(name, is_sent)| *is_sent && self.learned.drops(name));
        left_out.chain(all.into_iter().map(|(name, _)| name)).chain(own.map(|(name, _)| name.to_owned())).collect()
    }
}

/// A call that the server refused, for a dialect to learn from.
#[derive(Clone, Copy, Debug)]
pub struct RefusedCall<'a> {
    /// The refusal, classified.
    pub failure: &'a Failure,
    /// The body of the refusal.
    pub reply: &'a [u8],
    /// The question.
    pub question: &'a Question,
    /// How it was written.
    pub format: &'a RequestFormat<'a>,
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
