use serde_json::Value;

use super::dialect::{Capabilities, Dialect, Output};
use super::failure::{Failure, FailureClass};
use super::request::RequestFormat;
use crate::conversation::{Answer, FailureCode, Finish, Message, Question, Role, Usage};

/// The dialect of reward models: messages in, one number out.
///
/// The request is `{"model": NAME, "messages": [...]}`; the last message is the answer to be scored. The reply is a
/// number, a list of one number, or an object with `score`, `reward` or `value`.
pub struct Scorer;

impl Dialect for Scorer {
    fn name(&self) -> &'static str {
        "scorer"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { output: Output::Number, ..Capabilities::default() }
    }

    fn body(&self, question: &Question, format: &RequestFormat<'_>) -> Result<Vec<u8>, Failure> {
        Ok(request_body(question, format))
    }

    fn read_whole(&self, body: &[u8], question: &Question, attempt: u32) -> Result<Answer, Failure> {
        parse_score(body, question, attempt)
    }
}

fn request_body(question: &Question, format: &RequestFormat<'_>) -> Vec<u8> {
    let model = Value::from(question.target.model());
    let mut body = format!("{{\"model\":{model},\"messages\":").into_bytes();
    Message::write_list(&question.messages, &mut body);
    for (name, value) in format.body_fields(question) {
        body.extend_from_slice(format!(",{}:{value}", Value::from(name)).as_bytes());
    }
    body.push(b'}');
    body
}

/// Reads a reply. The answer's text is the number.
fn parse_score(body: &[u8], question: &Question, attempt: u32) -> Result<Answer, Failure> {
    let garbage = |what: String| Failure::new(FailureClass::Transient, FailureCode::Garbage, what);
    let value: Value =
        serde_json::from_slice(body).map_err(|error| garbage(format!("the reply is not JSON: {error}")))?;
    let number = score_in(&value).filter(|number| number.is_finite());
    let number =
        number.ok_or_else(|| garbage("the reply contains no number; expected {\"score\": NUMBER}".to_owned()))?;
    Ok(Answer {
        message: Message::new(Role::Assistant, number.to_string()),
        reasoning: None,
        finish: Finish::Complete,
        finish_reason: "stop".to_owned(),
        model: question.target.model().to_owned(),
        system_fingerprint: None,
        usage: Usage::default(),
        attempts: attempt,
        dropped: Vec::new(),
        tokens: None,
    })
}

fn score_in(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::Array(values) => values.first().and_then(score_in).filter(|_| values.len() == 1),
        Value::Object(fields) => {
            ["score", "reward", "value"].iter().find_map(|name| fields.get(*name)).and_then(score_in)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{Sampling, Slot, Target};

    #[test]
    fn a_number_is_read_in_each_shape_and_nothing_else_is() {
        let messages = vec![Message::new(Role::User, "a \"b\""), Message::new(Role::Assistant, "c")];
        let target = Target::new("rm", Scorer.name(), Sampling::default());
        let question = Question { slot: Slot::main(0), target, sample: 0, messages: messages.into() };
        let body: Value = serde_json::from_slice(&request_body(&question, &RequestFormat::default())).unwrap();
        assert_eq!(body["messages"][0]["content"], "a \"b\"");
        for reply in ["0.5", "[0.5]", r#"{"score": 0.5}"#, r#"{"reward": [0.5]}"#] {
            assert_eq!(parse_score(reply.as_bytes(), &question, 1).unwrap().text(), "0.5", "{reply}");
        }
        for reply in ["[]", "[1, 2]", r#"{"score": "0.5"}"#, "null", "no", r#"{"loss": 1}"#] {
            assert_eq!(
                parse_score(reply.as_bytes(), &question, 1).unwrap_err().class,
                FailureClass::Transient,
                "{reply}"
            );
        }
    }
}
