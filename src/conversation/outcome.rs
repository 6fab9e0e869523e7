use std::sync::Arc;

use super::answer::Answer;
use super::message::Message;

/// What a conversation came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Every turn has a whole answer.
    Complete(Dialogue),
    /// The recipe went no further; the dialogue holds the turns that are good.
    Stopped {
        /// Everything up to the last good answer.
        dialogue: Dialogue,
        /// The turn that was not good, from 0.
        turn: u32,
        /// A short code: `length`, `content_filter`, `empty`.
        reason: String,
    },
}

/// The finished words of a conversation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dialogue {
    /// The messages in order.
    pub spoken: Vec<Spoken>,
}

/// One message of a dialogue and, where a model wrote it, the answer that it came with.
#[derive(Clone, Debug, PartialEq)]
pub struct Spoken {
    /// The message.
    pub message: Arc<Message>,
    /// The answer behind it; `None` for what the dataset said.
    pub answer: Option<Arc<Answer>>,
}
