use serde_json::Value;

use super::wire::{Choice, Completion, WireContent, WireMessage, WireText};
use crate::conversation::{Answer, FailureCode, Finish, Question};
use crate::model::failure::{Failure, FailureClass};
use crate::model::partial::PartialAnswer;
use crate::model::refusal::{ErrorBody, RefusedRequest};

/// Reads a complete JSON reply.
pub fn parse_completion(body: &[u8], question: &Question, attempt: u32) -> Result<Answer, Failure> {
    let completion: Completion = serde_json::from_slice(body).map_err(|error| {
        Failure::new(
            FailureClass::Transient,
            FailureCode::Garbage,
            format!("the reply is not a chat completion: {error}"),
        )
    })?;
    let mut answer = PartialAnswer::default();
    take_head(&mut answer, &completion)?;
    let choice = completion.choices.into_iter().flatten().next().ok_or_else(no_choice)?;
    answer.finish = finish_word(&choice);
    take_message(&mut answer, &choice.message.unwrap_or_default());
    answer.into_answer(finish_of, question, attempt)
}

/// Reads the fields beside the choices; an error there ends the answer.
pub fn take_head(answer: &mut PartialAnswer, completion: &Completion) -> Result<(), Failure> {
    if let Some(error) = completion.error {
        let error = ErrorBody::from_value(&serde_json::from_str(error.get()).unwrap_or_default());
        return Err(RefusedRequest { status: 200, ..RefusedRequest::default() }.into_failure(error));
    }
    if answer.model.is_none() {
        answer.model = completion.model.as_deref().map(str::to_owned);
    }
    if answer.system_fingerprint.is_none() {
        answer.system_fingerprint = completion.system_fingerprint.as_deref().map(str::to_owned);
    }
    if let Some(usage) = &completion.usage {
        answer.usage = usage.into();
    }
    Ok(())
}

/// Reads a message or a chunk of one.
pub fn take_message(answer: &mut PartialAnswer, message: &WireMessage) {
    match &message.content {
        Some(WireContent::Text(text)) => answer.text.push_str(text),
        Some(WireContent::Parts(parts)) => parts.iter().for_each(|part| {
            let is_reasoning = part.kind.as_deref().is_some_and(|kind| kind == "thinking" || kind == "reasoning");
            let target = if is_reasoning { &mut answer.reasoning } else { &mut answer.text };
            target.push_str(&part.text());
        }),
        None => {}
    }
    if let Some(raw) = message.reasoning.or(message.reasoning_content)
        && let Ok(words) = serde_json::from_str::<WireText<'_>>(raw.get())
    {
        answer.reasoning.push_str(&words);
    }
    answer.refusal.push_str(message.refusal.as_deref().unwrap_or_default());
    answer.called_tool |= message.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty());
}

/// Returns the finish reason, the upstream's own if a gateway passes it on.
pub fn finish_word(choice: &Choice) -> Option<String> {
    let said = choice.finish_reason.as_deref()?;
    let fields: Option<Value> = choice.provider_specific_fields.and_then(|raw| serde_json::from_str(raw.get()).ok());
    let native = fields.as_ref().and_then(|fields| fields.get("native_finish_reason")).and_then(Value::as_str);
    let native = native.or(choice.native_finish_reason.as_deref());
    // An unknown native reason (`completed`, `1`) does not override a plain `stop`.
    let decisive = native.filter(|word| {
        finish_of(word).is_some()
            || matches!(*word, "error" | "abort" | "network_error" | "insufficient_system_resource")
    });
    Some(decisive.unwrap_or(said).to_owned())
}

/// Maps a server's finish reason; `None` if it means failure.
pub fn finish_of(word: &str) -> Option<Finish> {
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

fn no_choice() -> Failure {
    Failure::new(FailureClass::Transient, FailureCode::NoChoice, "the reply contains no choice")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::conversation::{Message, Role, Sampling, Slot, Target};
    use crate::model::dialect::Assembler;
    use crate::model::openai::stream::ChunkAssembler;
    use crate::model::sse::StreamEvent;

    fn question(max_tokens: Option<u32>) -> Question {
        let sampling = Sampling { max_tokens, ..Sampling::default() };
        let messages = vec![Message::new(Role::User, "hi")];
        Question { slot: Slot::main(0), target: Target::new("m", "openai", sampling), sample: 0, messages }
    }

    fn read(body: &Value) -> Result<Answer, Failure> {
        parse_completion(body.to_string().as_bytes(), &question(Some(100)), 1)
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
            assert_eq!(read(&choice(text(), word)).unwrap_err().class, FailureClass::Transient, "{word}");
        }
        assert_eq!(read(&json!({"choices": [{"message": {"content": "x"}}]})).unwrap_err().code, FailureCode::Cut);
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
        assert_eq!(read(&rewritten("abort")).unwrap_err().code, FailureCode::Unfinished);
        assert_eq!(read(&rewritten("completed")).unwrap().finish, Finish::Complete);
        let mut at_limit = choice(json!({"content": "x"}), "stop");
        at_limit["usage"] = json!({"completion_tokens": 100});
        assert_eq!(read(&at_limit).unwrap().finish, Finish::Length);
    }

    #[test]
    fn an_error_inside_a_good_status_is_an_error() {
        assert_eq!(read(&json!({"error": {"message": "upstream"}})).unwrap_err().class, FailureClass::Transient);
        let overflow = json!({"error": {"message": "maximum context length is 10", "code": 400}});
        assert_eq!(read(&overflow).unwrap_err().class, FailureClass::Permanent);
        assert_eq!(read(&json!({"choices": []})).unwrap_err().code, FailureCode::NoChoice);
    }

    proptest! {
        #[test]
        fn no_reply_makes_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,60}", finish in "[a-z_]{0,12}", number in any::<u64>()) {
            let _ = parse_completion(&bytes, &question(None), 1);
            let mut body = choice(json!({"content": text, "reasoning": number, "tool_calls": null}), &finish);
            body["usage"] = json!({"prompt_tokens": number, "completion_tokens": null});
            let _ = read(&body);
            let mut assembler = Box::<ChunkAssembler>::default();
            let _ = assembler.push(StreamEvent { name: "", data: &bytes });
            let _ = assembler.push(StreamEvent { name: "", data: body.to_string().as_bytes() });
            let _ = assembler.sees_loop();
            let _ = assembler.finish(&question(None), 1);
        }
    }
}
