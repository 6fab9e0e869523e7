use super::fault::{error_in, error_without_field, named_error};
use super::finish::{finish_of, finish_word};
use super::wire::{name_in, take_message, take_tier, take_usage};
use crate::conversation::{Answer, FailureCode, Question};
use crate::model::dialect::Assembler;
use crate::model::failure::{Failure, FailureClass};
use crate::model::json::Json;
use crate::model::partial::PartialAnswer;
use crate::model::sse::StreamEvent;

/// Assembles an answer from chunks. A whole reply is one chunk.
#[derive(Debug, Default)]
pub struct ChunkAssembler {
    answer: PartialAnswer,
    /// The index of the choice that is read. Others are ignored.
    index: Option<u64>,
    saw_choice: bool,
    saw_done: bool,
    /// True once a chunk had text of the answer and no finish reason: the server does not put one into every chunk.
    saw_open_text: bool,
    finish_evidence: FinishEvidence,
    /// The first event that is no chunk, for the message of a stream that holds nothing else.
    noise: Option<String>,
}

/// How far a finish reason can be believed before the stream's end.
#[derive(Debug, Default, PartialEq, Eq)]
enum FinishEvidence {
    /// It came in a chunk of its own.
    #[default]
    Alone,
    /// It came with text: this may be one of every chunk.
    WithText,
    /// Text followed one: this server's reasons mean nothing before the end.
    Revoked,
}

impl ChunkAssembler {
    /// Adds a chunk or a whole reply. Values other than objects are noise, such as `null` to keep a connection open.
    pub fn take(&mut self, value: &Json<'_>) -> Result<(), Failure> {
        // Google's servers put some replies into a list.
        let value = value.items().first().unwrap_or(value);
        if let Some(failure) = error_in(value) {
            return Err(failure);
        }
        if self.answer.model.is_none() {
            self.answer.model = name_in(value, "model");
        }
        if self.answer.system_fingerprint.is_none() {
            self.answer.system_fingerprint = name_in(value, "system_fingerprint");
        }
        take_usage(&mut self.answer.usage, value);
        take_tier(&mut self.answer.usage, value);
        self.answer.tokens.take_reply(value, self.index.unwrap_or(0) as usize);
        let choices = value.get("choices");
        let listed = choices.map_or(&[][..], |choices| match choices {
            Json::List(items) => items,
            Json::Object(_) => std::slice::from_ref(choices),
            _ => &[],
        });
        let choice = listed.iter().find(|choice| self.is_of_answer(choice));
        match choice {
            Some(choice) => self.take_choice(choice)?,
            None if listed.is_empty() && !self.has_finish() => {
                if let Some(failure) = error_without_field(value) {
                    return Err(failure);
                }
            }
            None => {}
        }
        self.answer.check_length()
    }

    fn is_of_answer(&self, choice: &Json<'_>) -> bool {
        let index = choice.get("index").and_then(Json::count);
        matches!(choice, Json::Object(_)) && (self.index.is_none() || index.is_none() || index == self.index)
    }

    fn take_choice(&mut self, choice: &Json<'_>) -> Result<(), Failure> {
        if let Some(failure) = error_in(choice) {
            return Err(failure);
        }
        self.saw_choice = true;
        self.index = self.index.or_else(|| choice.get("index").and_then(Json::count));
        take_usage(&mut self.answer.usage, choice);
        self.answer.tokens.take_choice(choice);
        let said = |answer: &PartialAnswer| answer.text.len() + answer.calls.bytes();
        let (bytes_before, said_before) = (self.answer.bytes(), said(&self.answer));
        let is_object = |message: &&Json<'_>| matches!(message, Json::Object(_));
        if let Some(delta) = choice.get("delta").filter(is_object) {
            take_message(&mut self.answer, delta, false)?;
        } else if let Some(message) = choice.get("message").filter(is_object) {
            take_message(&mut self.answer, message, true)?;
        }
        let has_text = self.answer.bytes() != bytes_before;
        if has_text && (self.answer.finish.take().is_some() || self.saw_done) {
            self.finish_evidence = FinishEvidence::Revoked;
            self.saw_done = false;
        }
        match finish_word(choice) {
            Some(word) => {
                self.answer.finish = Some(word);
                if self.finish_evidence != FinishEvidence::Revoked {
                    self.finish_evidence = if has_text { FinishEvidence::WithText } else { FinishEvidence::Alone };
                }
            }
            None => self.saw_open_text |= said(&self.answer) != said_before,
        }
        Ok(())
    }

