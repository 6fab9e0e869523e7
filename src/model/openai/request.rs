use std::io::Write;

use super::wire::TIER;
use crate::conversation::{Message, Question, ServiceTier};
use crate::model::fold::folded;
use crate::model::learned::Adjustment;
use crate::model::refused::{Limit, limit, refuses_schema, unsupported_fields};
use crate::model::request::{LengthField, RESPONSE_FORMAT, RefusedCall, RequestFormat, SCHEMA};

const CACHE_KEY: &str = "prompt_cache_key";
const TOOLS: &str = "tools";
const STREAM: &str = "stream";
const STREAM_OPTIONS: &str = "stream_options";

/// Returns the request body for a question, assembled from the messages' cached JSON.
pub fn body(question: &Question, format: &RequestFormat<'_>) -> Vec<u8> {
    let messages = folded(question);
    let messages_bytes: usize = messages.iter().map(|message| message.content_json().len() + 40).sum();
    let mut body = Vec::with_capacity(messages_bytes + 256);
    body.extend_from_slice(b"{\"model\":");
    push_json(&mut body, question.target.model());
    body.extend_from_slice(b",\"messages\":");
    Message::write_list(messages.iter(), &mut body);
    let fields = format.extra_fields(question);
    // The user's own field takes precedence.
    if let Some(tools) = question.target.tools().filter(|_| !fields.contains_key(TOOLS)) {
        body.extend_from_slice(b",\"tools\":");
        body.extend_from_slice(tools.json().as_bytes());
    }
    let sampling = format.sampling(question);
    push_field(&mut body, "temperature", sampling.temperature);
    push_field(&mut body, "top_p", sampling.top_p);
    push_field(&mut body, length_field(format), sampling.max_tokens);
    push_field(&mut body, "seed", sampling.seed);
    let takes = |field: &str| !format.learned.drops(field);
    // The user's own key takes precedence.
    let cache_key = format.cache_key.filter(|_| takes(CACHE_KEY) && !fields.contains_key(CACHE_KEY));
    push_field(&mut body, CACHE_KEY, cache_key);
    for (name, value) in &fields {
        body.push(b',');
        push_json(&mut body, name);
        body.push(b':');
        push_json(&mut body, value);
    }
    // A model that has no flex tier is to refuse this: the user decides what is paid, so it is never dropped.
    let tier = (format.tier == ServiceTier::Flex).then_some(ServiceTier::FLEX);
    push_field(&mut body, TIER, tier);
    // Some servers stream unless they are told not to.
    let stream = format.stream && takes(STREAM);
    push_field(&mut body, STREAM, Some(stream));
    if stream && takes(STREAM_OPTIONS) {
        body.extend_from_slice(b",\"stream_options\":{\"include_usage\":true}");
    }
    body.push(b'}');
    body
}

/// Returns what a refusal reveals: the server needs the other length field, does not support a field, or limits one.
pub fn learn(refused: &RefusedCall<'_>) -> Vec<Adjustment> {
    let (question, format) = (refused.question, refused.format);
    let sampling = format.sampling(question);
    let length = length_field(format);
    let fields = format.extra_fields(question);
    let own = [
        (length, sampling.max_tokens.is_some()),
        ("temperature", sampling.temperature.is_some()),
        ("top_p", sampling.top_p.is_some()),
        ("seed", sampling.seed.is_some()),
        (CACHE_KEY, format.cache_key.is_some()),
        (STREAM, format.stream),
        (STREAM_OPTIONS, format.stream),
    ];
    let is_sent = |(name, is_asked): &(&str, bool)| *is_asked && !format.learned.drops(name);
    let own = own.into_iter().filter(is_sent).map(|(name, _)| name);
    let sent: Vec<&str> = own.chain(fields.keys().map(String::as_str)).collect();
    let mut unsupported = unsupported_fields(refused, &sent);
    let has_schema = format.schema(question).is_some();
    if unsupported.is_empty() && has_schema && refuses_schema(refused) {
        unsupported.push(RESPONSE_FORMAT.to_owned());
    }
    let cap = limit(refused, length).map(|Limit { field, value }| Adjustment::Cap { field, value });
    if unsupported.is_empty() {
        return cap.into_iter().collect();
    }
    // A further attempt asks for a higher temperature: the server has accepted the user's.
    let was_accepted = question.target.raised_from().is_some_and(|asked| asked.temperature.is_some());
    let adjustment = |field: String| match (field.as_str(), &cap) {
        (RESPONSE_FORMAT, _) if has_schema => Adjustment::Drop(SCHEMA.to_owned()),
        (name, _) if name == length => Adjustment::Use(length_fields(format).1),
        ("temperature", Some(cap @ Adjustment::Cap { field: "temperature", .. })) if was_accepted => cap.clone(),
        _ => Adjustment::Drop(field),
    };
    unsupported.into_iter().map(adjustment).collect()
}

