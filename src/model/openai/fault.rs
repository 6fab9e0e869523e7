//! Errors that arrive inside a reply with a good status.

use serde_json::Value;

use crate::model::failure::Failure;
use crate::model::json::Json;
use crate::model::refusal::{ErrorBody, RefusedRequest};

/// Fields that hold the words of an error.
const MESSAGES: [&str; 9] =
    ["message", "msg", "detail", "error_msg", "errmsg", "error_message", "status_msg", "errors", "reason"];
/// Codes of an error object that reports success.
const SUCCESS: [&str; 5] = ["0", "200", "ok", "success", "none"];

/// Returns the failure that `value` reports in a field for errors: a reply, a chunk or a choice.
pub fn error_in(value: &Json<'_>) -> Option<Failure> {
    let error = value.get("error").filter(|error| is_error(error));
    error.map(|error| failure_of(ErrorBody::from_value(&error.to_value())))
}

/// Returns the failure that an object without choices reports: `{"code": …, "message": …}`, `{"detail": …}`,
/// `{"object": "error"}`, or the status object of `MiniMax`. `None` for an object that says nothing of an error, such as
/// the progress of a queue.
pub fn error_without_field(value: &Json<'_>) -> Option<Failure> {
    let Json::Object(_) = value else { return None };
    if let Some(status) = value.get("base_resp") {
        let is_error = status.get("status_code").is_some_and(|code| !is_success(code));
        return is_error.then(|| failure_of(ErrorBody::from_value(&status.to_value())));
    }
    let is_named = ["object", "type"].iter().any(|field| value.get(field).and_then(Json::bytes) == Some(b"error"));
    let has_message = value.any_of(&MESSAGES).is_some_and(|said| !said.is_empty());
    let is_coded = value.any_of(&["code", "error_code", "errcode"]).is_some_and(|code| !is_success(code));
    let is_refused = ["status", "statusCode"]
        .iter()
        .any(|field| value.get(field).and_then(Json::count).is_some_and(|status| status >= 400));
    let is_failed = value.get("success") == Some(&Json::Bool(false));
    let is_listed = ["detail", "errors"].iter().any(|field| value.get(field).is_some_and(|said| !said.is_empty()));
    let is_error = is_named || is_listed || (has_message && (is_coded || is_refused || is_failed));
    is_error.then(|| failure_of(ErrorBody::from_value(&value.to_value())))
}

/// Returns the failure of an event that is an error by its name.
pub fn named_error(payload: &[u8]) -> Failure {
    let value = Json::read(payload).map(|(value, _)| value.to_value());
    failure_of(value.map_or_else(|_| ErrorBody::parse(payload), |value: Value| ErrorBody::from_value(&value)))
}

/// False for a field that some servers send with every reply: null, empty, or an object that reports success.
fn is_error(error: &Json<'_>) -> bool {
    match error {
        Json::Null | Json::Bool(false) => false,
        Json::Bool(true) => true,
        Json::Number(_) => !is_success(error),
        Json::Text(_) => !is_success(error),
        Json::List(items) => items.iter().any(is_error),
        Json::Object(fields) => {
            let code = error.any_of(&["code", "status"]);
            !code.is_some_and(is_success) && fields.iter().any(|(_, value)| is_error(value))
        }
    }
}

fn is_success(code: &Json<'_>) -> bool {
    match code {
        // Below 400 a status reports no error.
        Json::Number(_) => code.count().is_some_and(|code| code == 0 || (100..400).contains(&code)),
        other => other.text().is_some_and(|text| {
            let text = text.trim().to_ascii_lowercase();
            text.is_empty() || text == "null" || SUCCESS.contains(&&*text)
        }),
    }
}

fn failure_of(error: ErrorBody) -> Failure {
    RefusedRequest { status: 200, ..RefusedRequest::default() }.into_failure(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Json<'_> {
        Json::read(text.as_bytes()).unwrap().0
    }

    #[test]
    fn a_field_for_errors_that_holds_none_is_no_error() {
        for error in [
            "null",
            "\"\"",
            "{}",
            "[]",
            "false",
            "0",
            "\"null\"",
            r#"{"code":0,"message":"success"}"#,
            r#"{"code":"","message":""}"#,
            r#"{"code":200,"message":"OK"}"#,
            r#"{"message":null,"type":null}"#,
        ] {
            assert_eq!(error_in(&parsed(&format!("{{\"error\":{error}}}"))), None, "{error}");
        }
        for error in [r#""upstream""#, r#"{"message":"upstream"}"#, r#"{"code":502}"#, "[{\"message\":\"upstream\"}]"] {
            assert!(error_in(&parsed(&format!("{{\"error\":{error}}}"))).is_some(), "{error}");
        }
    }

    #[test]
    fn an_error_without_its_field_shows_its_words() {
        for (reply, words) in [
            (r#"{"code":"InvalidParameter","message":"too short"}"#, "too short"),
            (r#"{"object":"error","message":"too short"}"#, "too short"),
            (r#"{"detail":"too short"}"#, "too short"),
            (r#"{"error_code":336003,"error_msg":"too short"}"#, "too short"),
            (r#"{"success":false,"message":"too short"}"#, "too short"),
            (r#"{"statusCode":400,"message":"too short"}"#, "too short"),
            (r#"{"choices":null,"base_resp":{"status_code":1008,"status_msg":"too short"}}"#, "too short"),
        ] {
            assert_eq!(error_without_field(&parsed(reply)).map(|failure| failure.message).as_deref(), Some(words));
        }
        for reply in [
            r#"{"status":"queued","message":"hi"}"#,
            r#"{"type":"ping","message":"hi"}"#,
            r#"{"base_resp":{"status_code":0}}"#,
            r#"{"progress":0.5}"#,
            "[]",
        ] {
            assert_eq!(error_without_field(&parsed(reply)), None, "{reply}");
        }
    }
}
