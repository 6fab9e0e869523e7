use std::io::Write;

use crate::conversation::{Message, Question};
use crate::model::failure::{Failure, FailureClass};
use crate::model::fold::folded;
use crate::model::request::{Learned, LengthField, RequestFormat};

/// The server needs the other length field than the configured one.
const OTHER_LENGTH_FIELD: Learned = Learned(1);

/// Returns the request body for a question, assembled from the messages' cached JSON.
pub fn body(question: &Question, format: &RequestFormat<'_>) -> Vec<u8> {
    let messages = folded(question);
    let messages_bytes: usize = messages.iter().map(|message| message.content_json().len() + 40).sum();
    let mut body = Vec::with_capacity(messages_bytes + 256);
    body.extend_from_slice(b"{\"model\":");
    push_json(&mut body, question.target.model());
    body.extend_from_slice(b",\"messages\":");
    Message::write_list(messages.iter(), &mut body);
    let sampling = question.target.sampling();
    let seed = sampling.seed.map(|seed| seed.wrapping_add(i64::from(question.sample)));
    push_field(&mut body, "temperature", sampling.temperature);
    push_field(&mut body, "top_p", sampling.top_p);
    push_field(&mut body, length_field(format), sampling.max_tokens);
    push_field(&mut body, "seed", seed);
    push_field(&mut body, "prompt_cache_key", format.cache_key);
    if format.stream {
        body.extend_from_slice(b",\"stream\":true,\"stream_options\":{\"include_usage\":true}");
    } else {
        // Some gateways stream unless told otherwise.
        body.extend_from_slice(b",\"stream\":false");
    }
    body.push(b'}');
    body
}

/// Returns the other length field if the server refused the one that was sent.
pub fn learn(failure: &Failure, format: &RequestFormat<'_>) -> Option<Learned> {
    let message = &failure.message;
    let is_refused = matches!(failure.class, FailureClass::Refused | FailureClass::Permanent)
        && message.contains(length_field(format))
        && (message.contains("nsupported parameter") || message.contains("xtra inputs are not permitted"));
    is_refused.then_some(OTHER_LENGTH_FIELD)
}

fn length_field(format: &RequestFormat<'_>) -> &'static str {
    match (format.length_field, format.learned.has(OTHER_LENGTH_FIELD)) {
        (LengthField::MaxTokens, false) | (LengthField::MaxCompletionTokens, true) => "max_tokens",
        (LengthField::MaxCompletionTokens, false) | (LengthField::MaxTokens, true) => "max_completion_tokens",
    }
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
