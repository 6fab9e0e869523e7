//! A row walked through its recipe with the stored answers, as far as they go. Each recipe says what its lanes mean.

use std::sync::Arc;

use super::AnswerLookup;
use super::stored::{Standing, StoredAnswer, StoredConversation, StoredNote};
use crate::conversation::{Answer, Dialogue, Duel, Lane, Mark, Outcome, Remedy, Seed, Slot, Winner};
use crate::job::JobError;
use crate::recipe::{Answered, Begun, Compare, Distill, Evaluate, Recipe, Replay, ReplayEnd, Simulate, Tutor, begun};
use crate::store::Status;

/// One recipe over the rows of a job.
pub struct Walk {
    /// Which pass it is, where the job has several.
    pub name: Option<String>,
    pub recipe: WalkedRecipe,
}

/// The recipe of a walk.
pub enum WalkedRecipe {
    Distill(Distill),
    Evaluate(Evaluate),
    Compare {
        recipe: Compare,
        /// The systems.
        names: Vec<String>,
    },
    Simulate(Simulate),
    Tutor(Arc<Tutor>),
}

impl Walk {
    /// Returns the recipe.
    pub fn recipe(&self) -> &dyn Recipe {
        match &self.recipe {
            WalkedRecipe::Distill(recipe) => recipe,
            WalkedRecipe::Evaluate(recipe) => recipe,
            WalkedRecipe::Compare { recipe, .. } => recipe,
            WalkedRecipe::Simulate(recipe) => recipe,
            WalkedRecipe::Tutor(recipe) => &**recipe,
        }
    }

    /// Walks a row through the recipe.
    pub fn replayed<L: AnswerLookup + ?Sized>(&self, seed: Seed, reader: &L) -> Result<StoredConversation, JobError> {
        let recipe = self.recipe();
        let Begun { rules, key, state } = begun(recipe, &seed.digest(), |key| reader.state(key))?;
        let mut answers = Vec::new();
        let mut replay = Replay::under(recipe, &seed, rules);
        let end = replay.advance(|fingerprint, slot| -> Result<_, JobError> {
            let stored = reader.answer(fingerprint)?;
            Ok(stored.map(|stored| {
                let answer = Arc::clone(&stored.answer);
                answers.push(StoredAnswer {
                    slot,
                    who: self.recipe.who(slot.lane),
                    fingerprint: *fingerprint,
                    run: stored.run,
                    answer: stored.answer,
                    standing: Standing::at_first(slot),
                });
                answer
            }))
        })?;
        let (dialogue, status) = match end {
            ReplayEnd::Done(Outcome::Complete(dialogue)) => (dialogue, Status::Complete),
            ReplayEnd::Done(Outcome::Stopped { dialogue, turn, reason }) => {
                (dialogue, Status::Stopped { turn, reason })
            }
            ReplayEnd::Open(_) => {
                let failed = state.map(|state| state.status);
                let failed = failed.filter(|status| matches!(status, Status::Failed { .. }));
                (recipe.so_far(&seed, replay.answered()), failed.unwrap_or_default())
            }
        };
        let answered = replay.answered();
        let mut found =
            StoredConversation { id: seed.id.clone(), status, answers, ..StoredConversation::empty(Some(key)) };
        found.facts.extend(self.name.iter().map(|name| ("pass", name.clone())));
        take_from_dialogue(&mut found.answers, &dialogue);
        found.dialogue = dialogue;
        self.recipe.explain(&seed, answered, &mut found);
        found.seed = Some(seed);
        found.rules = rules;
        Ok(found)
    }
}

/// Takes what became of answers from the dialogue.
fn take_from_dialogue(answers: &mut [StoredAnswer], dialogue: &Dialogue) {
    for stored in answers.iter_mut().filter(|stored| stored.standing == Standing::Open) {
        let is_this = |answer: &Arc<Answer>| Arc::ptr_eq(answer, &stored.answer);
        let kept = dialogue.spoken.iter().find(|spoken| spoken.answer.as_ref().is_some_and(is_this));
        let rejected = dialogue.rejected.iter().find(|rejected| is_this(&rejected.answer));
        stored.standing = match (kept, rejected) {
            (Some(kept), _) => Standing::Kept { flags: kept.flags.clone(), score: kept.score },
            (None, Some(rejected)) => Standing::Rejected { rule: rejected.rule, score: rejected.score },
            (None, None) => Standing::Open,
        };
    }
}

impl WalkedRecipe {
    /// Returns who speaks in a lane.
    pub fn who(&self, lane: Lane) -> String {
        match (self, lane) {
            (Self::Compare { names, .. }, Lane::System(number)) => {
                names.get(usize::from(number)).cloned().unwrap_or_else(|| lane.name())
            }
            (Self::Tutor(_), Lane::Main) => "teacher".to_owned(),
            _ => lane.name(),
        }
    }

    /// Adds what the recipe knows of its answers.
    fn explain(&self, seed: &Seed, answered: &Answered, found: &mut StoredConversation) {
        match self {
            Self::Distill(_) => {}
            Self::Evaluate(recipe) => {
                let criteria = recipe.criteria(seed);
                found.notes = recipe.marks(seed, answered).iter().filter_map(|mark| note_of(mark, criteria)).collect();
            }
            Self::Compare { recipe, names } => {
                for stored in found.answers.iter_mut().filter(|stored| matches!(stored.slot.lane, Lane::System(_))) {
                    stored.standing = Standing::Kept { flags: Vec::new(), score: None };
                }
                let sides = recipe.sides(seed, answered);
                found.notes =
                    recipe.duels(seed, &sides, answered).iter().flat_map(|duel| notes_of(duel, names)).collect();
            }
            Self::Simulate(recipe) => explain_simulated(recipe, seed, answered, found),
            Self::Tutor(recipe) => explain_tutored(recipe, seed, answered, found),
        }
    }
}