/// Returns the field that limits the answer's length: the configured one, or the other if the server needs that.
fn length_field(format: &RequestFormat<'_>) -> &'static str {
    let (configured, other) = length_fields(format);
    if format.learned.uses(other) { other } else { configured }
}

fn length_fields(format: &RequestFormat<'_>) -> (&'static str, &'static str) {
    match format.length_field {
        LengthField::MaxTokens => ("max_tokens", "max_completion_tokens"),
        LengthField::MaxCompletionTokens => ("max_completion_tokens", "max_tokens"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{FailureCode, Role, Sampling, Slot, Target};
    use crate::model::failure::{Failure, FailureClass};
    use crate::model::learned::Learned;

    fn learned(target: std::sync::Arc<Target>, known: &Learned, reply: &str) -> Vec<Adjustment> {
        let question =
            Question { slot: Slot::main(0), target, sample: 0, messages: vec![Message::new(Role::User, "hi")].into() };
        let failure = Failure::new(FailureClass::Permanent, FailureCode::Http(400), reply);
        let format = RequestFormat { stream: true, learned: known, ..RequestFormat::default() };
        learn(&RefusedCall { failure: &failure, reply: reply.as_bytes(), question: &question, format: &format })
    }

    #[test]
    fn a_temperature_that_was_accepted_is_kept_when_a_higher_one_is_refused() {
        let of = |temperature| Sampling { temperature, max_tokens: Some(9), ..Sampling::default() };
        let refusal = "Unsupported value: 'temperature' does not support 1.1 with this model.";
        let raised = Target::new("m", "openai", of(Some(0.9))).raised(of(Some(1.1)));
        let cap = Adjustment::Cap { field: "temperature", value: 0.9 };
        assert_eq!(learned(raised.clone(), Learned::NOTHING, refusal), vec![cap.clone()]);
        let mut known = Learned::default();
        known.add(&cap);
        let dropped = [Adjustment::Drop("temperature".to_owned())];
        assert_eq!(learned(raised, &known, refusal), dropped, "another server refuses the user's too");
        let unasked = Target::new("m", "openai", of(None)).raised(of(Some(1.1)));
        assert_eq!(learned(unasked, Learned::NOTHING, refusal), dropped);
    }

    #[test]
    fn the_other_length_field_is_used_once() {
        let target = Target::new("m", "openai", Sampling { max_tokens: Some(9), ..Sampling::default() });
        let refusal = |field: &str| format!("Unsupported parameter: '{field}' is not supported with this model.");
        let other = Adjustment::Use("max_completion_tokens");
        assert_eq!(learned(target.clone(), Learned::NOTHING, &refusal("max_tokens")), vec![other.clone()]);
        let mut known = Learned::default();
        known.add(&other);
        let again = learned(target, &known, &refusal("max_completion_tokens"));
        assert!(again.iter().all(|adjustment| !known.lacks(adjustment)), "{again:?}");
    }
}
