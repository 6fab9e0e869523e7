use std::borrow::Cow;
use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::conversation::{Answer, Finish, Message, Question, Role, Usage, split_leading_thought};
use crate::model::failure::{Class, ErrorBody, Failure, Refusal};

/// Reads a whole JSON reply.
pub fn read_whole(body: &[u8], question: &Question, attempt: u32) -> Result<Answer, Failure> {
    let completion: Completion = serde_json::from_slice(body).map_err(|error| {
        Failure::new(Class::AgainLater, "garbage", format!("the reply is no chat completion: {error}"))
    })?;
    let mut parts = Parts::default();
    parts.take_head(&completion)?;
    let choice = completion.choices.into_iter().flatten().next().ok_or_else(no_choice)?;
    let finish = choice.finish();
    let message = choice.message.unwrap_or_default();
    parts.take_message(&message);
    parts.finish = finish;
    parts.into_answer(question, attempt)
}

/// Most bytes of text and reasoning that are taken.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// A count of tokens above this is none.
const TOKENS_MAX: u64 = 1 << 40;

/// An answer while it is being put together.
#[derive(Debug, Default)]
pub struct Parts {
    pub text: String,
    pub reasoning: String,
    pub refusal: String,
    pub called_tool: bool,
    pub finish: Option<String>,
    pub model: Option<String>,
    pub system_fingerprint: Option<String>,
    pub usage: Usage,
}

impl Parts {
    /// Takes what stands beside the choices; an error there ends it.
    pub fn take_head(&mut self, completion: &Completion) -> Result<(), Failure> {
        if let Some(error) = completion.error {
            let error = ErrorBody::from_value(&serde_json::from_str(error.get()).unwrap_or_default());
            let retry_after = crate::model::wait::from_message(&error.message);
            return Err(Refusal { status: 200, should_retry: None, retry_after, error }.into_failure());
        }
        if self.model.is_none() {
            self.model = completion.model.as_deref().map(str::to_owned);
        }
        if self.system_fingerprint.is_none() {
            self.system_fingerprint = completion.system_fingerprint.as_deref().map(str::to_owned);
        }
        if let Some(usage) = &completion.usage {
            self.usage = usage.into();
        }
        Ok(())
    }

    /// Takes a message, or a piece of one.
    pub fn take_message(&mut self, message: &WireMessage) {
        match &message.content {
            Some(Content::Text(text)) => self.text.push_str(text),
            Some(Content::Parts(parts)) => parts.iter().for_each(|part| {
                let thought = part.kind.as_deref().is_some_and(|kind| kind == "thinking" || kind == "reasoning");
                let target = if thought { &mut self.reasoning } else { &mut self.text };
                target.push_str(&part.words());
            }),
            None => {}
        }
        if let Some(raw) = message.reasoning.or(message.reasoning_content)
            && let Ok(words) = serde_json::from_str::<Words<'_>>(raw.get())
        {
            self.reasoning.push_str(&words);
        }
        self.refusal.push_str(message.refusal.as_deref().unwrap_or_default());
        self.called_tool |= message.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty());
    }

    /// Fails where the answer is larger than any model writes: the store takes whole answers only.
    pub fn check_length(&self) -> Result<(), Failure> {
        if self.text.len() + self.reasoning.len() + self.refusal.len() <= ANSWER_BYTES_MAX {
            return Ok(());
        }
        Err(Failure::new(Class::NeverThisQuestion, "too_long", "the answer is over 8 MB"))
    }

    /// Decides what the parts come to.
    pub fn into_answer(mut self, question: &Question, attempt: u32) -> Result<Answer, Failure> {
        self.check_length()?;
        let Some(word) = self.finish.take() else {
            return Err(Failure::new(Class::AgainLater, "cut", "the reply ended without saying why"));
        };
        let Some(mut finish) = finish_of(&word) else {
            return Err(Failure::new(Class::AgainLater, "unfinished", format!("the server gave up with `{word}`")));
        };
        if self.reasoning.is_empty()
            && let Some((thought, rest)) = split_leading_thought(&self.text)
        {
            (self.reasoning, self.text) = (thought.to_owned(), rest.to_owned());
        }
        let limit = question.target.sampling().max_tokens.map(u64::from);
        let at_limit = limit.zip(self.usage.completion_tokens).is_some_and(|(limit, count)| count >= limit);
        if finish == Finish::Complete {
            // Gateways turn other ends into `stop`: what reached its limit was cut.
            finish = if !self.refusal.is_empty() {
                Finish::Refused
            } else if at_limit {
                Finish::Length
            } else if self.called_tool {
                Finish::Tools
            } else if self.text.trim().is_empty() {
                Finish::Empty
            } else {
                Finish::Complete
            };
        }
        let text = if self.text.is_empty() { self.refusal } else { self.text };
        Ok(Answer {
            message: Message::new(Role::Assistant, text),
            reasoning: Some(self.reasoning).filter(|reasoning| !reasoning.is_empty()),
            finish,
            finish_reason: word,
            model: self.model.unwrap_or_else(|| question.target.model().to_owned()),
            system_fingerprint: self.system_fingerprint,
            usage: self.usage,
            attempts: attempt,
        })
    }
}

