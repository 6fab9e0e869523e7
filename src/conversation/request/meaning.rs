//! What a body field means: an option of its own, a part of the question, or neither.

use serde_json::{Map, Value};

use super::error::BodyError;
use super::fields::BodyFields;
use crate::conversation::sampling::Sampling;

/// The fields that the program sets itself, with what to use instead.
const REFUSED: &[(&str, &str)] = &[
    ("messages", "the messages come from the input; --system sets the system message"),
    ("model", "name the model with --teacher NAME@URL, or with name in its profile"),
    ("stream", "use --stream true or --stream false"),
    ("stream_options", "token counts are requested by default; use --stream false for a server without streaming"),
    ("n", "use --samples N: each sample is a request of its own, so that each answer is stored"),
    ("tools", "the model is not offered tools; --tools replay sends a row's own calls as context"),
];

impl BodyFields {
    /// Splits fields by their meaning: those with an option of their own, those that may change an answer, and those that
    /// cannot (`is_side` decides).
    pub fn split(self, is_side: impl Fn(&str) -> bool) -> Result<(Sampling, BodyFields, BodyFields), BodyError> {
        let (mut sampling, mut body, mut side) = (Sampling::default(), Map::new(), Map::new());
        for (name, value) in self.0 {
            if let Some((field, hint)) = REFUSED.iter().find(|(field, _)| *field == name) {
                return Err(BodyError::Refused { field: (*field).to_owned(), hint });
            }
            if take_sampling(&mut sampling, &name, &value)? {
                continue;
            }
            let fields = if is_side(&name) { &mut side } else { &mut body };
            fields.insert(name, value);
        }
        Ok((sampling, Self(body), Self(side)))
    }
}

/// Takes a field that has an option of its own; false for any other.
fn take_sampling(sampling: &mut Sampling, name: &str, value: &Value) -> Result<bool, BodyError> {
    let fault = |expected| BodyError::Value { field: name.to_owned(), value: value.to_string(), expected };
    let number = |max: f64| value.as_f64().filter(|number| (0.0..=max).contains(number));
    match name {
        "temperature" => sampling.temperature = Some(number(10.0).ok_or_else(|| fault("a number from 0 to 10"))?),
        "top_p" => sampling.top_p = Some(number(1.0).ok_or_else(|| fault("a number from 0 to 1"))?),
        "max_tokens" | "max_completion_tokens" => {
            let limit = value.as_u64().and_then(|limit| u32::try_from(limit).ok()).filter(|limit| *limit > 0);
            let limit = limit.ok_or_else(|| fault("a whole number of at least 1"))?;
            if sampling.max_tokens.is_some_and(|other| other != limit) {
                return Err(BodyError::contradiction("max_tokens", "max_completion_tokens"));
            }
            sampling.max_tokens = Some(limit);
        }
        "seed" => sampling.seed = Some(value.as_i64().ok_or_else(|| fault("a whole number"))?),
        _ => return Ok(false),
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> BodyFields {
        json.parse().unwrap()
    }

    #[test]
    fn fields_with_an_option_set_it_and_those_of_the_program_are_refused() {
        let given = fields(r#"{"temperature": 0.5, "max_completion_tokens": 9, "top_k": 20, "user": "me"}"#);
        let (sampling, body, side) = given.split(super::super::is_side_field).unwrap();
        let expected = Sampling { temperature: Some(0.5), max_tokens: Some(9), ..Sampling::default() };
        assert_eq!((sampling, body, side), (expected, fields(r#"{"top_k": 20}"#), fields(r#"{"user": "me"}"#)));
        for refused in ["messages", "model", "stream", "stream_options", "n", "tools"] {
            let error = fields(&format!("{{\"{refused}\": 1}}")).split(|_| false).unwrap_err();
            assert!(matches!(&error, BodyError::Refused { field, .. } if field == refused), "{error}");
        }
        for wrong in [r#"{"temperature": "hot"}"#, r#"{"max_tokens": 0}"#, r#"{"seed": 1.5}"#, r#"{"top_p": 2}"#] {
            assert!(matches!(fields(wrong).split(|_| false), Err(BodyError::Value { .. })), "{wrong}");
        }
        let two = fields(r#"{"max_tokens": 1, "max_completion_tokens": 2}"#);
        assert!(matches!(two.split(|_| false), Err(BodyError::Contradiction { .. })));
    }
}
