use super::failure::{Failure, FailureClass};
use super::repetition::RepetitionGuard;
use crate::conversation::{Answer, FailureCode, Finish, Message, Question, Role, Usage, split_leading_thought};

/// Most bytes of text and reasoning that are taken.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// The word for the end of an answer that was ended here because it repeats itself.
const LOOP: &str = "loop";

/// An answer while its reply is read. Each dialect fills it from its own fields; what an answer needs to be whole is
/// the same for all of them and decided here.
#[derive(Debug, Default)]
pub struct PartialAnswer {
    pub text: String,
    pub reasoning: String,
    /// What the model said in a field of its own instead of an answer.
    pub refusal: String,
    pub called_tool: bool,
    /// The server's word for the end, once it has come.
    pub finish: Option<String>,
    /// The model as the server reports it.
    pub model: Option<String>,
    pub system_fingerprint: Option<String>,
    pub usage: Usage,
    text_guard: RepetitionGuard,
    reasoning_guard: RepetitionGuard,
}

impl PartialAnswer {
    /// Fails where the answer is larger than any model writes: the store takes whole answers only.
    pub fn check_length(&self) -> Result<(), Failure> {
        if self.text.len() + self.reasoning.len() + self.refusal.len() <= ANSWER_BYTES_MAX {
            return Ok(());
        }
        Err(Failure::new(FailureClass::Permanent, FailureCode::TooLong, "the answer is over 8 MB"))
    }

    /// True where the answer has become a loop: nothing that still comes is worth its price. Ended now, it is kept
    /// as an answer with the reason `loop`.
    pub fn sees_loop(&mut self) -> bool {
        let is_loop = self.text_guard.sees_loop(&self.text) || self.reasoning_guard.sees_loop(&self.reasoning);
        if is_loop {
            self.finish = Some(LOOP.to_owned());
        }
        is_loop
    }

    /// Decides what the parts come to. `finish_of` says what the server's word for the end means; `None` for an end
    /// that is no answer. Without a known end there is no answer.
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
        })
    }

    /// Returns how an answer ended whose server calls it complete. Gateways turn other ends into `stop`: an answer
    /// that reached its limit was cut.
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
