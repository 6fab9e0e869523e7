use super::repetition::RepetitionGuard;
use super::reply::{Completion, Parts};
use crate::conversation::{Answer, Question};
use crate::model::failure::{Class, Failure};

/// Puts an answer together from the payloads of a stream.
#[derive(Debug, Default)]
pub struct Assembler {
    parts: Parts,
    saw_chunk: bool,
    saw_done: bool,
    text_guard: RepetitionGuard,
    reasoning_guard: RepetitionGuard,
}

impl Assembler {
    /// Takes the next payload.
    pub fn push(&mut self, payload: &[u8]) -> Result<(), Failure> {
        let payload = payload.trim_ascii();
        self.saw_done |= payload == b"[DONE]";
        if payload.is_empty() || payload == b"[DONE]" {
            return Ok(());
        }
        let chunk: Completion = serde_json::from_slice(payload).map_err(|error| {
            Failure::new(Class::AgainLater, "garbage", format!("a piece of the stream is no JSON: {error}"))
        })?;
        self.parts.take_head(&chunk)?;
        self.saw_chunk = true;
        // Some servers send an empty or absent list with the usage.
        for choice in chunk.choices.iter().flatten().take(1) {
            if let Some(delta) = choice.delta.as_ref().or(choice.message.as_ref()) {
                self.parts.take_message(delta);
            }
            if let Some(word) = choice.finish() {
                self.parts.finish = Some(word);
            }
        }
        self.parts.check_length()
    }

    /// True where the reason for the end is known: all that may still come is a count of tokens.
    pub fn has_ended(&self) -> bool {
        self.saw_done || self.parts.finish.is_some()
    }

    /// True where the answer has become a loop: nothing that still comes is worth its price. Ended now, it is kept
    /// as an answer with the reason `loop`.
    pub fn sees_loop(&mut self) -> bool {
        let is_loop =
            self.text_guard.sees_loop(&self.parts.text) || self.reasoning_guard.sees_loop(&self.parts.reasoning);
        if is_loop {
            self.parts.finish = Some("loop".to_owned());
        }
        is_loop
    }

    /// Ends the stream. Complete only with a known reason for the end: `[DONE]` proves nothing, some servers
    /// never send it.
    pub fn finish(self, question: &Question, attempt: u32) -> Result<Answer, Failure> {
        if !self.saw_chunk {
            return Err(Failure::new(Class::AgainLater, "cut", "the stream ended before its first piece"));
        }
        self.parts.into_answer(question, attempt)
    }
}
