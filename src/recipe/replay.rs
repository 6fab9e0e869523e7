use std::collections::HashMap;
use std::sync::Arc;

use super::{Answered, Recipe, Step, Walked};
use crate::conversation::{Answer, Fingerprint, Outcome, Question, Seed, Slot};
use crate::quality::RulesVersion;

/// Replays one conversation through its recipe with stored answers.
///
/// The run, the plan and the export all walk this same path, so they cannot disagree about what is done.
pub struct Replay<'a> {
    recipe: &'a dyn Recipe,
    seed: &'a Seed,
    answered: Answered,
    walked: Walked,
    /// Of the questions that an earlier step has left open: an open question stays what it is.
    open: HashMap<Slot, Fingerprint>,
}

/// Where a replay ends: no further question of the recipe has a stored answer.
#[derive(Debug)]
pub enum ReplayEnd {
    /// These questions have no stored answer.
    Open(Vec<(Fingerprint, Question)>),
    /// The conversation is done.
    Done(Outcome),
}

impl<'a> Replay<'a> {
    /// Starts a replay without answers, under the recipe's own rules.
    pub fn new(recipe: &'a dyn Recipe, seed: &'a Seed) -> Self {
        Self::under(recipe, seed, None)
    }

    /// Starts a replay of a conversation that was begun under older rules.
    pub fn under(recipe: &'a dyn Recipe, seed: &'a Seed, rules: Option<RulesVersion>) -> Self {
        Self { recipe, seed, answered: Answered::under(rules), walked: Walked::default(), open: HashMap::new() }
    }

    /// Advances as far as `look_up` has the answers.
    pub fn advance<E>(
        &mut self,
        mut look_up: impl FnMut(&Fingerprint, Slot) -> Result<Option<Arc<Answer>>, E>,
    ) -> Result<ReplayEnd, E> {
        loop {
            let questions = match self.recipe.advance(self.seed, &self.answered, &mut self.walked) {
                Step::Finish(outcome) => return Ok(ReplayEnd::Done(outcome)),
                Step::Ask(questions) => questions,
            };
            let question_count = questions.len();
            let mut open = Vec::new();
            for mut question in questions {
                question.target = question.target.drawn_for(&question.messages);
                let known = self.open.remove(&question.slot);
                let fingerprint = known.unwrap_or_else(|| question.fingerprint());
                let mut found = look_up(&fingerprint, question.slot)?;
                let mut richer = question.served_by();
                while found.is_none()
                    && let Some(fingerprint) = richer.next()
                {
                    found = look_up(&fingerprint, question.slot)?;
                }
                drop(richer);
                match found {
                    Some(answer) => self.answered.insert(question.slot, answer),
                    None => open.push((fingerprint, question)),
                }
            }
            self.open.extend(open.iter().map(|(fingerprint, question)| (question.slot, *fingerprint)));
            if open.len() == question_count {
                return Ok(ReplayEnd::Open(open));
            }
        }
    }

    /// Adds an answer that has just been committed.
    pub fn record(&mut self, slot: Slot, answer: Arc<Answer>) {
        if self.answered.get(slot).is_some() {
            self.walked.forget();
            self.open.clear();
        }
        self.open.remove(&slot);
        self.answered.insert(slot, answer);
    }

    /// Adds an answer that nobody has given, and that passes every check.
    pub fn assume(&mut self, slot: Slot, answer: Arc<Answer>) {
        self.open.remove(&slot);
        self.answered.assume(slot, answer);
    }

    /// Returns the answers so far.
    pub fn answered(&self) -> &Answered {
        &self.answered
    }
}
