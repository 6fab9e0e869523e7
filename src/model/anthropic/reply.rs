use super::wire;
use crate::conversation::{Answer, FailureCode, Question};
use crate::model::failure::{Failure, FailureClass};
use crate::model::json::Json;
use crate::model::partial::PartialAnswer;

/// Reads a reply in one piece.
pub fn parse_message(body: &[u8], question: &Question, attempt: u32) -> Result<Answer, Failure> {
    let reply = wire::parse(body, "the reply")?;
    if let Some(failure) = wire::error_in(&reply) {
        return Err(failure);
    }
    let mut answer = PartialAnswer::default();
    wire::take_head(&mut answer, &reply);
    match reply.get("content") {
        Some(Json::List(blocks)) => {
            (0..).zip(blocks).try_for_each(|(at, block)| wire::take_block(&mut answer, block, at))?;
        }
        Some(Json::Text(text)) => answer.text.push(text),
        _ => return Err(no_content()),
    }
    wire::take_stop(&mut answer, &reply);
    answer.into_answer(wire::finish_of, question, attempt)
}

fn no_content() -> Failure {
    Failure::new(FailureClass::Transient, FailureCode::NoChoice, "the reply contains no content")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::conversation::{Finish, Message, Role, Sampling, Slot, Target, Usage};

    fn question(max_tokens: Option<u32>) -> Question {
        let sampling = Sampling { max_tokens, ..Sampling::default() };
        let messages = vec![Message::new(Role::User, "hi")];
        Question {
            slot: Slot::main(0),
            target: Target::new("m", "anthropic", sampling),
            sample: 0,
            messages: messages.into(),
        }
    }

    fn read(body: &Value) -> Result<Answer, Failure> {
        parse_message(body.to_string().as_bytes(), &question(Some(100)), 1)
    }

    fn message(content: &Value, stop_reason: &str) -> Value {
        json!({"type": "message", "role": "assistant", "model": "claude-9", "content": content,
            "stop_reason": stop_reason, "usage": {"input_tokens": 9, "output_tokens": 5}})
    }

    #[test]
    fn text_reasoning_and_usage_are_read() {
        let content = json!([
            {"type": "thinking", "thinking": "2+2", "signature": "x"},
            {"type": "redacted_thinking", "data": "y"},
            {"type": "thinking", "thinking": "is 4"},
            {"type": "text", "text": "It is "},
            {"type": "text", "text": "4."},
        ]);
        let mut body = message(&content, "end_turn");
        body["usage"] = json!({"input_tokens": 3, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 10,
            "output_tokens": 8, "output_tokens_details": {"thinking_tokens": 5}, "service_tier": 1});
        let answer = read(&body).unwrap();
        assert_eq!((answer.text(), answer.reasoning.as_deref()), ("It is 4.", Some("2+2\n\nis 4")));
        assert_eq!(
            (answer.finish, answer.finish_reason.as_str(), answer.model.as_str()),
            (Finish::Complete, "end_turn", "claude-9")
        );
        let usage = Usage {
            prompt_tokens: Some(33),
            cached_tokens: Some(20),
            cache_write_tokens: Some(10),
            completion_tokens: Some(8),
            reasoning_tokens: Some(5),
            ..Usage::default()
        };
        assert_eq!(answer.usage, usage);
    }

    #[test]
    fn side_fields_of_any_type_are_no_fault() {
        for usage in [json!(null), json!([]), json!({"input_tokens": -1, "output_tokens": 1.5}), json!("none")] {
            let mut body = message(&json!([{"type": "text", "text": "4"}]), "end_turn");
            (body["usage"], body["model"], body["id"], body["error"]) = (usage, json!(7), json!([]), json!(""));
            let answer = read(&body).unwrap();
            assert_eq!((answer.text(), answer.usage), ("4", Usage::default()));
        }
        for no_error in
            [json!({}), json!(0), json!({"code": 0, "message": "success"}), json!({"message": null}), json!([])]
        {
            let mut body = message(&json!([{"type": "text", "text": "4"}]), "end_turn");
            body["error"] = no_error;
            assert_eq!(read(&body).unwrap().text(), "4");
        }
        assert_eq!(read(&message(&json!("plain text"), "end_turn")).unwrap().text(), "plain text");
        let broken = b"{\"content\":[{\"type\":\"text\",\"text\":\"a\xff\"}],\"stop_reason\":\"end_turn\"}";
        assert_eq!(parse_message(broken, &question(None), 1).unwrap().text(), "a\u{fffd}");
    }

    #[test]
    fn only_a_known_stop_reason_is_an_end() {
        let text = || json!([{"type": "text", "text": "words"}]);
        for (word, finish) in [
            ("end_turn", Finish::Complete),
            ("stop_sequence", Finish::Complete),
            ("max_tokens", Finish::Length),
            ("model_context_window_exceeded", Finish::Length),
            ("refusal", Finish::Refused),
            ("tool_use", Finish::Tools),
            ("pause_turn", Finish::Tools),
        ] {
            assert_eq!(read(&message(&text(), word)).unwrap().finish, finish, "{word}");
        }
        for word in ["error", "abort", "something_new"] {
            assert_eq!(read(&message(&text(), word)).unwrap_err().code, FailureCode::Unfinished, "{word}");
        }
        for word in ["", "null"] {
            assert_eq!(read(&message(&text(), word)).unwrap_err().code, FailureCode::Cut, "{word}");
        }
        assert_eq!(read(&message(&json!([]), "end_turn")).unwrap().finish, Finish::Empty);
        assert_eq!(read(&json!({"type": "message"})).unwrap_err().code, FailureCode::NoChoice);
        let mut refusal = message(&json!([]), "refusal");
        refusal["stop_details"] = json!({"type": "refusal", "explanation": "I cannot."});
        let answer = read(&refusal).unwrap();
        assert_eq!((answer.finish, answer.text()), (Finish::Refused, "I cannot."));
    }

    #[test]
    fn an_error_inside_a_good_status_is_an_error() {
        let error = json!({"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}});
        let failure = read(&error).unwrap_err();
        assert_eq!((failure.class, failure.message.as_str()), (FailureClass::RateLimited, "slow down"));
        assert_eq!(read(&json!({"type": "error", "message": "m"})).unwrap_err().message, "m");
        assert_eq!(parse_message(b"<html>", &question(None), 1).unwrap_err().code, FailureCode::Garbage);
    }

    proptest! {
        #[test]
        fn no_reply_makes_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,60}", word in "[a-z_]{0,12}", number in any::<u64>()) {
            let _ = parse_message(&bytes, &question(None), 1);
            let mut body = message(&json!([{"type": word, "text": text}, number, text]), &word);
            body["usage"] = json!({"input_tokens": number, "cache_read_input_tokens": number, "output_tokens": null});
            let _ = read(&body);
        }
    }
}
