//! What a plan assumes of answers that nobody has given, and what that rests on.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use super::imagine::{Expected, imagine};
use super::role::PlanRole;
use crate::conversation::{Answer, Digest, Question, Seed, estimate_tokens};
use crate::job::JobError;
use crate::job::histories::Histories;
use crate::job::stored::replay_in;
use crate::recipe::{Recipe, Replay, ReplayEnd};
use crate::report::words::counted;
use crate::store::Reader;

/// Rows that are looked at to learn what answers are like: half of them at the beginning, where a trial has its rows, the others
/// everywhere.
const ROWS_LOOKED_AT: u64 = 1_024;
/// Finished conversations of which the calls are compared with what a plan expects.
const FINISHED_MIN: u64 = 5;
const FINISHED_MAX: usize = 256;

/// What is known of the answers to come, by role and model.
#[derive(Default)]
pub struct Basis {
    seen: BTreeMap<(PlanRole, String), Seen>,
    /// Means over everything that the store has from a model.
    models: BTreeMap<String, Mean>,
    replaced: Mean,
    /// How often a role was asked in finished conversations, and with how many tokens.
    finished: BTreeMap<PlanRole, Finished>,
    finished_count: u64,
}

/// The stored answers of one role to the rows at hand.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    mean: Mean,
    prompt_estimated: u64,
    prompt_counted: u64,
}

/// Answers and their tokens.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    answers: u64,
    /// Tokens as the server counted them, reasoning included.
    tokens: u64,
    /// Estimated tokens of the texts.
    text_tokens: u64,
}

/// The calls of one role in finished conversations, and those that a plan of the same conversations has.
#[derive(Clone, Copy, Debug, Default)]
struct Finished {
    calls: u64,
    planned_calls: u64,
    prompt_tokens: u64,
    planned_prompt_tokens: u64,
}

/// Reads the conversation in a row, where there is one.
pub type ReadSeed<'a> = dyn FnMut(u64) -> Result<Option<Seed>, JobError> + 'a;

impl Basis {
    /// Learns from the answers that the store has to some of `count` rows; `unmixed` are the models with one kind of answers.
    pub fn learn(
        recipes: &[&dyn Recipe],
        store: &dyn Reader,
        unmixed: &BTreeSet<String>,
        count: u64,
        read: &mut ReadSeed<'_>,
    ) -> Result<Self, JobError> {
        let mut basis = Self::default();
        for (model, spent) in store.spending()?.into_iter().filter(|(model, _)| unmixed.contains(model)) {
            let text_tokens = spent.completion_tokens.saturating_sub(spent.reasoning_tokens);
            basis.models.insert(model, Mean { answers: spent.calls, tokens: spent.completion_tokens, text_tokens });
        }
        let is_empty = store.spending()?.is_empty();
        let mut finished = Vec::new();
        for row in rows_looked_at(count) {
            let Some(seed) = read(row)? else { continue };
            basis.look_at_replaced(&seed);
            for recipe in recipes.iter().filter(|_| !is_empty) {
                let calls = basis.look_at_stored(*recipe, &seed, store)?;
                if let Some(calls) = calls.filter(|_| finished.len() < FINISHED_MAX) {
                    finished.push((*recipe, seed.clone(), calls));
                }
            }
        }
        for (recipe, seed, calls) in finished {
            basis.compare(recipe, &seed, &calls);
        }
        Ok(basis)
    }

    fn look_at_replaced(&mut self, seed: &Seed) {
        for replaced in seed.turns.iter().filter_map(|turn| turn.replaced.as_deref()) {
            let tokens = estimate_tokens(replaced);
            self.replaced.add(tokens, tokens);
        }
    }

    /// Adds the stored answers to a conversation. Returns its calls where it is finished.
    fn look_at_stored(
        &mut self,
        recipe: &dyn Recipe,
        seed: &Seed,
        store: &dyn Reader,
    ) -> Result<Option<Vec<(PlanRole, u64)>>, JobError> {
        let mut calls = Vec::new();
        let mut replay = replay_in(store, recipe, seed)?;
        loop {
            let Ok(end) = replay.advance(|_, _| Ok::<_, Infallible>(None));
            let ReplayEnd::Open(open) = end else { return Ok(Some(calls)) };
            let mut has_stored = false;
            for (fingerprint, question) in open {
                if let Some(stored) = store.answer(&fingerprint)? {
                    has_stored = true;
                    calls.push((PlanRole::of(&question), self.see(&question, &stored.answer)));
                    replay.record(question.slot, stored.answer);
                }
            }
            if !has_stored {
                return Ok(None);
            }
        }
    }

    /// Adds a stored answer, and returns the tokens of its prompt.
    fn see(&mut self, question: &Question, answer: &Answer) -> u64 {
        let role = PlanRole::of(question);
        let seen = self.seen.entry((role, question.target.model().to_owned())).or_default();
        let text_tokens = estimate_tokens(answer.text());
        seen.mean.add(answer.usage.completion_tokens.unwrap_or(text_tokens), text_tokens);
        let estimated = prompt_tokens(question);
        let prompt = answer.usage.prompt_tokens.unwrap_or(estimated);
        seen.prompt_estimated += estimated;
        seen.prompt_counted += prompt;
        prompt
    }

