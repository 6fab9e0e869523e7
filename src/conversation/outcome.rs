use std::sync::Arc;

use super::answer::Answer;
use super::message::Message;
use super::request::BodyFields;
use super::stop::ConversationStop;
use super::turn::TurnIndex;

/// How a conversation ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Every turn has a whole answer.
    Complete(Dialogue),
    /// The recipe stopped early; the dialogue holds the good turns.
    Stopped {
        /// Everything up to the last good answer.
        dialogue: Dialogue,
        /// The turn that was not good.
        turn: TurnIndex,
        /// Why.
        reason: ConversationStop,
    },
}

impl Outcome {
    /// Makes the outcome of a dialogue that is complete, or that stopped after its last answer.
    pub fn of(dialogue: Dialogue, stop: Option<ConversationStop>) -> Self {
        match stop {
            None => Self::Complete(dialogue),
            Some(reason) => Self::Stopped { turn: TurnIndex::from_index(dialogue.answer_count()), dialogue, reason },
        }
    }
}

/// The finished words of a conversation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dialogue {
    /// The messages in order.
    pub spoken: Vec<Spoken>,
    /// Answers that were not good enough, in order.
    pub rejected: Vec<Rejected>,
    /// What was drawn for the conversation: body fields, and the temperature under its name.
    pub drawn: BodyFields,
}

impl Dialogue {
    /// Ends the dialogue with its last answer in words, and returns the answers after it: a call is not the end of a
    /// conversation that is trained on.
    pub fn end_with_words(&mut self) -> Vec<Arc<Answer>> {
        let is_in_words = |spoken: &Spoken| spoken.answer.is_some() && !spoken.message.is_tool_use();
        let end = self.spoken.iter().rposition(is_in_words).map_or(0, |at| at + 1);
        self.spoken.drain(end..).filter_map(|spoken| spoken.answer).collect()
    }

    /// Returns how many messages a model wrote in answer.
    pub fn answer_count(&self) -> u32 {
        self.spoken.iter().filter(|spoken| spoken.answer.is_some()).count() as u32
    }
}

/// An answer that was not good enough to continue with.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejected {
    /// The turn.
    pub turn: TurnIndex,
    /// The attempt at it, from 0.
    pub attempt: u32,
    /// The rule that rejected it.
    pub rule: &'static str,
    /// The answer, which was paid for.
    pub answer: Arc<Answer>,
    /// Its score, where it was ranked.
    pub score: Option<f64>,
}

impl Rejected {
    /// The rule of an answer that was good, while another to the same was better.
    pub const OUTSCORED: &'static str = "outscored";
    /// The rule of an answer whose score is below the least one.
    pub const MIN_SCORE: &'static str = "min_score";
    /// The rule of a call whose conversation ended before an answer in words followed.
    pub const UNFINISHED_CALL: &'static str = "unfinished_call";
}

/// One message of a dialogue and, where a model wrote it, the answer that it came with.
#[derive(Clone, Debug, PartialEq)]
pub struct Spoken {
    /// The message.
    pub message: Arc<Message>,
    /// The answer that it belongs to; `None` for a message of the dataset.
    pub answer: Option<Arc<Answer>>,
    /// Flags that rules set on the answer, or on the user's message that it answers.
    pub flags: Vec<&'static str>,
    /// The score of the answer, where several were ranked.
    pub score: Option<f64>,
}

impl Spoken {
    /// The flag of an answer to a user's message that was rewritten, because it referred to a replaced answer.
    pub const USER_REWRITTEN: &'static str = "user_rewritten";

    /// The flag of an answer to a result that the source has for the same tool and other arguments.
    pub const RESULT_OF_OTHER_ARGUMENTS: &'static str = "tool_result_of_other_arguments";

    /// A message of the dataset.
    pub fn of_source(message: Arc<Message>) -> Self {
        Self { message, answer: None, flags: Vec::new(), score: None }
    }
}
