//! What every judging recipe shares: prompts, verdicts, and the one call that mends a verdict which cannot be read.

mod prompt;
mod ruling;

pub use prompt::{Prompt, PromptError};
pub use ruling::{Ruling, Scale};

pub(super) use prompt::Scene;

use std::sync::Arc;

use super::Answered;
use crate::conversation::{Answer, Finish, Lane, Message, Question, Role, Slot, Target};

/// Who judges, and how it is asked.
#[derive(Clone, Debug)]
pub struct Judge {
    /// The model.
    pub target: Arc<Target>,
    /// What it is told.
    pub prompt: Prompt,
    /// Verdicts on the same, by sample index; at least 1.
    pub repeats: u32,
}

/// What a judge has said of one matter.
pub(super) enum Said {
    /// It has not been asked, or must be asked once more.
    Open(Question),
    /// It has said this; `None` is no verdict.
    Done(Option<Ruling>, Arc<Answer>),
}

impl Judge {
    /// Reads what the judge has said in the call with this number, or returns what to ask. Where the words have no clear
    /// verdict, one more call asks for it alone.
    pub(super) fn read(
        &self,
        answered: &Answered,
        turn: u32,
        call: u32,
        sample: u32,
        prompt: impl Fn() -> Arc<Message>,
    ) -> Said {
        let slot = |attempt| Slot { lane: Lane::Judge, turn, attempt };
        let ask = |attempt, messages| {
            Said::Open(Question { slot: slot(attempt), target: Arc::clone(&self.target), sample, messages })
        };
        let (first, repair) = (2 * call, 2 * call + 1);
        let Some(answer) = answered.get(slot(first)) else { return ask(first, vec![prompt()]) };
        let scale = self.prompt.scale();
        if let Some(verdict) = verdict_of(answer, scale) {
            return Said::Done(Some(verdict), Arc::clone(answer));
        }
        // A server that withholds its judgment does so again.
        if !matches!(answer.finish, Finish::Complete | Finish::Length) {
            return Said::Done(None, Arc::clone(answer));
        }
        match answered.get(slot(repair)) {
            Some(mended) => Said::Done(verdict_of(mended, scale), Arc::clone(answer)),
            None => {
                let again = Message::new(Role::User, format!("Output only the verdict: {}.", scale.form()));
                ask(repair, vec![prompt(), Arc::clone(&answer.message), again])
            }
        }
    }
}

fn verdict_of(answer: &Answer, scale: Scale) -> Option<Ruling> {
    // Words that were cut may have been about to say otherwise.
    (answer.finish == Finish::Complete).then(|| scale.read(answer.text())).flatten()
}
