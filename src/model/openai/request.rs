use std::io::Write;

use crate::conversation::Question;

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

/// How a request is written, beside what is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestFormat<'a> {
    /// Asks for the answer in pieces.
    pub stream: bool,
    /// The field that limits the answer's length.
    pub length_field: LengthField,
    /// A name that is equal for requests whose beginnings the server may have cached.
    pub cache_key: Option<&'a str>,
}

/// Returns the request body for a question, put together from the messages' ready-made JSON.
pub fn request_body(question: &Question, format: &RequestFormat<'_>) -> Vec<u8> {
    let messages_bytes: usize = question.messages.iter().map(|message| message.content_json().len() + 40).sum();
    let mut body = Vec::with_capacity(messages_bytes + 256);
    body.extend_from_slice(b"{\"model\":");
    push_json(&mut body, question.target.model());
    body.extend_from_slice(b",\"messages\":[");
    for (index, message) in question.messages.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        message.write_json(&mut body);
        body.push(b'}');
    }
    body.push(b']');
    let sampling = question.target.sampling();
    let seed = sampling.seed.map(|seed| seed.wrapping_add(i64::from(question.sample)));
    push_field(&mut body, "temperature", sampling.temperature);
    push_field(&mut body, "top_p", sampling.top_p);
    let length_name = match format.length_field {
        LengthField::MaxTokens => "max_tokens",
        LengthField::MaxCompletionTokens => "max_completion_tokens",
    };
    push_field(&mut body, length_name, sampling.max_tokens);
    push_field(&mut body, "seed", seed);
    push_field(&mut body, "prompt_cache_key", format.cache_key);
    if format.stream {
        body.extend_from_slice(b",\"stream\":true,\"stream_options\":{\"include_usage\":true}");
    }
    body.push(b'}');
    body
}

fn push_field(body: &mut Vec<u8>, name: &str, value: Option<impl serde::Serialize>) {
    if let Some(value) = value {
        write!(body, ",\"{name}\":").expect("a vector takes every write");
        push_json(body, &value);
    }
}

fn push_json(body: &mut Vec<u8>, value: &(impl serde::Serialize + ?Sized)) {
    serde_json::to_writer(body, value).expect("names and numbers are valid JSON");
}
