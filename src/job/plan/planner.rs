use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::PlanGround;
use super::basis::{Basis, tool_tokens};
use super::imagine::imagine;
use super::report::{PlanReport, RolePlan};
use super::role::PlanRole;
use super::speed::Speed;
use crate::conversation::{Answer, ConversationKey, Digest, Price, Question, Seed, ServiceTier, Unit, Usage};
use crate::job::JobError;
use crate::job::histories::{Histories, Told};
use crate::job::input::Prepared;
use crate::job::older::OlderConversations;
use crate::job::stored::begun_in;
use crate::model::RequestLane;
use crate::recipe::{Answered, Recipe, Step, Walked};
use crate::store::Reader;

/// Walks through conversations with imagined answers where none is stored: the same path that a run takes, so that equal
/// conversations and equal openings are counted once, and prompts grow as they will in the run. What follows an imagined answer
/// is neither hashed nor looked up: a turn costs the same however many came before it.
pub struct Planner<'a> {
    store: &'a dyn Reader,
    basis: Basis,
    /// Dollars that earlier runs have spent on the models with a price.
    spent: f64,
    max_cost: Option<f64>,
    speed: Option<Speed>,
    older: OlderConversations,
    prices: &'a BTreeMap<String, Price>,
    /// The models that are asked at their flex tier.
    flex: BTreeSet<String>,
    is_every_price_known: bool,
    has_flex_price: bool,
    /// The first eight bytes of each open question's identity: 8 bytes a new call.
    seen: HashSet<u64>,
    planned: BTreeMap<(PlanRole, String), Planned>,
    first: Option<FirstQuestion>,
    answered: u64,
    shared: u64,
    failed: u64,
    notes: Vec<String>,
    unit: Unit,
    is_in_controls: bool,
}

/// The calls of one role to one model.
#[derive(Clone, Copy, Debug, Default)]
struct Planned {
    calls: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
}

/// The first question to be asked; the first of all until an open one is found.
struct FirstQuestion {
    question: Question,
    conversation: ConversationKey,
    is_open: bool,
}

impl<'a> Planner<'a> {
    /// Nothing is planned yet.
    pub(super) fn new(ground: &'a PlanGround<'_>, basis: Basis) -> Result<Self, JobError> {
        let PlanGround { store, models, prices, max_cost, speed, .. } = ground;
        let flex = models.iter().filter(|(_, model)| model.lane == RequestLane::Flex);
        let spent = store
            .spending()?
            .into_iter()
            .filter_map(|(model, spent)| prices.get(&model).map(|price| spent.cost(price)));
        Ok(Self {
            store: &**store,
            basis,
            spent: spent.fold(0.0, |sum, cost| sum + cost),
            max_cost: *max_cost,
            speed: *speed,
            older: OlderConversations::default(),
            prices,
            flex: flex.map(|(_, model)| model.target.model().to_owned()).collect(),
            is_every_price_known: models.iter().all(|(_, model)| model.price.is_some()),
            has_flex_price: models.iter().any(|(_, model)| model.price.is_some_and(|price| price.flex.is_some())),
            seen: HashSet::new(),
            planned: BTreeMap::new(),
            first: None,
            answered: 0,
            shared: 0,
            failed: 0,
            notes: Vec::new(),
            unit: Unit::default(),
            is_in_controls: false,
        })
    }

    /// Returns the first question that would be sent, or the first of all, with its conversation.
    pub fn first_question(&self) -> Option<(&Question, ConversationKey)> {
        self.first.as_ref().map(|first| (&first.question, first.conversation))
    }

    /// Plans a conversation.
    pub fn add(&mut self, recipe: &dyn Recipe, seed: &Seed) -> Result<(), JobError> {
        if self.first.is_none()
            && let Step::Ask(questions) = recipe.next(seed, &Answered::default())
            && let Some(mut question) = questions.into_iter().next()
        {
            question.target = question.target.drawn_for(&question.messages);
            self.see(recipe, seed, &question, false);
        }
        self.unit = recipe.unit();
        let begun = begun_in(self.store, recipe, &seed.digest())?;
        if let Some(rules) = begun.rules {
            self.older.add(self.store, recipe, seed, rules)?;
        }
        let (mut answered, mut walked) = (Answered::under(begun.rules), Walked::default());
        let mut histories = Histories::default();
        let mut from_store = 0;
        let is_failed = begun.state.as_ref().is_some_and(|state| state.status.is_failed_for_good());
        while let Step::Ask(questions) = recipe.advance(seed, &answered, &mut walked) {
            let (count, mut open) = (questions.len(), Vec::new());
            for mut question in questions {
                question.target = question.target.drawn_for(&question.messages);
                let told = histories.told(&question);
                match self.look_up(&question, told)? {
                    (_, Some(answer)) => answered.insert(question.slot, answer),
                    (identity, None) => open.push((identity, told, question)),
                }
            }
            if open.len() < count {
                from_store += (count - open.len()) as u64;
                continue;
            }
            if is_failed {
                self.failed += u64::from(recipe.turn_count(seed)).saturating_sub(from_store);
                break;
            }
            for (identity, told, question) in open {
                self.see(recipe, seed, &question, true);
                let role = if self.is_in_controls { PlanRole::Controls } else { PlanRole::of(&question) };
                let expected = self.basis.expected(role, &question);
                self.count(role, &identity, &question, told.tokens, expected.tokens);
                let answer = imagine(role, &identity, expected);
                histories.imagine(&answer);
                answered.assume(question.slot, Arc::new(answer));
            }
        }
        self.answered += if self.is_in_controls { 0 } else { from_store };
        Ok(())
    }