/// Returns what a server's word for the end of an answer means; `None` for an end that is no answer.
fn finish_of(word: &str) -> Option<Finish> {
    Some(match word {
        "stop" | "eos" | "eos_token" | "end_turn" | "stop_sequence" | "COMPLETE" | "STOP" => Finish::Complete,
        "length" | "max_tokens" | "model_length" | "MAX_TOKENS" | "model_context_window_exceeded" => Finish::Length,
        "content_filter" | "SAFETY" | "RECITATION" | "sensitive" | "guardrail_intervened" => Finish::Filtered,
        "refusal" => Finish::Refused,
        "tool_calls" | "function_call" | "tool_use" | "pause_turn" => Finish::Tools,
        "repetition" | "loop" => Finish::Loop,
        _ => return None,
    })
}

pub fn no_choice() -> Failure {
    Failure::new(Class::AgainLater, "no_choice", "the reply holds no choice")
}

#[derive(Deserialize)]
pub struct Completion<'a> {
    #[serde(borrow, default)]
    pub choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    pub model: Option<Words<'a>>,
    #[serde(borrow)]
    pub system_fingerprint: Option<Words<'a>>,
    pub usage: Option<WireUsage>,
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub struct Choice<'a> {
    #[serde(borrow)]
    pub message: Option<WireMessage<'a>>,
    #[serde(borrow)]
    pub delta: Option<WireMessage<'a>>,
    #[serde(borrow)]
    pub finish_reason: Option<Words<'a>>,
    #[serde(borrow)]
    pub native_finish_reason: Option<Words<'a>>,
    #[serde(borrow)]
    pub provider_specific_fields: Option<&'a RawValue>,
}

impl Choice<'_> {
    /// Returns the word for the end, the upstream's own where a gateway passes it on.
    pub fn finish(&self) -> Option<String> {
        let fields: Option<Value> = self.provider_specific_fields.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let native = fields.as_ref().and_then(|fields| fields.get("native_finish_reason")).and_then(Value::as_str);
        let native = native.or(self.native_finish_reason.as_deref());
        let said = self.finish_reason.as_deref()?;
        // A native word that nobody knows (`completed`, `1`) says nothing against a plain `stop`.
        let decisive = native.filter(|word| {
            finish_of(word).is_some()
                || matches!(*word, "error" | "abort" | "network_error" | "insufficient_system_resource")
        });
        Some(decisive.unwrap_or(said).to_owned())
    }
}

#[derive(Default, Deserialize)]
pub struct WireMessage<'a> {
    #[serde(borrow)]
    pub content: Option<Content<'a>>,
    #[serde(borrow)]
    pub reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    pub reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub refusal: Option<Words<'a>>,
    pub tool_calls: Option<Vec<Value>>,
}

pub enum Content<'a> {
    Text(Words<'a>),
    Parts(Vec<Part>),
}

/// By hand, because an untagged enum of serde's copies everything before it decides, for each piece of a stream.
impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrParts;

        impl<'de> Visitor<'de> for TextOrParts {
            type Value = Content<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("text or a list of parts")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Content::Text(Words(text.into())))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Content::Text(Words(text.to_owned().into())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = items.next_element()? {
                    parts.push(part);
                }
                Ok(Content::Parts(parts))
            }
        }

        deserializer.deserialize_any(TextOrParts)
    }
}

/// Text that is borrowed from the reply where nothing in it is escaped: serde's `Option<Cow<str>>` always copies.
pub struct Words<'a>(Cow<'a, str>);

impl std::ops::Deref for Words<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Words<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Words<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Words(text.into()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Words(text.to_owned().into()))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[derive(Deserialize)]
pub struct Part {
    #[serde(rename = "type")]
    kind: Option<String>,
    text: Option<String>,
    /// Text, or with Mistral a list of text parts.
    thinking: Option<Value>,
}

impl Part {
    fn words(&self) -> Cow<'_, str> {
        match (&self.text, &self.thinking) {
            (Some(text), _) => text.into(),
            (None, Some(Value::String(text))) => text.into(),
            (None, Some(Value::Array(parts))) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
            _ => "".into(),
        }
    }
}

#[derive(Deserialize)]
pub struct WireUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

