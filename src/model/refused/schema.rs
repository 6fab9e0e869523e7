//! Finds out from a refusal that a server cannot write JSON of a schema.
//!
//! The schema is this program's own addition to a request and never necessary, so any refusal that speaks of it is enough:
//!
//! | words | servers |
//! |---|---|
//! | "This response_format type is unavailable now" | `DeepSeek` |
//! | "This model does not support response format `json_schema`" | Groq |
//! | "'response_format' of type 'json_schema' is not supported with this model" | `OpenAI`, Azure |
//! | "Invalid schema for response_format", "Invalid JSON schema" | strict modes that know less of JSON schema |
//! | "Failed to parse grammar", "failed to initialize grammar" | llama.cpp |
//! | "Grammar error", "xgrammar", "guided decoding", "outlines" | vLLM, `SGLang`, TGI |
//! | "output_config.format: Extra inputs are not permitted", "does not support output format" | Anthropic, Bedrock |
//! | 404 "No endpoints found that can handle the requested parameters" | `OpenRouter` |

use super::reply_text;
use crate::conversation::FailureCode;
use crate::model::failure::FailureClass;
use crate::model::request::RefusedCall;

/// Words about the form of an answer, in lower case, without what stands between the parts of a name.
const ABOUT_FORM: &[&str] = &[
    "responseformat",
    "responseschema",
    "outputformat",
    "outputconfig",
    "jsonschema",
    "schema",
    "jsonmode",
    "jsonobject",
    "structuredoutput",
    "structuredgeneration",
    "structuredecod",
    "grammar",
    "guideddecoding",
    "guidedjson",
    "guidance",
    "outlines",
    "constraineddecoding",
    "constrainedgeneration",
    "requestedparameters",
];

/// True if the server refuses the schema of a request that has one. The caller has checked that it has.
pub fn refuses_schema(refused: &RefusedCall<'_>) -> bool {
    let is_about_request = matches!(
        refused.failure.code,
        FailureCode::Http(400 | 403 | 404 | 405 | 406 | 409 | 415 | 422 | 500 | 501) | FailureCode::ErrorIn200
    );
    let is_known = matches!(refused.failure.class, FailureClass::RateLimited | FailureClass::Outage);
    is_about_request && !is_known && speaks_of_form(&reply_text(refused))
}

fn speaks_of_form(reply: &str) -> bool {
    let is_between = |letter: &char| matches!(letter, '_' | '-' | ' ' | '\'' | '"' | '`' | '\\' | '.');
    let words: String = reply.to_lowercase().chars().filter(|letter| !is_between(letter)).collect();
    ABOUT_FORM.iter().any(|form| words.contains(form))
}

/// True if a refusal says too little to know what it is about, so that the schema may be the reason.
pub fn may_refuse_schema(refused: &RefusedCall<'_>) -> bool {
    let is_open = matches!(refused.failure.code, FailureCode::Http(400 | 422 | 501));
    is_open && refused.failure.class == FailureClass::Refused
}

#[cfg(test)]
mod tests {
    use super::super::testing::with_refusal;
    use super::*;

    #[test]
    fn a_refused_schema_is_noticed_in_every_known_wording() {
        for (status, reply) in [
            (
                400,
                r#"{"error":{"message":"This response_format type is unavailable now","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#,
            ),
            (
                400,
                r#"{"error":{"message":"This model does not support response format `json_schema`. See supported models.","type":"invalid_request_error","param":"response_format"}}"#,
            ),
            (
                400,
                r#"{"error":{"message":"Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.","param":null}}"#,
            ),
            (
                400,
                r#"{"error":{"message":"Invalid schema for response_format 'verdict': 'enum' is not permitted.","param":"response_format","code":null}}"#,
            ),
            (400, r#"{"error":{"code":400,"message":"Failed to parse grammar","type":"invalid_request_error"}}"#),
            (400, r#"{"object":"error","message":"Grammar error: unsupported","code":400}"#),
            (
                422,
                r#"{"detail":[{"type":"literal_error","loc":["body","response_format","type"],"msg":"Input should be 'text' or 'json_object'"}]}"#,
            ),
            (422, r#"{"error":"Input validation error: grammar is not supported","error_type":"validation"}"#),
            (404, r#"{"error":{"message":"No endpoints found that can handle the requested parameters.","code":404}}"#),
            (500, r#"{"error":{"message":"guided decoding backend failed","code":500}}"#),
            (501, "Structured outputs are not implemented"),
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"output_config.format: Extra inputs are not permitted"}}"#,
            ),
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"'claude-3-5-haiku' does not support output format."}}"#,
            ),
            (
                400,
                r#"[{"error":{"code":400,"message":"Unknown name \"responseFormat\"","status":"INVALID_ARGUMENT"}}]"#,
            ),
        ] {
            assert!(with_refusal(status, reply, refuses_schema), "{reply}");
        }
        for (status, reply) in [
            (401, r#"{"error":{"message":"response_format needs a key"}}"#),
            (400, r#"{"error":{"message":"max_tokens is too large"}}"#),
            (500, "CUDA error"),
            (503, "the schema service is down"),
            (429, r#"{"error":{"message":"Rate limit reached for structured outputs"}}"#),
        ] {
            assert!(!with_refusal(status, reply, refuses_schema), "{reply}");
        }
    }

    #[test]
    fn a_refusal_without_a_reason_may_be_about_the_schema() {
        assert!(with_refusal(400, "Bad Request", may_refuse_schema));
        for (status, reply) in [
            (401, "Unauthorized"),
            (404, "Not Found"),
            (500, "Internal Server Error"),
            (400, r#"{"error":{"message":"maximum context length is 4096 tokens","code":"context_length_exceeded"}}"#),
        ] {
            assert!(!with_refusal(status, reply, may_refuse_schema), "{reply}");
        }
    }
}