    /// True if a finish reason has arrived, final or not.
    pub fn has_finish(&self) -> bool {
        self.answer.finish.is_some()
    }

    /// Returns the answer after the end of the reply.
    pub fn into_answer(self, question: &Question, attempt: u32) -> Result<Answer, Failure> {
        if !self.saw_choice {
            return Err(transient(FailureCode::NoChoice, "the reply contains no choice".to_owned()));
        }
        if !self.has_finish() {
            return Err(transient(FailureCode::Unfinished, "the reply has no finish reason".to_owned()));
        }
        self.answer.into_answer(finish_of, question, attempt)
    }

    fn take_noise(&mut self, payload: &[u8]) {
        if self.noise.is_none() && !matches!(payload, b"" | b"null" | b"[]" | b"\"\"") {
            self.noise = Some(String::from_utf8_lossy(payload).into_owned());
        }
    }
}

impl Assembler for ChunkAssembler {
    fn push(&mut self, event: StreamEvent<'_>) -> Result<(), Failure> {
        let mut payload = event.data.trim_ascii();
        // Some gateways wrap a stream that is one already.
        while let Some(inner) = payload.strip_prefix(b"data:") {
            payload = inner.trim_ascii();
        }
        if event.name == "error" {
            return Err(named_error(payload));
        }
        if payload.strip_prefix(b"\"").unwrap_or(payload).starts_with(b"[DONE]") {
            self.saw_done = true;
            return Ok(());
        }
        if !payload.starts_with(b"{") && !payload.starts_with(b"[{") {
            self.take_noise(payload);
            return Ok(());
        }
        let (chunk, _) = Json::read(payload)
            .map_err(|error| transient(FailureCode::Garbage, format!("a chunk of the stream is not JSON: {error}")))?;
        self.take(&chunk)
    }

    /// A finish reason is final before the stream's end only if the server does not send one with every chunk.
    fn has_ended(&self) -> bool {
        let is_alone = self.finish_evidence == FinishEvidence::Alone;
        self.saw_done || (self.has_finish() && self.saw_open_text && is_alone)
    }

    fn is_marked_as_ended(&self) -> bool {
        self.saw_done
    }

    /// A finish reason with the last text may be that of every chunk, unless earlier text came without one.
    fn ends_with_connection(&self) -> bool {
        self.has_ended()
            || !self.has_finish()
            || (self.saw_open_text && self.finish_evidence != FinishEvidence::Revoked)
    }

    fn sees_loop(&mut self) -> bool {
        self.answer.sees_loop()
    }

    /// An answer is complete only with a known finish reason: `[DONE]` proves nothing, and some servers never send it.
    fn finish(self: Box<Self>, question: &Question, attempt: u32) -> Result<Answer, Failure> {
        if !self.saw_choice {
            let said = self.noise.as_deref().map(|noise| format!("; it says `{noise}`")).unwrap_or_default();
            return Err(transient(FailureCode::Cut, format!("the stream ended before its first chunk{said}")));
        }
        if !self.has_finish() && !self.saw_done {
            return Err(transient(FailureCode::Cut, "the stream ended without a finish reason".to_owned()));
        }
        self.into_answer(question, attempt)
    }
}

