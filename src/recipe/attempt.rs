use std::sync::Arc;

use super::screen::Screen;
use super::{Answered, Seen};
use crate::conversation::{Dialogue, Message, Question, Rejected, Slot, Target, TurnIndex};

/// An answer that a turn can go on with.
pub(super) struct Good {
    pub slot: Slot,
    pub flags: Vec<&'static str>,
    pub score: Option<f64>,
}

/// Why a turn has no answer to go on with.
pub(super) enum Missing {
    /// These attempts are not answered; each asks its target.
    Answers(Vec<(Slot, Arc<Target>)>),
    /// It is not known what good answers are worth.
    Scores(Vec<Question>),
    /// All attempts were bad, the last for this reason.
    GoodAnswer(&'static str),
}

/// Returns the questions of attempts that are not answered: each is another sample of the answer to the same messages, from `first` on.
pub(super) fn questions(missing: Vec<(Slot, Arc<Target>)>, first: u32, messages: &[Arc<Message>]) -> Vec<Question> {
    let question = |(slot, target): (Slot, Arc<Target>)| {
        let sample = slot.attempt - first;
        Question { slot, target, sample, messages: messages.to_vec() }
    };
    missing.into_iter().map(question).collect()
}

impl Screen {
    /// Returns the first attempt from `first` on that is good; puts the bad ones aside. `fault` says what else may be wrong with
    /// one beside what the gate finds.
    pub fn attempt(
        &self,
        target: &Arc<Target>,
        first: Slot,
        heard: &[Arc<Message>],
        dialogue: &mut Dialogue,
        answered: &Answered,
        fault: &dyn Fn(&Seen) -> Option<&'static str>,
    ) -> Result<Good, Missing> {
        let mut was_cut = None;
        for attempt in 0.. {
            let slot = Slot { attempt: first.attempt + attempt, ..first };
            let Some(seen) = answered.seen(slot) else {
                return Err(Missing::Answers(vec![(slot, Screen::target(target, attempt, was_cut))]));
            };
            let verdict = seen.verdict.get_or_init(|| self.judge(&seen.answer, heard, dialogue, target));
            let Some(rule) = verdict.rejected_by.or_else(|| fault(seen)) else {
                return Ok(Good { slot, flags: verdict.flags.clone(), score: None });
            };
            let answer = Arc::clone(&seen.answer);
            was_cut = Screen::cut_at(&answer).or(was_cut);
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