    /// Returns the identity of a question within this plan, and its stored answer.
    fn look_up(&self, question: &Question, told: Told) -> Result<(Digest, Option<Arc<Answer>>), JobError> {
        if told.is_imagined {
            return Ok((question.passing_identity(), None));
        }
        let fingerprint = question.fingerprint();
        let mut found = self.store.answer(&fingerprint)?;
        let mut richer = question.served_by();
        while found.is_none()
            && let Some(richer) = richer.next()
        {
            found = self.store.answer(&richer)?;
        }
        Ok((Digest(fingerprint.0), found.map(|stored| stored.answer)))
    }

    fn see(&mut self, recipe: &dyn Recipe, seed: &Seed, question: &Question, is_open: bool) {
        if self.first.as_ref().is_none_or(|first| is_open && !first.is_open) {
            let conversation = ConversationKey::new(recipe.settings(), &seed.digest());
            self.first = Some(FirstQuestion { question: question.clone(), conversation, is_open });
        }
    }

    fn count(&mut self, role: PlanRole, identity: &Digest, question: &Question, prompt: u64, completion: u64) {
        if !self.seen.insert(identity.prefix()) {
            self.shared += 1;
            return;
        }
        let planned = self.planned.entry((role, question.target.model().to_owned())).or_default();
        planned.calls += 1;
        planned.prompt_tokens += prompt + tool_tokens(question);
        planned.completion_tokens += completion;
    }

    /// Plans controls of the judge from now on: they are no part of the conversations that are counted.
    pub fn in_controls(&mut self) {
        self.is_in_controls = true;
    }

    /// Adds a line about what the numbers rest on.
    pub fn note(&mut self, text: &str) {
        self.notes.push(text.to_owned());
    }

    /// Returns the plan.
    pub fn finish(self, prepared: &Prepared) -> PlanReport {
        let zero = self.is_every_price_known.then_some(0.0);
        let mut report = PlanReport {
            totals: prepared.totals,
            input: prepared.rows_read(),
            unit: self.unit,
            left_out: prepared.left_out(),
            invalid: prepared.invalid(),
            answered: self.answered,
            shared: self.shared,
            failed: self.failed,
            price: zero,
            standard_price: zero,
            flex_price: zero.filter(|_| self.has_flex_price),
            spent: zero.map(|_| self.spent),
            max_cost: self.max_cost,
            rules: self.older.words(),
            ..PlanReport::default()
        };
        for ((role, model), planned) in &self.planned {
            let plan = self.role(*role, model, *planned);
            let usage = |tier| Usage {
                prompt_tokens: Some(plan.prompt_tokens),
                completion_tokens: Some(plan.completion_tokens),
                tier,
                ..Usage::default()
            };
            let price = |tier| self.prices.get(model).map(|price| price.cost(&usage(tier)));
            let own = if self.flex.contains(model) { ServiceTier::Flex } else { ServiceTier::Standard };
            let own_price = price(own);
            let add = |sum: &mut Option<f64>, price: Option<f64>| *sum = sum.zip(price).map(|(sum, more)| sum + more);
            add(&mut report.price, own_price);
            add(&mut report.standard_price, price(ServiceTier::Standard));
            add(&mut report.flex_price, price(ServiceTier::Flex));
            report.calls += plan.calls;
            report.prompt_tokens += plan.prompt_tokens;
            report.completion_tokens += plan.completion_tokens;
            report.basis.push(self.basis.length_words(*role, model));
            report.roles.push(RolePlan { price: own_price, ..plan });
        }
        if !report.roles.is_empty() {
            let roles = self.planned.keys().map(|(role, _)| *role).collect();
            report.basis.push(self.basis.calls_words(&roles));
        }
        if report.calls > 0 {
            report.seconds = self.speed.map(|speed| speed.seconds(report.calls));
            report.basis.extend(self.speed.map(Speed::words));
        }
        report.basis.extend(self.notes.iter().cloned());
        report
    }

    /// Returns what is expected of one role, after what finished conversations have shown.
    fn role(&self, role: PlanRole, model: &str, planned: Planned) -> RolePlan {
        let scaled = |count: u64, factor: f64| (count as f64 * factor).round() as u64;
        let calls = self.basis.calls_per_planned(role);
        RolePlan {
            role: role.to_string(),
            model: model.to_owned(),
            calls: scaled(planned.calls, calls),
            prompt_tokens: scaled(planned.prompt_tokens, self.basis.prompt_per_planned(role, model)),
            completion_tokens: scaled(planned.completion_tokens, calls),
            price: None,
        }
    }
}
