use std::collections::BTreeSet;

use super::refusal::error_inside;
use super::wire;
use crate::conversation::{Answer, FailureCode, Question};
use crate::model::dialect::Assembler;
use crate::model::failure::{Failure, FailureClass};
use crate::model::json::Json;
use crate::model::partial::PartialAnswer;
use crate::model::sse::StreamEvent;

/// Assembles an answer from events.
///
/// A stop reason ends the answer only once every content block has ended: some gateways send one with each piece.
#[derive(Debug, Default)]
pub struct EventAssembler {
    answer: PartialAnswer,
    saw_event: bool,
    /// `message_stop` has arrived.
    is_stopped: bool,
    /// The indexes of the blocks that have not ended.
    open: BTreeSet<u64>,
}

impl Assembler for EventAssembler {
    fn push(&mut self, event: StreamEvent<'_>) -> Result<(), Failure> {
        let payload = event.data.trim_ascii();
        if payload.is_empty() || payload == b"[DONE]" || event.name == "ping" {
            return Ok(());
        }
        let value = wire::parse(payload, "an event of the stream");
        if event.name == "error" {
            return Err(error_inside(&value.map_or_else(|_| said(payload), |value| value.to_value())));
        }
        let value = match value {
            // `data: ping`, and whatever else some servers send to keep a connection open.
            Err(_) if payload.iter().all(u8::is_ascii_alphabetic) => return Ok(()),
            value => value?,
        };
        if let Some(failure) = wire::error_in(&value) {
            return Err(failure);
        }
        let kind = wire::name_in(&value, "type");
        self.take(kind.as_deref().unwrap_or(event.name), &value)?;
        self.answer.check_length()
    }

    fn has_ended(&self) -> bool {
        self.is_stopped || (self.answer.finish.is_some() && self.open.is_empty())
    }

    fn sees_loop(&mut self) -> bool {
        let is_loop = self.answer.sees_loop();
        self.is_stopped |= is_loop;
        is_loop
    }

    /// An answer is complete only with a known stop reason: `message_stop` alone proves nothing.
    fn finish(self: Box<Self>, question: &Question, attempt: u32) -> Result<Answer, Failure> {
        let cut = |message: &str| Failure::new(FailureClass::Transient, FailureCode::Cut, message);
        if !self.saw_event {
            return Err(cut("the stream ended before its first event"));
        }
        if !self.has_ended() {
            return Err(cut("the stream ended within a content block"));
        }
        self.answer.into_answer(wire::finish_of, question, attempt)
    }
}

impl EventAssembler {
    fn take(&mut self, kind: &str, value: &Json<'_>) -> Result<(), Failure> {
        let index = value.get("index").and_then(Json::count).unwrap_or(0);
        let part = |field: &str| value.get(field).unwrap_or(&Json::Null);
        match kind {
            "message_start" => wire::take_head(&mut self.answer, part("message")),
            "content_block_start" => {
                self.continue_block(index);
                wire::take_block(&mut self.answer, part("content_block"), index)?;
            }
            "content_block_delta" => {
                self.continue_block(index);
                wire::take_words(&mut self.answer.text, part("delta"), "text")?;
                wire::take_words(&mut self.answer.reasoning, part("delta"), "thinking")?;
                if let Some(Json::Text(piece)) = part("delta").get("partial_json") {
                    self.answer.calls.take_arguments(index, piece);
                }
            }
            "content_block_stop" => drop(self.open.remove(&index)),
            "message_delta" => {
                wire::take_stop(&mut self.answer, part("delta"));
                wire::take_usage(&mut self.answer.usage, value);
            }
            "message_stop" => self.is_stopped = true,
            // `ping`, and events that later versions add.
            _ => return Ok(()),
        }
        self.saw_event = true;
        Ok(())
    }

    /// Content after a stop reason shows that it was not the end.
    fn continue_block(&mut self, index: u64) {
        self.open.insert(index);
        self.answer.finish = None;
        self.is_stopped = false;
    }
}