fn note_of(mark: &Mark, criteria: &[String]) -> Option<StoredNote> {
    let words = mark.words.clone()?;
    let value = mark.value.map_or_else(|| "no valid verdict".to_owned(), |value| format!("score {value}"));
    let criterion = criteria.get(mark.criterion as usize).map_or(String::new(), |criterion| format!(": {criterion}"));
    Some(StoredNote { turn: mark.scope.number(), title: format!("{value}{criterion}"), score: mark.value, words })
}

fn notes_of(duel: &Duel, names: &[String]) -> Vec<StoredNote> {
    let name = |number: usize| names.get(number).map_or("?", String::as_str);
    let said = |winner: Option<Winner>| match winner {
        Some(Winner::First) => format!("{} is better", name(duel.first)),
        Some(Winner::Second) => format!("{} is better", name(duel.second)),
        Some(Winner::Tie | Winner::Inconsistent) => "a tie".to_owned(),
        None => "no valid verdict".to_owned(),
    };
    let shown_first = [duel.first, duel.second];
    let orders = duel.words.iter().zip(duel.orders).zip(shown_first);
    let note = |((words, winner), first): ((&Option<Arc<Answer>>, Option<Winner>), usize)| {
        let title = format!("{}, with {} shown first", said(winner), name(first));
        Some(StoredNote { turn: duel.scope.number(), title, score: None, words: words.clone()? })
    };
    orders.filter_map(note).collect()
}

fn explain_simulated(recipe: &Simulate, seed: &Seed, answered: &Answered, found: &mut StoredConversation) {
    let told = recipe.simulated(seed, answered);
    found.facts.extend(told.persona.map(|persona| ("persona", persona)));
    found.facts.extend(told.goal.map(|goal| ("goal", goal.intent)));
    for (turn, user) in (0u32..).zip(&told.user_turns) {
        found.moves.extend(user.simulated.map(|simulated| (turn + 1, simulated.name())));
    }
    for stored in found.answers.iter_mut().filter(|stored| stored.slot.lane == Lane::User) {
        let Slot { turn, attempt, .. } = stored.slot;
        let is_card = (turn as usize) < seed.turns.len();
        let user = told.user_turns.get(turn as usize).filter(|_| !is_card);
        let rule = user.and_then(|user| user.rejected.get(attempt as usize));
        // A good one is shown as the user's message that it became.
        stored.standing = rule.map_or(Standing::Aside, |rule| Standing::Rejected { rule, score: None });
    }
}

/// The rule of a correction that was not good.
const UNUSABLE: &str = "unusable_correction";

fn explain_tutored(recipe: &Tutor, seed: &Seed, answered: &Answered, found: &mut StoredConversation) {
    let tutored = recipe.tutored(seed, answered);
    for stored in &mut found.answers {
        let Some(lesson) = tutored.lessons.iter().find(|lesson| lesson.turn.index() == stored.slot.turn) else {
            continue;
        };
        let score = |grade: Option<f64>| Standing::Kept { flags: Vec::new(), score: grade };
        let correction = lesson.correction.as_ref().filter(|correction| correction.remedy != Remedy::Keep);
        match stored.slot.lane {
            Lane::Student => {
                let grade = lesson.grade.as_ref().map(|grade| grade.score);
                stored.standing = match lesson.fault {
                    Some(rule) => Standing::Rejected { rule, score: grade },
                    None => score(grade),
                };
            }
            Lane::Main => {
                let is_this = correction.is_some_and(|correction| {
                    Arc::ptr_eq(&correction.answer, &stored.answer) || correction.remedy == Remedy::Revise
                });
                stored.standing = match correction {
                    Some(correction) if is_this => {
                        // Edits are shown as the answer that they make.
                        stored.answer = Arc::clone(&correction.answer);
                        score(correction.grade.as_ref().map(|grade| grade.score))
                    }
                    _ => Standing::Rejected { rule: UNUSABLE, score: None },
                };
            }
            _ => {}
        }
    }
    // Only the last attempt of a party became its answer.
    let mut done = Vec::new();
    for stored in found.answers.iter_mut().rev().filter(|stored| stored.slot.lane == Lane::Main) {
        if done.contains(&stored.slot.turn) {
            stored.standing = Standing::Rejected { rule: UNUSABLE, score: None };
        }
        done.push(stored.slot.turn);
    }
    found.notes = found.answers.iter().filter_map(note_of_check).collect();
}

fn note_of_check(stored: &StoredAnswer) -> Option<StoredNote> {
    let (turn, title) = match (stored.slot.lane, stored.slot.attempt) {
        (Lane::Grader, 0..3) => (stored.slot.turn + 1, "grade of the student's answer"),
        (Lane::Grader, _) => (stored.slot.turn + 1, "grade of the correction"),
        (Lane::Judge, 0 | 1) => (stored.slot.turn + 1, "judge, with the correction shown first"),
        (Lane::Judge, _) => (stored.slot.turn + 1, "judge, with the student's answer shown first"),
        _ => return None,
    };
    Some(StoredNote { turn, title: title.to_owned(), score: None, words: Arc::clone(&stored.answer) })
}