fn transient(code: FailureCode, message: String) -> Failure {
    Failure::new(FailureClass::Transient, code, message)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::conversation::{Message, Role, Sampling, Slot, Target};

    fn question() -> Question {
        let target = Target::new("m", "openai", Sampling::default());
        Question { slot: Slot::main(0), target, sample: 0, messages: vec![Message::new(Role::User, "hi")].into() }
    }

    /// Pushes chunks, each a text and a finish reason; the text `[DONE]` stands for itself.
    fn pushed(chunks: &[(&str, Value)]) -> Box<ChunkAssembler> {
        let mut assembler = Box::<ChunkAssembler>::default();
        for (text, finish) in chunks {
            let chunk = json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]});
            let data = if *text == "[DONE]" { (*text).to_owned() } else { chunk.to_string() };
            assembler.push(StreamEvent { name: "", data: data.as_bytes() }).unwrap();
        }
        assembler
    }

    fn text(assembler: Box<ChunkAssembler>) -> Result<String, FailureCode> {
        assembler.finish(&question(), 1).map(|answer| answer.text().to_owned()).map_err(|failure| failure.code)
    }

    #[test]
    fn a_finish_reason_in_every_chunk_is_final_only_at_the_end() {
        let stop = || json!("stop");
        for chunks in [
            vec![("", stop()), ("one ", stop()), ("two", stop()), ("", stop())],
            vec![("one ", Value::Null), ("two", stop()), (" three", stop()), ("", stop())],
            vec![("one", stop())],
        ] {
            let assembler = pushed(&chunks);
            assert!(!assembler.has_ended(), "{chunks:?}");
            assert!(text(assembler).is_ok(), "the end of the body ends it: {chunks:?}");
            let done = [chunks.as_slice(), &[("[DONE]", Value::Null)]].concat();
            assert!(pushed(&done).has_ended(), "{chunks:?}");
        }
        assert!(!pushed(&[("one", stop())]).ends_with_connection());
        assert!(pushed(&[("one ", Value::Null), ("two", stop())]).ends_with_connection());
        assert!(pushed(&[("one", Value::Null), ("", stop())]).has_ended());
    }

    #[test]
    fn text_after_a_finish_reason_revokes_it() {
        let chunks = [("one ", Value::Null), ("", json!("stop")), ("two", Value::Null)];
        assert_eq!(text(pushed(&chunks)), Err(FailureCode::Cut));
        let done = [chunks.as_slice(), &[("[DONE]", Value::Null)]].concat();
        assert_eq!(text(pushed(&done)), Err(FailureCode::Unfinished));
        let finished = [chunks.as_slice(), &[("", json!("stop"))]].concat();
        assert_eq!(text(pushed(&finished)).as_deref(), Ok("one two"));
    }

    #[test]
    fn no_finish_reason_is_an_unusable_reply_if_the_stream_is_marked_as_ended() {
        for finish in [Value::Null, json!(""), json!("null")] {
            assert_eq!(text(pushed(&[("one", finish.clone())])), Err(FailureCode::Cut));
            assert_eq!(text(pushed(&[("one", finish), ("[DONE]", Value::Null)])), Err(FailureCode::Unfinished));
        }
    }

    #[test]
    fn noise_between_chunks_is_skipped_and_shown_if_there_is_nothing_else() {
        let mut assembler = pushed(&[]);
        for noise in ["ping", "null", "\"\"", "[]", "", "{\"type\":\"ping\"}", "{\"choices\":[],\"usage\":\"pending\"}"]
        {
            assembler.push(StreamEvent { name: "", data: noise.as_bytes() }).unwrap();
        }
        let failure = assembler.finish(&question(), 1).unwrap_err();
        assert_eq!(failure.message, "the stream ended before its first chunk; it says `ping`");
        let broken = pushed(&[]).push(StreamEvent { name: "", data: b"{\"choices\":[{\"delta" });
        assert_eq!(broken.unwrap_err().code, FailureCode::Garbage);
    }

    #[test]
    fn another_choice_is_not_mixed_in() {
        let mut assembler = pushed(&[("one", Value::Null)]);
        let other = json!({"choices": [{"index": 1, "delta": {"content": "other"}}]}).to_string();
        assembler.push(StreamEvent { name: "", data: other.as_bytes() }).unwrap();
        let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}).to_string();
        assembler.push(StreamEvent { name: "", data: end.as_bytes() }).unwrap();
        assert_eq!(text(assembler).as_deref(), Ok("one"));
    }

    #[test]
    fn an_error_event_shows_its_words() {
        let mut assembler = pushed(&[]);
        let event = StreamEvent { name: "error", data: b"{\"code\":400,\"message\":\"too long\"}" };
        assert_eq!(assembler.push(event).unwrap_err().message, "too long");
        let event = StreamEvent { name: "error", data: b"the engine died" };
        assert_eq!(assembler.push(event).unwrap_err().message, "the engine died");
    }
}
