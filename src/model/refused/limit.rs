use super::{concerns_the_request, reply_text};
use crate::conversation::FailureCode;
use crate::model::request::RefusedCall;

/// Returns the limit of a field in which this question asks for more than the user did: the largest number that the
/// refusal names between what the user asked for and what was sent, else what the user asked for. The server accepts that
/// much, since it has answered the first attempt. `length` is the name of the field that limits the answer's length.
pub fn limit(refused: &RefusedCall<'_>, length: &str) -> Option<Limit> {
    let base = refused.question.target.raised_from()?;
    // The prompt has been answered with less room for the answer.
    let is_overflow = refused.failure.code == FailureCode::Context;
    if !is_overflow && !concerns_the_request(refused) {
        return None;
    }
    let sent = refused.format.sampling(refused.question);
    let text = reply_text(refused).to_lowercase();
    let tokens = |limit: u32| f64::from(limit);
    let fields = [
        ("max_tokens", sent.max_tokens.map(tokens), base.max_tokens.map(tokens), LENGTH_WORDS),
        ("temperature", sent.temperature, base.temperature, &["temperature"]),
    ];
    for (field, sent, base, words) in fields {
        let is_said = words.iter().any(|word| text.contains(word));
        let is_named = match field {
            "max_tokens" => is_overflow || is_said || text.contains(length),
            _ => !is_overflow && is_said,
        };
        let Some(sent) = sent.filter(|sent| is_named && base.is_none_or(|base| *sent > base)) else { continue };
        let is_repeated = refused.format.learned.cap(field).is_some();
        let named =
            numbers(&text).filter(|number| *number < sent && *number > 0.0 && base.is_none_or(|base| *number >= base));
        // A limit that did not help may be exclusive.
        let named = named
            .filter(|_| !is_repeated)
            .fold(None, |most: Option<f64>, number| Some(most.map_or(number, |most| most.max(number))));
        return named.or(base).map(|value| Limit { field, value });
    }
    None
}

/// A limit that a refusal reveals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// The field: `temperature` or `max_tokens`.
    pub field: &'static str,
    /// The largest value that is accepted.
    pub value: f64,
}

/// Other names of the answer's length limit, in lower case.
const LENGTH_WORDS: &[&str] = &[
    "max_tokens",
    "max_completion_tokens",
    "max_new_tokens",
    "maxoutputtokens",
    "max tokens",
    "completion tokens",
    "output tokens",
];

/// Returns the numbers in a text.
fn numbers(text: &str) -> impl Iterator<Item = f64> {
    let is_part = |letter: char| letter.is_ascii_digit() || letter == '.' || letter == ',' || letter == '_';
    text.split(move |letter: char| !is_part(letter)).filter_map(|part| {
        let part = part.trim_matches(['.', ',', '_']);
        // A comma separates thousands, or it ends a clause.
        let whole = part.replace([',', '_'], "");
        whole.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::with_refusal;
    use super::*;

    #[test]
    fn a_limit_is_what_the_server_names_or_else_what_the_user_asked_for() {
        for (reply, field, value) in [
            ("invalid temperature: only between 0 and 1 is allowed", "temperature", 1.0),
            ("temperature: must be at most 1.0", "temperature", 1.0),
            ("temperature is invalid", "temperature", 0.9),
            (
                "max_tokens is too large: 32768. This model supports at most 16384 completion tokens, whereas you provided 32768.",
                "max_tokens",
                16384.0,
            ),
            (
                "max_tokens: 32768 > 20,000, which is the maximum allowed number of output tokens for m",
                "max_tokens",
                20000.0,
            ),
            ("Range of max_tokens should be [1, 16384]", "max_tokens", 16384.0),
            ("`max_completion_tokens` must be less than or equal to `30000`", "max_tokens", 30000.0),
            (
                "This model's maximum context length is 40000 tokens. However, you requested 41000 tokens (8232 in the \
                 messages, 32768 in the completion).",
                "max_tokens",
                16384.0,
            ),
        ] {
            let found = with_refusal(400, reply, |refused| limit(refused, "max_tokens"));
            assert_eq!(found, Some(Limit { field, value }), "{reply}");
        }
        assert_eq!(with_refusal(400, "bad request", |refused| limit(refused, "max_tokens")), None);
        assert_eq!(with_refusal(429, "max_tokens", |refused| limit(refused, "max_tokens")), None);
    }
}
