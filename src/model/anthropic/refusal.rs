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
/// Types that say less than an HTTP status does.
const GENERAL: [&str; 3] = ["invalid_request_error", "permission_error", "not_found_error"];

/// An account that cannot pay is also reported as an invalid request or as a rate limit.
const NO_CREDIT: [&str; 2] = ["credit balance", "api usage limits"];
/// A prompt that is too long, in words that only this API uses.
const TOO_LONG: [&str; 2] = ["prompt is too long", "exceed context limit"];

/// Classifies a refused request.
pub fn classify_refusal(refusal: RefusedRequest<'_>) -> Failure {
    let value: Option<Value> = serde_json::from_slice(refusal.body).ok();
    classify(refusal, ErrorBody::parse(refusal.body), value.as_ref().and_then(cause_in))
}

/// Classifies an error that came instead of an answer, or in the middle of one.
pub fn error_inside(value: &Value) -> Failure {
    let refusal = RefusedRequest { status: 200, ..RefusedRequest::default() };
    classify(refusal, ErrorBody::from_value(value), cause_in(value))
}

/// Returns the code of an error's cause, which is more specific than its type.
fn cause_in(value: &Value) -> Option<&str> {
    value["error"]["details"]["error_code"].as_str()
}

/// The cause decides, then the type, then the words; the rest is classified as any other server's.
fn classify(refusal: RefusedRequest<'_>, error: ErrorBody, cause: Option<&str>) -> Failure {
    let kind = STATUSES.iter().find(|(kind, _)| error.codes.iter().any(|code| code == kind));
    let status = match kind {
        Some((kind, status)) if refusal.status < 400 || !GENERAL.contains(kind) => *status,
        _ => refusal.status,
    };
    let words = error.message.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| words.contains(phrase));
    let is_cause = |parts: &[&str]| cause.is_some_and(|cause| parts.iter().any(|part| cause.contains(part)));
    let failure = |class, code| Failure::new(class, code, &*error.message);
    if is_cause(&["spend_limit_reached", "billing", "billable"]) || says(&NO_CREDIT) {
        return failure(FailureClass::Fatal, FailureCode::Quota);
    }
    if is_cause(&["organization_on_hold"]) {
        return failure(FailureClass::Fatal, FailureCode::Forbidden);
    }
    if status == 413 || (status == 400 && says(&TOO_LONG)) {
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
        let failure = classify_refusal(refusal);
        assert_eq!(failure.message, message);
        (failure.class, failure.code)
    }

    #[test]
    fn every_error_type_has_its_class_with_and_without_a_status() {
        use FailureClass::{Fatal, Permanent, RateLimited, Refused, Transient};
        for (status, kind, message, class) in [
            (401, "authentication_error", "invalid x-api-key", Refused),
            (402, "billing_error", "There's an issue with your billing.", Fatal),
            (403, "permission_error", "no permission", Refused),
            (404, "not_found_error", "model: claude-0", Refused),
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

    #[test]
    fn the_cause_and_the_type_decide_before_the_status() {
        let mut limited = error("rate_limit_error", "slow down");
        for (cause, class, code) in [
            ("enforced_spend_limit_reached", FailureClass::Fatal, FailureCode::Quota),
            ("linked_organization_billing_unavailable", FailureClass::Fatal, FailureCode::Quota),
            ("user_profile_not_billable", FailureClass::Fatal, FailureCode::Quota),
            ("organization_on_hold", FailureClass::Fatal, FailureCode::Forbidden),
            ("ramp_limit_exceeded", FailureClass::RateLimited, FailureCode::RateLimit),
            ("a_later_cause", FailureClass::RateLimited, FailureCode::RateLimit),
        ] {
            limited["error"]["details"] = json!({"error_code": cause});
            let failure = error_inside(&limited);
            assert_eq!((failure.class, failure.code), (class, code), "{cause}");
        }
        let limits = "You have reached your specified API usage limits. You will regain access on 2026-12-01.";
        assert_eq!(refused(400, "invalid_request_error", limits).1, FailureCode::Quota);
        assert_eq!(refused(503, "overloaded_error", "x"), (FailureClass::RateLimited, FailureCode::Http(529)));
        assert_eq!(refused(500, "rate_limit_error", "x").1, FailureCode::RateLimit);
        assert_eq!(refused(413, "invalid_request_error", "x").1, FailureCode::Context);
        let page = b"<html>529 Overloaded</html>";
        let page = RefusedRequest { status: 529, body: page, ..RefusedRequest::default() };
        assert_eq!(classify_refusal(page).class, FailureClass::RateLimited);
    }
}
