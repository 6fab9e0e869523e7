//! Token ids and log-probabilities as servers write them.

use std::fmt;
use std::str::FromStr;

use hyper::Response;
use serde_json::{Value, json};

use super::reply::{CHUNK_TOKENS, NamedEvent};
use super::{Body, reply};
use crate::conversation::{Answer, AnswerTokens, TokenDetail, TopLogprobs};

/// The server whose fields for token ids the mock server has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenFields {
    /// vLLM's.
    #[default]
    Vllm,
    /// `SGLang`'s: it refuses `return_token_ids` on streamed chat.
    Sglang,
    /// Those of a server that ignores all of them.
    None,
}

impl TokenFields {
    const ALL: [(&str, Self); 3] = [("vllm", Self::Vllm), ("sglang", Self::Sglang), ("none", Self::None)];

    /// Returns the detail that a request asks for.
    pub(super) fn asked(self, request: &Value) -> Option<TokenDetail> {
        let is_set = |name: &str| request[name].as_bool() == Some(true);
        let asks_ids = match self {
            Self::Vllm => is_set("return_token_ids"),
            Self::Sglang => is_set("return_output_ids_in_sglext") && is_set("return_input_ids_in_sglext"),
            Self::None => false,
        };
        let count = request["top_logprobs"].as_u64().filter(|_| is_set("logprobs")).unwrap_or(0);
        let count = count.min(u64::from(TopLogprobs::COUNT_MAX)) as u8;
        asks_ids.then_some(if count > 0 { TokenDetail::Logprobs(count) } else { TokenDetail::Ids })
    }

    /// Returns the refusal of a request that this server does not take.
    pub(super) fn refusal(self, request: &Value) -> Option<Response<Body>> {
        let is_set = |name: &str| request[name].as_bool() == Some(true);
        let is_refused = self == Self::Sglang && is_set("stream") && is_set("return_token_ids");
        let message = "return_token_ids is not supported with streaming on /v1/chat/completions";
        let error = json!({"object": "error", "message": message, "type": "BadRequest", "param": null, "code": 400});
        is_refused.then(|| reply::json(400, &error))
    }

    /// Adds an answer's tokens to a reply in one piece.
    pub(super) fn into_whole(self, mut reply: Value, answer: &Answer) -> Value {
        let Some(tokens) = answer.tokens.as_deref() else { return reply };
        match self {
            Self::Vllm => {
                reply["prompt_token_ids"] = json!(tokens.prompt.rest);
                reply["choices"][0]["token_ids"] = json!(tokens.completion);
            }
            Self::Sglang => reply["sglext"] = extension(tokens),
            Self::None => {}
        }
        if let Some(top) = &tokens.logprobs {
            reply["choices"][0]["logprobs"] = logprobs(top, 0..top.len());
        }
        reply
    }

    /// Adds an answer's tokens to the events of a stream.
    pub(super) fn into_events(self, mut events: Vec<NamedEvent>, answer: &Answer) -> Vec<NamedEvent> {
        let Some(tokens) = answer.tokens.as_deref().filter(|_| self != Self::None) else { return events };
        let mut place = 0;
        for (_, event) in &mut events {
            let delta = &event["choices"][0]["delta"];
            let has_calls = delta["tool_calls"].is_array();
            let has_text = has_calls || delta["content"].as_str().is_some_and(|text| !text.is_empty());
            // The tokens of calls come with the first piece of them.
            let count = if has_calls { tokens.completion.len() } else { CHUNK_TOKENS };
            let end = (place + if has_text { count } else { 0 }).min(tokens.completion.len());
            if self == Self::Vllm && event["choices"][0]["delta"].is_object() {
                event["choices"][0]["token_ids"] = json!(tokens.completion[place..end]);
            }
            if let Some(top) = tokens.logprobs.as_ref().filter(|_| has_text) {
                event["choices"][0]["logprobs"] = logprobs(top, place..end);
            }
            place = end;
        }
        if self == Self::Sglang {
            events.push(("", json!({"choices": [], "sglext": extension(tokens)})));
        } else if let Some((_, first)) = events.first_mut() {
            first["prompt_token_ids"] = json!(tokens.prompt.rest);
        }
        events
    }
}

fn extension(tokens: &AnswerTokens) -> Value {
    json!({"input_ids": tokens.prompt.rest, "output_ids": [tokens.completion]})
}

/// Returns the log-probabilities of some places as vLLM writes them with `return_tokens_as_token_ids`.
fn logprobs(top: &TopLogprobs, places: std::ops::Range<usize>) -> Value {
    let token = |(id, logprob): (u32, f64)| json!({"token": format!("token_id:{id}"), "logprob": logprob});
    let place = |place: usize| {
        let listed: Vec<Value> = top.at(place).map(token).collect();
        json!({"token": listed[0]["token"], "logprob": TopLogprobs::logprob_of(top.sampled[place]), "top_logprobs": listed})
    };
    json!({"content": places.map(place).collect::<Vec<_>>()})
}

impl FromStr for TokenFields {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|(known, _)| *known == name);
        known.map(|(_, fields)| fields).ok_or("write vllm, sglang or none")
    }
}

impl fmt::Display for TokenFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Self::ALL.into_iter().find(|(_, fields)| fields == self);
        f.write_str(known.map_or("", |(name, _)| name))
    }
}
