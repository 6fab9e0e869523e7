use std::sync::Arc;

use super::answer_check::AnswerCheck;
use super::{Answered, ExaminedAnswer};
use crate::conversation::{Dialogue, Message, Messages, Question, Rejected, Slot, Target, TurnIndex};

/// An answer that a turn can keep.
pub(super) struct Good {
    pub slot: Slot,
    pub flags: Vec<&'static str>,
    pub score: Option<f64>,
}

/// Why a turn has no good answer.
pub(super) enum Missing {
    /// These attempts are not answered; each asks its target.
    Answers(Vec<(Slot, Arc<Target>)>),
    /// The good answers have no scores yet.
    Scores(Vec<Question>),
    /// All attempts were bad, the last for this reason.
    GoodAnswer(&'static str),
}

/// Returns the questions of open attempts: each is another sample of the answer to the same messages, from `first` on.
pub(super) fn questions(missing: Vec<(Slot, Arc<Target>)>, first: u32, messages: &Messages) -> Vec<Question> {
    let question = |(slot, target): (Slot, Arc<Target>)| {
        let sample = slot.attempt - first;
        Question { slot, target, sample, messages: messages.clone() }
    };
    missing.into_iter().map(question).collect()
}

impl AnswerCheck {
    /// Returns the first attempt from `first` on that is good; lists the bad ones as rejected. `fault` finds further faults
    /// after the gate.
    pub fn attempt(
        &self,
        target: &Arc<Target>,
        first: Slot,
        heard: &[Arc<Message>],
        dialogue: &mut Dialogue,
        answered: &Answered,
        fault: &dyn Fn(&ExaminedAnswer) -> Option<&'static str>,
    ) -> Result<Good, Missing> {
        let mut was_cut = None;
        for attempt in 0.. {
            let slot = Slot { attempt: first.attempt + attempt, ..first };
            let Some(seen) = answered.examined(slot) else {
                return Err(Missing::Answers(vec![(slot, AnswerCheck::target(target, attempt, was_cut))]));
            };
            let verdict =
                seen.verdict.get_or_init(|| self.judge(&seen.answer, heard, dialogue, target, answered.rules));
            let Some(rule) = verdict.rejected_by.or_else(|| fault(seen)) else {
                return Ok(Good { slot, flags: verdict.flags.clone(), score: None });
            };
            let answer = Arc::clone(&seen.answer);
            was_cut = AnswerCheck::cut_at(&answer).or(was_cut);
            let may_retry = self.may_retry(&answer, attempt);
            dialogue.rejected.push(Rejected {
                turn: TurnIndex::from_index(first.turn),
                attempt: slot.attempt,
                rule,
                answer,
                score: None,
            });
            if !may_retry {
                return Err(Missing::GoodAnswer(rule));
            }
        }
        unreachable!("attempts are bounded")
    }
}