    /// Compares the calls of a finished conversation with those that a plan expects.
    fn compare(&mut self, recipe: &dyn Recipe, seed: &Seed, calls: &[(PlanRole, u64)]) {
        let mut found: BTreeMap<PlanRole, Finished> = BTreeMap::new();
        for (role, prompt) in calls {
            let finished = found.entry(*role).or_default();
            finished.calls += 1;
            finished.prompt_tokens += prompt;
        }
        let mut replay = Replay::new(recipe, seed);
        while let Ok(ReplayEnd::Open(open)) = replay.advance(|_, _| Ok::<_, Infallible>(None)) {
            for (fingerprint, question) in open {
                let role = PlanRole::of(&question);
                let finished = found.entry(role).or_default();
                finished.planned_calls += 1;
                finished.planned_prompt_tokens += prompt_tokens(&question);
                let answer = imagine(role, &Digest(fingerprint.0), self.expected(role, &question));
                replay.assume(question.slot, answer.into());
            }
        }
        for (role, added) in found {
            self.finished.entry(role).or_default().add(added);
        }
        self.finished_count += 1;
    }

    /// Returns what the answer to a question is expected to be like.
    pub fn expected(&self, role: PlanRole, question: &Question) -> Expected {
        let Expected { tokens, text_tokens } = self.mean_of(role, question.target.model()).0;
        let limit = question.target.sampling().max_tokens.map_or(u64::MAX, u64::from);
        let tokens = tokens.min(limit);
        Expected { tokens, text_tokens: text_tokens.min(limit) }
    }

    fn mean_of(&self, role: PlanRole, model: &str) -> (Expected, String) {
        let seen = self.seen.get(&(role, model.to_owned())).map(|seen| seen.mean);
        if let Some(mean) = seen.filter(|mean| mean.answers > 0) {
            let answers = counted(mean.answers, "stored answer");
            return (mean.expected(), format!("{answers} to these rows"));
        }
        if let Some(mean) = self.models.get(model).filter(|mean| mean.answers > 0) {
            return (mean.expected(), format!("{} of {model}", counted(mean.answers, "stored answer")));
        }
        if role.answers() && self.replaced.answers > 0 {
            return (self.replaced.expected(), "the old answers of these rows".to_owned());
        }
        let tokens = role.usual_tokens();
        (Expected { tokens, text_tokens: tokens }, "nothing that is known; a usual length".to_owned())
    }

    /// Returns how many calls one planned call of a role stands for.
    pub fn calls_per_planned(&self, role: PlanRole) -> f64 {
        let finished = self.finished.get(&role).filter(|_| self.finished_count >= FINISHED_MIN);
        finished.map_or(1.0, |finished| ratio(finished.calls, finished.planned_calls))
    }

    /// Returns how many prompt tokens one planned prompt token of a role stands for.
    pub fn prompt_per_planned(&self, role: PlanRole, model: &str) -> f64 {
        if let Some(finished) = self.finished.get(&role).filter(|_| self.finished_count >= FINISHED_MIN) {
            return ratio(finished.prompt_tokens, finished.planned_prompt_tokens);
        }
        let seen = self.seen.get(&(role, model.to_owned()));
        seen.map_or(1.0, |seen| ratio(seen.prompt_counted, seen.prompt_estimated))
    }

    /// Says what the lengths of a role's answers rest on.
    pub fn length_words(&self, role: PlanRole, model: &str) -> String {
        let (expected, from) = self.mean_of(role, model);
        format!("{role}: {} an answer, from {from}", counted(expected.tokens, "token"))
    }

    /// Says what the number of calls of these roles rests on.
    pub fn calls_words(&self, roles: &BTreeSet<PlanRole>) -> String {
        if self.finished_count >= FINISHED_MIN {
            let conversations = counted(self.finished_count, "finished conversation");
            return format!("calls: as often as in {conversations} of this store");
        }
        let assumed = [
            (PlanRole::User, "no user stops early"),
            (PlanRole::Grader, "every answer of the student is written again"),
            (PlanRole::Judge, "every verdict can be read"),
        ];
        let assumed = assumed.iter().filter(|(role, _)| roles.contains(role)).map(|(_, words)| format!(", {words}"));
        format!("calls: every answer is accepted{}", assumed.collect::<String>())
    }
}

impl Mean {
    fn add(&mut self, tokens: u64, text_tokens: u64) {
        self.answers += 1;
        self.tokens += tokens;
        self.text_tokens += text_tokens;
    }

    fn expected(&self) -> Expected {
        let mean = |sum: u64| (sum + self.answers / 2) / self.answers.max(1);
        Expected { tokens: mean(self.tokens), text_tokens: mean(self.text_tokens) }
    }
}

impl Finished {
    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.planned_calls += other.planned_calls;
        self.prompt_tokens += other.prompt_tokens;
        self.planned_prompt_tokens += other.planned_prompt_tokens;
    }
}

/// Returns the tokens of a question's messages and tools, estimated.
fn prompt_tokens(question: &Question) -> u64 {
    Histories::default().told(question).tokens + tool_tokens(question)
}

/// Returns the tokens of a question's tools, estimated.
pub fn tool_tokens(question: &Question) -> u64 {
    question.target.tools().map_or(0, |tools| estimate_tokens(tools.json()))
}

fn ratio(counted: u64, planned: u64) -> f64 {
    if planned == 0 { 1.0 } else { counted as f64 / planned as f64 }
}

fn rows_looked_at(count: u64) -> BTreeSet<u64> {
    let first = count.min(ROWS_LOOKED_AT / 2);
    let step = count.div_ceil(ROWS_LOOKED_AT / 2).max(1) as usize;
    (0..first).chain((0..count).step_by(step)).collect()
}
