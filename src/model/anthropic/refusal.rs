use serde_json::Value;

use crate::conversation::FailureCode;
use crate::model::failure::{Failure, FailureClass};
use crate::model::refusal::{ErrorBody, RefusedRequest};

/// The status that each error type has. An error inside a stream or a 200 has only its type. `api_error` and
/// `timeout_error` are not in the table: inside a 200 the server may have worked and billed.
const STATUSES: [(&str, u16); 8] = [
    ("invalid_request_error", 400),
    ("authentication_error", 401),
    ("billing_error", 402),
    ("permission_error", 403),
    ("not_found_error", 404),
    ("request_too_large", 413),
    ("rate_limit_error", 429),
    ("overloaded_error", 529),
];

/// An exhausted account is reported as an invalid request.
const NO_CREDIT: [&str; 2] = ["credit balance is too low", "credit balance too low"];
/// A prompt that is too long, in words that only this API uses.
const TOO_LONG: [&str; 2] = ["prompt is too long", "exceed context limit"];

/// Classifies an error that came instead of an answer, or in the middle of one.
pub fn error_inside(value: &Value) -> Failure {
    classify(RefusedRequest { status: 200, ..RefusedRequest::default() }, ErrorBody::from_value(value))
}

/// Classifies a refusal by its error type, its words, and then as any other server's.
pub fn classify(refusal: RefusedRequest<'_>, error: ErrorBody) -> Failure {
    let kind = STATUSES.iter().find(|(kind, _)| error.codes.split(' ').any(|code| code == *kind));
    let status = match kind {
        // A refusal's own status says more than a type that does not fit it.
        Some((_, status)) if refusal.status < 400 => *status,
        _ => refusal.status,
    };
    let words = error.message.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| words.contains(phrase));
    let failure = |class, code: FailureCode| Failure::new(class, code, &*error.message);
    if says(&NO_CREDIT) {
        return failure(FailureClass::Fatal, FailureCode::Quota);
    }
    if status == 413 || status == 400 && says(&TOO_LONG) {
        return failure(FailureClass::Permanent, FailureCode::Context);
    }
    let is_overloaded = status == 529;
    let failure = RefusedRequest { status, ..refusal }.into_failure(error);
    // Hours of overload must not use up a conversation's retries.
    let class = if is_overloaded { FailureClass::RateLimited } else { failure.class };
    Failure { class, ..failure }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn error(kind: &str, message: &str) -> Value {
        json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"})
    }

    fn refused(status: u16, kind: &str, message: &str) -> (FailureClass, FailureCode) {
        let body = error(kind, message).to_string();
        let refusal = RefusedRequest { status, body: body.as_bytes(), ..RefusedRequest::default() };
        let failure = classify(refusal, ErrorBody::parse(body.as_bytes()));
        assert_eq!(failure.message, message);
        (failure.class, failure.code)
    }

    #[test]
    fn every_error_type_has_its_class_with_and_without_a_status() {
        use FailureClass::{Fatal, Permanent, RateLimited, Transient};
        for (status, kind, message, class) in [
            (401, "authentication_error", "invalid x-api-key", Fatal),
            (402, "billing_error", "There's an issue with your billing.", Fatal),
            (403, "permission_error", "no permission", Fatal),
            (404, "not_found_error", "model: claude-0", Fatal),
            (413, "request_too_large", "Request exceeds the maximum size", Permanent),
            (429, "rate_limit_error", "slow down", RateLimited),
            (529, "overloaded_error", "Overloaded", RateLimited),
            (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API.", Fatal),
            (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", Permanent),
            (400, "invalid_request_error", "input length and `max_tokens` exceed context limit: 9 + 9 > 10", Permanent),
        ] {
            assert_eq!(refused(status, kind, message).0, class, "{status} {kind} {message}");
            assert_eq!(error_inside(&error(kind, message)).class, class, "inside a 200: {kind} {message}");
        }
        assert_eq!(refused(500, "api_error", "Internal server error").0, Transient);
        let inside = error_inside(&error("api_error", "Internal server error"));
        assert_eq!((inside.class, inside.code), (Transient, FailureCode::ErrorIn200));
    }

    #[test]
    fn the_reasons_are_told_apart() {
        let code = |kind, message| error_inside(&error(kind, message)).code;
        assert_eq!(code("invalid_request_error", "Your credit balance is too low."), FailureCode::Quota);
        assert_eq!(code("billing_error", "x"), FailureCode::Quota);
        assert_eq!(code("authentication_error", "x"), FailureCode::Auth);
        assert_eq!(code("request_too_large", "x"), FailureCode::Context);
        assert_eq!(code("overloaded_error", "x"), FailureCode::Http(529));
        assert_eq!(code("rate_limit_error", "x"), FailureCode::RateLimit);
        assert_eq!(refused(500, "invalid_request_error", "x").1, FailureCode::Http(500));
    }
}
