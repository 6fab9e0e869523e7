use std::time::Duration;

use serde_json::Value;

use crate::model::wait;

/// Characters of an HTML page that are shown.
const PAGE_CHARACTERS_MAX: usize = 80;

/// The message and codes of an error body, in whatever format it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorBody {
    /// The human-readable message.
    pub message: String,
    /// The machine-readable fields: `code`, `type`, `status`, `param` and their like, inner ones first.
    pub codes: Vec<String>,
    /// The wait in a machine-readable field: Google's `RetryInfo`.
    pub retry_after: Option<Duration>,
}

impl ErrorBody {
    /// Reads any of the formats that servers use: `{"error": {..}}`, `{"error": ".."}`, flat objects, `{"detail": ..}`,
    /// `{"base_resp": {..}}`, a list of errors, plain text, HTML.
    pub fn parse(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        match serde_json::from_str::<Value>(text) {
            Ok(value) => Self::from_value(&value),
            Err(_) if text.starts_with('<') => Self { message: page_message(text), ..Self::default() },
            Err(_) => Self { message: text.to_owned(), ..Self::default() },
        }
    }

    /// Like [`ErrorBody::parse`], for a body that is already JSON.
    pub fn from_value(value: &Value) -> Self {
        let outer = match value {
            Value::Array(items) => return items.first().map(Self::from_value).unwrap_or_default(),
            other => other,
        };
        let inner = ["error", "base_resp"].iter().filter_map(|name| outer.get(name)).find(|inner| !inner.is_null());
        let inner = inner.unwrap_or(outer);
        let named = MESSAGE_FIELDS.iter().find_map(|name| inner.get(name).filter(|message| !message.is_null()));
        let mut codes = Vec::new();
        for object in [Some(inner), inner.get("innererror"), inner.get("metadata"), Some(outer)].into_iter().flatten() {
            collect_codes(object, &mut codes);
        }
        for detail in inner.get("details").and_then(Value::as_array).into_iter().flatten() {
            collect_codes(detail, &mut codes);
        }
        let mut message = text_of(named.unwrap_or(inner), &mut codes);
        // OpenRouter hides the upstream's error in here.
        if let Some(raw) = inner.get("metadata").and_then(|metadata| metadata.get("raw")) {
            message = format!("{message}: {}", text_of(raw, &mut codes));
        }
        Self { message, codes, retry_after: retry_info(inner) }
    }

    /// Returns the HTTP status that a code of the body states, for errors inside a successful reply.
    pub(super) fn status(&self) -> Option<u16> {
        let numbers = self.codes.iter().filter_map(|code| code.parse().ok());
        numbers.into_iter().find(|number| (400..600).contains(number))
    }
}

/// Where servers put the message, in order of preference.
const MESSAGE_FIELDS: [&str; 11] = [
    "message",
    "detail",
    "error",
    "msg",
    "status_msg",
    "error_msg",
    "errmsg",
    "error_message",
    "error_description",
    "Message",
    "errorMessage",
];

/// Where servers put machine-readable words and numbers.
const CODE_FIELDS: [&str; 11] = [
    "code",
    "type",
    "__type", // Amazon
    "status",
    "status_code",
    "error_type",
    "error_code",
    "errcode",
    "error_name",
    "reason", // google.rpc.ErrorInfo
    "param",
];

fn collect_codes(object: &Value, codes: &mut Vec<String>) {
    for name in CODE_FIELDS {
        let code = match object.get(name) {
            Some(Value::String(word)) => word.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => continue,
        };
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
}

/// Returns a message as text. A validation error of `FastAPI` becomes `FIELD: MESSAGE` for each field, and its types
/// become codes.
fn text_of(message: &Value, codes: &mut Vec<String>) -> String {
    match message {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().any(|item| item.get("msg").is_some()) => {
            let fields = items.iter().map(|item| {
                collect_codes(item, codes);
                let place = item.get("loc").and_then(Value::as_array).into_iter().flatten();
                let place: Vec<&str> = place.filter_map(Value::as_str).collect();
                format!("{}: {}", place.join("."), item["msg"].as_str().unwrap_or_default())
            });
            fields.collect::<Vec<_>>().join("; ")
        }
        Value::Object(object) if object.contains_key("detail") => text_of(&object["detail"], codes),
        other => other.to_string(),
    }
}

/// Reads `{"details": [{"@type": "…RetryInfo", "retryDelay": "1.5s"}]}` (google.rpc.RetryInfo).
fn retry_info(error: &Value) -> Option<Duration> {
    let details = error.get("details")?.as_array()?;
    details.iter().find_map(|detail| wait::from_duration(detail.get("retryDelay")?.as_str()?))
}

fn page_message(page: &str) -> String {
    let beginning: String = page.split_whitespace().collect::<Vec<_>>().join(" ");
    let beginning: String = beginning.chars().take(PAGE_CHARACTERS_MAX).collect();
    format!("the server sent an HTML page: {beginning}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_every_shape_are_read() {
        for (body, message) in [
            (r#"{"error":{"message":"m","type":"t","code":"c"}}"#, "m"),
            (r#"{"error":{"message":"m","code":400}}"#, "m"),
            (r#"{"error":"m"}"#, "m"),
            (r#"{"code":"c","error":"m"}"#, "m"),
            (r#"{"object":"error","message":"m","code":400}"#, "m"),
            (r#"{"type":"error","error":{"type":"t","message":"m"}}"#, "m"),
            (r#"{"detail":"m"}"#, "m"),
            (r#"{"detail":[{"loc":["body","seed"],"msg":"m","type":"extra_forbidden"}]}"#, "body.seed: m"),
            (r#"{"message":{"detail":[{"loc":["body","seed"],"msg":"m"}]}}"#, "body.seed: m"),
            (r#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}]"#, "m"),
            (r#"{"choices":null,"base_resp":{"status_code":1008,"status_msg":"m"}}"#, "m"),
            (r#"{"error":{"message":"m","metadata":{"raw":"upstream"}}}"#, "m: upstream"),
            ("m", "m"),
            ("<html>\n <b>x</b>", "the server sent an HTML page: <html> <b>x</b>"),
        ] {
            assert_eq!(ErrorBody::parse(body.as_bytes()).message, message, "{body}");
        }
    }

    #[test]
    fn codes_are_read_from_the_error_and_from_around_it() {
        let body =
            ErrorBody::parse(br#"{"code":"outer","error":{"code":429,"type":"tokens","innererror":{"code":"in"}}}"#);
        assert_eq!(body.codes, ["429", "tokens", "in", "outer"]);
        assert_eq!(body.status(), Some(429));
        let body = ErrorBody::parse(br#"{"error":{"details":[{"x":1},{"retryDelay":"1.5s"}]}}"#);
        assert_eq!(body.retry_after, Some(Duration::from_millis(1_500)));
    }
}
