use super::reply::{finish_of, finish_word, take_head, take_message};
use super::wire::Completion;
use crate::conversation::{Answer, FailureCode, Question};
use crate::model::dialect::Assembler;
use crate::model::failure::{Failure, FailureClass};
use crate::model::partial::PartialAnswer;
use crate::model::sse::StreamEvent;

/// Assembles an answer from chunks.
#[derive(Debug, Default)]
pub struct ChunkAssembler {
    answer: PartialAnswer,
    saw_chunk: bool,
    saw_done: bool,
}

impl Assembler for ChunkAssembler {
    fn push(&mut self, event: StreamEvent<'_>) -> Result<(), Failure> {
        let payload = event.data.trim_ascii();
        self.saw_done |= payload == b"[DONE]";
        if payload.is_empty() || payload == b"[DONE]" {
            return Ok(());
        }
        let chunk: Completion = serde_json::from_slice(payload).map_err(|error| {
            Failure::new(
                FailureClass::Transient,
                FailureCode::Garbage,
                format!("a chunk of the stream is not JSON: {error}"),
            )
        })?;
        take_head(&mut self.answer, &chunk)?;
        self.saw_chunk = true;
        // Some servers send an empty or absent list with the usage.
        for choice in chunk.choices.iter().flatten().take(1) {
            if let Some(delta) = choice.delta.as_ref().or(choice.message.as_ref()) {
                take_message(&mut self.answer, delta);
            }
            if let Some(word) = finish_word(choice) {
                self.answer.finish = Some(word);
            }
        }
        self.answer.check_length()
    }

    fn has_ended(&self) -> bool {
        self.saw_done || self.answer.finish.is_some()
    }

    fn sees_loop(&mut self) -> bool {
        self.answer.sees_loop()
    }

    /// An answer is complete only with a known finish reason: `[DONE]` proves nothing, and some servers never send it.
    fn finish(self: Box<Self>, question: &Question, attempt: u32) -> Result<Answer, Failure> {
        if !self.saw_chunk {
            return Err(Failure::new(
                FailureClass::Transient,
                FailureCode::Cut,
                "the stream ended before its first chunk",
            ));
        }
        self.answer.into_answer(finish_of, question, attempt)
    }
}
