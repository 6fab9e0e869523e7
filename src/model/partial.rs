use super::failure::{Failure, FailureClass};
use super::repetition::RepetitionGuard;
use crate::conversation::{Answer, FailureCode, Finish, Message, Question, Role, Usage, split_leading_thought};

/// Maximum bytes of text and reasoning.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// The finish reason of an answer that was ended here because it repeats itself.
const LOOP: &str = "loop";

/// An answer while its reply is read. Each dialect fills it from its own fields; the rules for a complete answer are
/// the same for all of them and live here.
#[derive(Debug, Default)]
pub struct PartialAnswer {
    pub text: String,
    pub reasoning: String,
    /// A refusal that the model sent in a field of its own instead of an answer.
    pub refusal: String,
    pub called_tool: bool,
    /// The server's finish reason, once it has arrived.
    pub finish: Option<String>,
    /// The model as the server reports it.
    pub model: Option<String>,
    pub system_fingerprint: Option<String>,
    pub usage: Usage,
    text_guard: RepetitionGuard,
    reasoning_guard: RepetitionGuard,
}

impl PartialAnswer {
    /// Fails if the answer is too large for the store.
    pub fn check_length(&self) -> Result<(), Failure> {
        if self.text.len() + self.reasoning.len() + self.refusal.len() <= ANSWER_BYTES_MAX {
            return Ok(());
        }
        Err(Failure::new(FailureClass::Permanent, FailureCode::TooLong, "the answer is over 8 MB"))
    }

    /// True if the answer repeats itself endlessly, so that reading on only costs tokens. The answer is then kept with
    /// the finish reason `loop`.
    pub fn sees_loop(&mut self) -> bool {
        let is_loop = self.text_guard.sees_loop(&self.text) || self.reasoning_guard.sees_loop(&self.reasoning);
        if is_loop {
            self.finish = Some(LOOP.to_owned());
        }
        is_loop
    }

    /// Returns the answer that the parts make up. `finish_of` maps the server's finish reason; it returns `None` for a
    /// reason that means failure. Without a known finish reason there is no answer.
    pub fn into_answer(
        mut self,
        finish_of: impl Fn(&str) -> Option<Finish>,
        question: &Question,
        attempt: u32,
    ) -> Result<Answer, Failure> {
        self.check_length()?;
        let Some(word) = self.finish.take() else {
            return Err(Failure::new(FailureClass::Transient, FailureCode::Cut, "the reply ended without saying why"));
        };
        let finish = if word == LOOP { Some(Finish::Loop) } else { finish_of(&word) };
        let Some(finish) = finish else {
            return Err(Failure::new(
                FailureClass::Transient,
                FailureCode::Unfinished,
                format!("the server gave up with `{word}`"),
            ));
        };
        if self.reasoning.is_empty()
            && let Some((thought, rest)) = split_leading_thought(&self.text)
        {
            (self.reasoning, self.text) = (thought.to_owned(), rest.to_owned());
        }
        let finish = if finish == Finish::Complete { self.actual_finish(question) } else { finish };
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
            dropped: Vec::new(),
        })
    }

    /// Returns the finish of an answer that the server reports as complete. Gateways rewrite other reasons to `stop`:
    /// an answer that reached its token limit was truncated.
    fn actual_finish(&self, question: &Question) -> Finish {
        let limit = question.target.sampling().max_tokens.map(u64::from);
        let at_limit = limit.zip(self.usage.completion_tokens).is_some_and(|(limit, count)| count >= limit);
        if !self.refusal.is_empty() {
            Finish::Refused
        } else if at_limit {
            Finish::Length
        } else if self.called_tool {
            Finish::Tools
        } else if self.text.trim().is_empty() {
            Finish::Empty
        } else {
            Finish::Complete
        }
    }
}