/// Returns an error's words that are not JSON.
fn said(payload: &[u8]) -> serde_json::Value {
    String::from_utf8_lossy(payload).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::conversation::{Finish, Message, Role, Sampling, Slot, Target, Usage};

    fn question() -> Question {
        let target = Target::new("m", "anthropic", Sampling::default());
        Question { slot: Slot::main(0), target, sample: 0, messages: vec![Message::new(Role::User, "hi")].into() }
    }

    fn assembled(events: &[Value]) -> Result<Box<EventAssembler>, Failure> {
        let mut assembler = Box::<EventAssembler>::default();
        for event in events {
            assembler.push(StreamEvent { name: "", data: event.to_string().as_bytes() })?;
        }
        Ok(assembler)
    }

    fn read(events: &[Value]) -> Result<Answer, Failure> {
        assembled(events)?.finish(&question(), 1)
    }

    fn start() -> Value {
        let usage = json!({"input_tokens": 9, "cache_creation_input_tokens": 7, "cache_read_input_tokens": 4,
            "output_tokens": 1});
        json!({"type": "message_start", "message": {"model": "claude-9", "content": [], "stop_reason": null,
            "usage": usage}})
    }

    fn open(index: u32, block: &Value) -> Value {
        json!({"type": "content_block_start", "index": index, "content_block": block})
    }

    fn delta(index: u32, kind: &str, field: &str, text: &str) -> Value {
        json!({"type": "content_block_delta", "index": index, "delta": {"type": kind, field: text}})
    }

    fn text(words: &str) -> Value {
        delta(0, "text_delta", "text", words)
    }

    fn close(index: u32) -> Value {
        json!({"type": "content_block_stop", "index": index})
    }

    fn stop(reason: &str) -> Value {
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null},
            "usage": {"output_tokens": 12}})
    }

    fn end() -> Value {
        json!({"type": "message_stop"})
    }

    #[test]
    fn an_answer_is_assembled_from_its_events() {
        let answer = read(&[
            start(),
            open(0, &json!({"type": "thinking", "thinking": ""})),
            json!({"type": "ping"}),
            delta(0, "thinking_delta", "thinking", "2+2"),
            delta(0, "signature_delta", "signature", "abc"),
            close(0),
            open(1, &json!({"type": "redacted_thinking", "data": "x"})),
            close(1),
            open(2, &json!({"type": "text", "text": ""})),
            delta(2, "text_delta", "text", "It is "),
            delta(2, "text_delta", "text", "4."),
            close(2),
            stop("end_turn"),
            json!({"type": "event_of_a_later_version", "data": [1]}),
            end(),
        ]);
        let answer = answer.unwrap();
        assert_eq!(
            (answer.text(), answer.reasoning.as_deref(), answer.finish),
            ("It is 4.", Some("2+2"), Finish::Complete)
        );
        assert_eq!(answer.model, "claude-9");
        let usage = Usage {
            prompt_tokens: Some(20),
            cached_tokens: Some(4),
            cache_write_tokens: Some(7),
            completion_tokens: Some(12),
            ..Usage::default()
        };
        assert_eq!(answer.usage, usage);
        let called = read(&[start(), open(0, &json!({"type": "tool_use", "name": "f"})), close(0), stop("tool_use")]);
        assert_eq!(called.unwrap().finish, Finish::Tools);
    }

    #[test]
    fn a_stream_that_is_cut_anywhere_is_no_answer() {
        let events = [start(), open(0, &json!({"type": "text"})), text("It "), text("is"), close(0), stop("end_turn")];
        for count in 0..events.len() {
            let failure = read(&events[..count]).unwrap_err();
            assert_eq!((failure.class, failure.code), (FailureClass::Transient, FailureCode::Cut), "{count} events");
        }
        assert!(assembled(&events).unwrap().has_ended(), "nothing but message_stop is missing");
        assert_eq!(read(&events).unwrap().text(), "It is");
        assert_eq!(read(&[start(), end()]).unwrap_err().code, FailureCode::Cut, "an end without a reason");
    }

    #[test]
    fn a_stop_reason_with_each_piece_is_no_end() {
        let begin = || vec![start(), open(0, &json!({"type": "text"}))];
        let pieces = || [text("It "), stop("end_turn"), text("is "), stop("end_turn"), text("4."), stop("end_turn")];
        let whole: Vec<Value> = begin().into_iter().chain(pieces()).chain([close(0), end()]).collect();
        assert_eq!(read(&whole).unwrap().text(), "It is 4.");
        let without_close: Vec<Value> = begin().into_iter().chain(pieces()).chain([end()]).collect();
        assert_eq!(read(&without_close).unwrap().text(), "It is 4.");
        for count in 3..8 {
            let cut = read(&whole[..count]).unwrap_err();
            assert_eq!(cut.code, FailureCode::Cut, "{count} events");
        }
        let early = [start(), text("It "), close(0), stop("end_turn"), text("is")];
        assert!(!assembled(&early).unwrap().has_ended(), "text after a stop reason shows that it was not the end");
        let empty = [start(), text("It is"), stop(""), close(0), stop("null")];
        assert_eq!(read(&empty).unwrap_err().code, FailureCode::Cut, "neither word is a reason");
    }

    #[test]
    fn errors_in_a_stream_are_classified_by_their_type() {
        let error = |kind: &str| json!({"type": "error", "error": {"type": kind, "message": "in words"}});
        for (kind, class) in [
            ("overloaded_error", FailureClass::RateLimited),
            ("rate_limit_error", FailureClass::RateLimited),
            ("api_error", FailureClass::Transient),
            ("authentication_error", FailureClass::Refused),
        ] {
            let failure = read(&[start(), text("It"), error(kind)]).unwrap_err();
            assert_eq!((failure.class, failure.message.as_str()), (class, "in words"), "{kind}");
        }
        let mut named = EventAssembler::default();
        let failure = named.push(StreamEvent { name: "error", data: b"{\"message\": \"no key\"}" }).unwrap_err();
        assert_eq!(failure.message, "no key");
        assert_eq!(named.push(StreamEvent { name: "ping", data: b"ping" }), Ok(()));
    }

    #[test]
    fn noise_and_odd_fields_harm_nothing_and_halves_of_characters_are_joined() {
        let mut assembler = Box::<EventAssembler>::default();
        for data in [
            "ping",
            "null",
            "[1]",
            r#"{"type":"later","error":{"code":0,"message":"success"},"cost":NaN}"#,
            r#"{"type":"content_block_delta","index":"0","delta":{"text":"A kite \ud83e"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"text":"\ude81"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":[]}"#,
        ] {
            assembler.push(StreamEvent { name: "", data: data.as_bytes() }).unwrap();
        }
        assert_eq!(assembler.finish(&question(), 1).unwrap().text(), "A kite 🪁");
        let object = json!({"type": "content_block_delta", "index": 0, "delta": {"text": {"a": 1}}});
        assert_eq!(read(&[object]).unwrap_err().code, FailureCode::Garbage, "content that is not text");
    }

    #[test]
    fn the_event_line_names_a_payload_without_a_type() {
        let mut assembler = Box::<EventAssembler>::default();
        for (name, data) in [
            ("content_block_delta", json!({"index": 0, "delta": {"text": "Yes."}})),
            ("content_block_stop", json!({"index": 0})),
            ("message_delta", json!({"delta": {"stop_reason": "end_turn"}})),
        ] {
            assembler.push(StreamEvent { name, data: data.to_string().as_bytes() }).unwrap();
        }
        assert_eq!(assembler.finish(&question(), 1).unwrap().text(), "Yes.");
    }

    proptest! {
        #[test]
        fn no_stream_makes_the_assembler_panic(order in prop::collection::vec(0..8usize, 0..30), bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let events = [start(), open(0, &json!({"type": "text"})), text("a"), close(0), stop("end_turn"), end(), json!([1]), json!(null)];
            let events: Vec<Value> = order.iter().map(|index| events[*index].clone()).collect();
            let mut assembler = assembled(&events).unwrap();
            let _ = assembler.push(StreamEvent { name: "message_delta", data: &bytes });
            let _ = assembler.sees_loop();
            let _ = assembler.finish(&question(), 1);
        }
    }
}
