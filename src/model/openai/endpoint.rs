use crate::conversation::FailureCode;
use crate::model::failure::{Failure, FailureClass};

/// Wordings of a refusal whose model is offered at another endpoint.
const ELSEWHERE: [&str; 9] = [
    "only supported in",
    "only supported at",
    "only available",
    "not supported in",
    "does not support",
    "does not work with",
    "not accessible via",
    "not available",
    "not in v1/chat",
];
/// Names of the endpoint that requests are sent to.
const CHAT: [&str; 4] = ["chat/completions", "chat completions", "chatcompletion", "responses api"];

/// Explains a refusal of a model that the server offers, but not as chat completions: every question would get it.
pub fn explained(failure: Failure) -> Failure {
    let words = failure.message.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| words.contains(phrase));
    let is_refused = matches!(failure.code, FailureCode::Http(400 | 404 | 405 | 422));
    if !is_refused || !words.contains("model") || !says(&CHAT) || !says(&ELSEWHERE) {
        return failure;
    }
    let endpoint = if says(&["v1/responses", "responses api"]) { "at /v1/responses only" } else { "elsewhere" };
    let message =
        format!("the server offers the model {endpoint}, not at /v1/chat/completions; it says: {}", failure.message);
    Failure::new(FailureClass::Fatal, FailureCode::Endpoint, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_of_another_endpoint_is_explained_and_no_other_refusal() {
        let explained = |status, message: &str| {
            explained(Failure::new(FailureClass::Permanent, FailureCode::Http(status), message))
        };
        for (status, message) in [
            (404, "This model is only supported in v1/responses and not in v1/chat/completions."),
            (
                400,
                "litellm.NotFoundError: This model is only supported in v1/responses and not in v1/chat/completions.",
            ),
            (400, "model gpt-5-codex is not accessible via the /chat/completions endpoint"),
            (400, "The chatCompletion operation does not work with the specified model, gpt-5-codex."),
            (404, "This is not a chat model and thus not supported in the v1/chat/completions endpoint."),
            (400, "The model o1-pro is only available through the Responses API"),
        ] {
            let failure = explained(status, message);
            assert_eq!((failure.class, failure.code), (FailureClass::Fatal, FailureCode::Endpoint), "{message}");
            assert_eq!(failure.message.contains("/v1/responses only"), message.to_lowercase().contains("responses"));
        }
        for message in [
            "Function tools with reasoning_effort are not supported in /v1/chat/completions. Please use /v1/responses.",
            "The model `gpt-9` does not exist or you do not have access to it.",
            "this model's maximum context length is 10 tokens",
        ] {
            assert_eq!(explained(404, message).code, FailureCode::Http(404), "{message}");
        }
        let message = "This model is only supported in v1/responses and not in v1/chat/completions.";
        assert_eq!(explained(500, message).code, FailureCode::Http(500));
    }
}