impl From<&WireUsage> for Usage {
    fn from(wire: &WireUsage) -> Self {
        let believed = |count: Option<u64>| count.filter(|count| *count <= TOKENS_MAX);
        let cached = wire.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens);
        let reasoning = wire.completion_tokens_details.as_ref().and_then(|details| details.reasoning_tokens);
        Self {
            prompt_tokens: believed(wire.prompt_tokens),
            cached_tokens: believed(cached.or(wire.prompt_cache_hit_tokens)),
            completion_tokens: believed(wire.completion_tokens),
            reasoning_tokens: believed(reasoning),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::conversation::{Sampling, Slot, Target};
    use crate::model::openai::Assembler;

    fn question(max_tokens: Option<u32>) -> Question {
        let sampling = Sampling { max_tokens, ..Sampling::default() };
        let messages = vec![Message::new(Role::User, "hi")];
        Question { slot: Slot::main(0), target: Target::new("m", "openai", sampling), sample: 0, messages }
    }

    fn read(body: &Value) -> Result<Answer, Failure> {
        read_whole(body.to_string().as_bytes(), &question(Some(100)), 1)
    }

    fn choice(message: Value, finish: &str) -> Value {
        json!({"choices": [{"message": message, "finish_reason": finish}]})
    }

    #[test]
    fn every_way_of_thinking_aloud_is_kept_apart_from_the_answer() {
        for message in [
            json!({"content": "4", "reasoning": "2+2"}),
            json!({"content": "4", "reasoning_content": "2+2"}),
            json!({"content": "<think>2+2</think>\n4"}),
            json!({"content": "2+2</think>4"}),
            json!({"content": [{"type": "thinking", "thinking": "2+2"}, {"type": "text", "text": "4"}]}),
        ] {
            let answer = read(&choice(message, "stop")).unwrap();
            assert_eq!((answer.text(), answer.reasoning.as_deref()), ("4", Some("2+2")));
        }
    }

    #[test]
    fn only_a_known_end_is_an_end() {
        let text = || json!({"content": "words"});
        for (word, finish) in [
            ("stop", Finish::Complete),
            ("eos", Finish::Complete),
            ("length", Finish::Length),
            ("model_length", Finish::Length),
            ("content_filter", Finish::Filtered),
            ("tool_calls", Finish::Tools),
            ("repetition", Finish::Loop),
        ] {
            assert_eq!(read(&choice(text(), word)).unwrap().finish, finish, "{word}");
        }
        for word in ["error", "abort", "network_error", "something_new"] {
            assert_eq!(read(&choice(text(), word)).unwrap_err().class, Class::AgainLater, "{word}");
        }
        assert_eq!(read(&json!({"choices": [{"message": {"content": "x"}}]})).unwrap_err().code, "cut");
        assert_eq!(read(&choice(json!({"content": null}), "stop")).unwrap().finish, Finish::Empty);
        assert_eq!(read(&choice(json!({"content": null, "refusal": "no"}), "stop")).unwrap().finish, Finish::Refused);
    }

    #[test]
    fn what_a_gateway_rewrites_to_stop_is_read_from_its_native_word() {
        let rewritten = |native: &str| {
            json!({"choices": [{"message": {"content": "x"}, "finish_reason": "stop",
            "provider_specific_fields": {"native_finish_reason": native}}]})
        };
        assert_eq!(read(&rewritten("model_length")).unwrap().finish, Finish::Length);
        assert_eq!(read(&rewritten("abort")).unwrap_err().code, "unfinished");
        assert_eq!(read(&rewritten("completed")).unwrap().finish, Finish::Complete);
        let mut at_limit = choice(json!({"content": "x"}), "stop");
        at_limit["usage"] = json!({"completion_tokens": 100});
        assert_eq!(read(&at_limit).unwrap().finish, Finish::Length);
    }

    #[test]
    fn an_error_inside_a_good_status_is_an_error() {
        assert_eq!(read(&json!({"error": {"message": "upstream"}})).unwrap_err().class, Class::AgainLater);
        let overflow = json!({"error": {"message": "maximum context length is 10", "code": 400}});
        assert_eq!(read(&overflow).unwrap_err().class, Class::NeverThisQuestion);
        assert_eq!(read(&json!({"choices": []})).unwrap_err().code, "no_choice");
    }

    proptest! {
        #[test]
        fn no_reply_makes_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,60}", finish in "[a-z_]{0,12}", number in any::<u64>()) {
            let _ = read_whole(&bytes, &question(None), 1);
            let mut body = choice(json!({"content": text, "reasoning": number, "tool_calls": null}), &finish);
            body["usage"] = json!({"prompt_tokens": number, "completion_tokens": null});
            let _ = read(&body);
            let mut assembler = Assembler::default();
            let _ = assembler.push(&bytes);
            let _ = assembler.push(body.to_string().as_bytes());
            let _ = assembler.sees_loop();
            let _ = assembler.finish(&question(None), 1);
        }
    }
}
