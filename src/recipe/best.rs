use std::sync::Arc;

use super::Answered;
use super::judge::{Judge, JudgeReply, Judgment, Ruling, Scene};
use crate::conversation::{Lane, Message, Question, Role, Slot, Target};

/// Several answers to each turn, of which the best is kept.
#[derive(Clone, Debug)]
pub struct BestOf {
    /// How many answers; at least 2.
    pub samples: u32,
    /// The model that ranks them.
    pub ranker: Ranker,
}

/// The model that ranks answers.
#[derive(Clone, Debug)]
pub enum Ranker {
    /// A model that is told to judge.
    Judge(Judge),
    /// A reward model: the messages in, a number out.
    Scorer(Arc<Target>),
}

/// The score of an answer, as far as it is known.
pub(super) enum Worth {
    /// This question must be asked first.
    Open(Question),
    /// The score; `None` where no verdict could be read.
    Known(Option<f64>),
}

impl Ranker {
    /// Returns the score of an answer: the last of `messages`.
    pub(super) fn worth(&self, answered: &Answered, turn: u32, sample: u32, messages: &[Arc<Message>]) -> Worth {
        match self {
            Ranker::Judge(judge) => {
                let turns = messages.iter().filter(|message| message.role() == Role::User).count() as u32;
                let prompt = || judge.prompt.about(&Scene { sides: &[messages], turns, ..Scene::default() });
                match judge.read(answered, turn, sample, 0, prompt) {
                    JudgeReply::Open(question) => Worth::Open(question),
                    JudgeReply::Done(Judgment { ruling: Some(Ruling::Value(value)), .. }) => Worth::Known(Some(value)),
                    JudgeReply::Done(_) => Worth::Known(None),
                }
            }
            Ranker::Scorer(target) => {
                let slot = Slot { lane: Lane::Judge, turn, attempt: 2 * sample };
                match answered.get(slot) {
                    Some(answer) => Worth::Known(answer.text().parse().ok().filter(|value: &f64| value.is_finite())),
                    None => {
                        let (target, messages) = (Arc::clone(target), messages.iter().cloned().collect());
                        Worth::Open(Question { slot, target, sample: 0, messages })
                    }
                }
            }
        }
    }

    /// Returns the settings that its verdicts depend on.
    pub(super) fn setting(&self) -> String {
        match self {
            Ranker::Judge(judge) => {
                let target = &judge.target;
                format!("judge {} {} {}", target.model(), target.parameters(), judge.prompt.digest())
            }
            Ranker::Scorer(target) => format!("scorer {}", target.model()),
        }
    }
}
