use super::stream::ChunkAssembler;
use crate::conversation::{Answer, FailureCode, Question};
use crate::model::failure::{Failure, FailureClass};
use crate::model::json::Json;

/// Reads a reply that is not streamed: one JSON value, or a line of JSON for each chunk. What follows a complete answer
/// is ignored; some gateways append `data: [DONE]`.
pub fn parse_completion(body: &[u8], question: &Question, attempt: u32) -> Result<Answer, Failure> {
    let mut assembler = ChunkAssembler::default();
    let mut rest = body;
    loop {
        let (value, after) = match Json::read(rest) {
            Ok(read) => read,
            Err(_) if assembler.has_finish() => break,
            Err(error) => return Err(garbage(&error)),
        };
        assembler.take(&value)?;
        rest = after.trim_ascii();
        if rest.is_empty() {
            break;
        }
    }
    assembler.into_answer(question, attempt)
}

fn garbage(error: &dyn std::fmt::Display) -> Failure {
    let message = format!("the reply is not a chat completion: {error}");
    Failure::new(FailureClass::Transient, FailureCode::Garbage, message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::conversation::{Finish, Message, Role, Sampling, Slot, Target};
    use crate::model::dialect::Assembler;
    use crate::model::sse::StreamEvent;

    fn question(max_tokens: Option<u32>) -> Question {
        let sampling = Sampling { max_tokens, ..Sampling::default() };
        let messages = vec![Message::new(Role::User, "hi")];
        Question {
            slot: Slot::main(0),
            target: Target::new("m", "openai", sampling),
            sample: 0,
            messages: messages.into(),
        }
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
        assert_eq!(
            read(&json!({"choices": [{"message": {"content": "x"}}]})).unwrap_err().code,
            FailureCode::Unfinished
        );
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
        let no_money =
            json!({"choices": null, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}});
        assert_eq!(read(&no_money).unwrap_err().message, "insufficient balance");
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
