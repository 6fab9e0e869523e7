use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use super::caps::caps;
use super::histories::{Histories, Told};
use super::input::{Lookout, prepare};
use super::models::ModelChoice;
use super::questions::DistillQuestions;
use super::rows::{RowResult, each};
use super::settings::{InputSettings, RunSettings};
use super::{Context, JobError, JobEvent, open_store};
use crate::conversation::{
    Answer, ConversationKey, Digest, Finish, Lane, Message, Price, Question, Role, Seed, ServiceTier, Usage,
    estimate_tokens,
};
use crate::export::OutputFormat;
use crate::model::{Output, RequestLane, RequestPreview, capabilities_of};
use crate::recipe::{Answered, Recipe, Step, Walked};
use crate::report::Totals;
use crate::store::{MemoryStore, OnLoss, Reader, Status};

/// Tokens of a judgment; those of the MT-Bench judge have some 800 characters.
const JUDGMENT_TOKENS: u64 = 200;
/// Tokens of an answer where neither the store nor the dataset gives a length.
const ANSWER_TOKENS: u64 = 300;
/// Most tokens of an imagined answer.
const ANSWER_TOKENS_MAX: u64 = 1 << 20;

/// The settings of `plan`: those of a distillation.
pub struct PlanSettings {
    /// The rows.
    pub input: InputSettings,
    /// The directory of the store. It need not exist.
    pub store: PathBuf,
    /// What would be asked.
    pub questions: DistillQuestions,
    /// A cap that the run would refuse is refused here too.
    pub run: RunSettings,
    /// Whether the first request is part of the report.
    pub shows_request: bool,
    /// The format of the output that the run would write, and whether it is a table. `None` foresees nothing about it.
    pub output: Option<(&'static dyn OutputFormat, bool)>,
    /// What happens where the store has lost answers.
    pub on_loss: OnLoss,
}

/// What a run would do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlanReport {
    /// Conversations and turns of the input.
    pub totals: Totals,
    /// Turns that have a stored answer.
    pub answered: u64,
    /// Calls that would be sent.
    pub calls: u64,
    /// Open turns that another conversation asks too.
    pub shared: u64,
    /// Turns after a failure that is not retried.
    pub failed: u64,
    /// Tokens of the prompts of these calls, estimated.
    pub prompt_tokens: u64,
    /// Tokens of their answers, estimated.
    pub completion_tokens: u64,
    /// Their cost in dollars, where each model's price is known.
    pub price: Option<f64>,
    /// The same at the standard tier.
    pub standard_price: Option<f64>,
    /// The same where each model with a price for its flex tier is asked there; `None` if no model has one.
    pub flex_price: Option<f64>,
    /// Rows that reading rules leave out, and invalid rows, by reason.
    pub left_out: BTreeMap<String, u64>,
    /// Invalid rows.
    pub invalid: u64,
    /// The first request, where it was asked for and there is one: the first open question, or the first of all.
    pub request: Option<RequestPreview>,
}

impl PlanReport {
    /// Returns the plan as JSON.
    pub fn to_json(&self) -> Value {
        let mut plan = json!({
            "conversations": self.totals.conversations, "turns": self.totals.turns, "answered": self.answered,
            "calls": self.calls, "shared": self.shared, "failed": self.failed, "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens, "price": self.price, "standard_price": self.standard_price,
            "flex_price": self.flex_price, "left_out": self.left_out,
        });
        if let Some(RequestPreview { url, headers, body }) = &self.request {
            let headers: serde_json::Map<String, Value> =
                headers.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
            plan["request"] = json!({"method": "POST", "url": url, "headers": headers, "body": body});
        }
        plan
    }
}

/// Works out what a distillation would send and cost. Sends no call.
pub fn plan(settings: &PlanSettings, context: &Context) -> Result<PlanReport, JobError> {
    let questions = &settings.questions;
    let models = questions.models();
    let prices = caps(&settings.run, &models)?.prices;
    for caution in models.iter().filter_map(|model| model.list_price_caution()).collect::<BTreeSet<_>>() {
        context.report(JobEvent::Caution(caution));
    }
    let system = questions.system_text()?;
    let recipe = questions.recipe(system.as_deref())?;
    let store: Arc<dyn Reader> = if open_store::exists(&settings.store) {
        open_store::open_reader(&settings.store, settings.on_loss, context)?
    } else {
        Arc::new(MemoryStore::new())
    };
    let lookout = Lookout { output: settings.output, ..Lookout::back(&settings.store, &*store) };
    let prepared = prepare(&settings.input, &settings.store, &recipe, system.as_deref(), lookout, context)?;
    let zero = models.iter().all(|model| model.price.is_some()).then_some(0.0);
    let flex = models.iter().filter(|model| model.lane == RequestLane::Flex);
    let flex = flex.map(|model| model.target.model().to_owned());
    let has_flex_price = models.iter().any(|model| model.price.is_some_and(|price| price.flex.is_some()));
    let mut planner = Planner {
        recipe: &recipe,
        store: &*store,
        expected: expected_answer_tokens(&*store, &questions.teacher)?,
        seen: HashSet::new(),
        prices,
        flex: flex.collect(),
        first: None,
        plan: PlanReport { price: zero, standard_price: zero, flex_price: zero, ..PlanReport::default() },
    };
    each(&*prepared.rows, &mut [], |_, seed| planner.add(seed).map(|()| RowResult::Kept(0)))?;
    let first = planner.first.filter(|_| settings.shows_request);
    let request =
        first.and_then(|first| questions.preview(&first.question, first.conversation).transpose()).transpose()?;
    let flex_price = planner.plan.flex_price.filter(|_| has_flex_price);
    let plan = PlanReport { flex_price, request, ..planner.plan };
    Ok(PlanReport { totals: prepared.totals, left_out: prepared.left_out(), invalid: prepared.invalid(), ..plan })
}

/// Returns the mean length of this model's stored answers, where there are any.
fn expected_answer_tokens(store: &dyn Reader, model: &ModelChoice) -> Result<Option<u64>, JobError> {
    let spending = store.spending()?;
    let spent = spending.get(model.target.model()).filter(|spent| spent.completion_tokens > 0);
    Ok(spent.map(|spent| spent.completion_tokens / spent.calls.max(1)))
}

/// Walks through conversations with imagined answers where none is stored: the same path that a run takes, so that equal
/// conversations and equal openings are counted once, and prompts grow as they will in the run. What follows an imagined answer
/// is neither hashed nor looked up: a turn costs the same however many came before it.
struct Planner<'a> {
    recipe: &'a dyn Recipe,
    store: &'a dyn Reader,
    expected: Option<u64>,
    /// The first eight bytes of each open question's identity: 8 bytes a new call.
    seen: HashSet<u64>,
    /// By model.
    prices: BTreeMap<String, Price>,
    /// The models that are asked at their flex tier.
    flex: BTreeSet<String>,
    first: Option<FirstQuestion>,
    plan: PlanReport,
}

/// The first question to be asked; the first of all until an open one is found.
struct FirstQuestion {
    question: Question,
    conversation: ConversationKey,
    is_open: bool,
}

impl Planner<'_> {
    fn see(&mut self, seed: &Seed, question: &Question, is_open: bool) {
        if self.first.as_ref().is_none_or(|first| is_open && !first.is_open) {
            let conversation = ConversationKey::new(self.recipe.settings(), &seed.digest());
            self.first = Some(FirstQuestion { question: question.clone(), conversation, is_open });
        }
    }

    fn add(&mut self, seed: &Seed) -> Result<(), JobError> {
        if self.first.is_none()
            && let Step::Ask(questions) = self.recipe.next(seed, &Answered::default())
            && let Some(mut question) = questions.into_iter().next()
        {
            question.target = question.target.drawn_for(&question.messages);
            self.see(seed, &question, false);
        }
        let (mut answered, mut walked) = (Answered::default(), Walked::default());
        let mut histories = Histories::default();
        let mut from_store = 0;
        let mut failed_for_good = None;
        while let Step::Ask(questions) = self.recipe.advance(seed, &answered, &mut walked) {
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
            let failed = match failed_for_good {
                Some(failed) => failed,
                None => *failed_for_good.insert(self.failed_for_good(seed)?),
            };
            if failed {
                self.plan.failed += u64::from(self.recipe.turn_count(seed)).saturating_sub(from_store);
                break;
            }
            for (identity, told, question) in open {
                self.see(seed, &question, true);
                let answer = self.imagine(seed, &identity, &question);
                self.count(&identity, &question, told.tokens, &answer);
                histories.imagine(&answer);
                answered.insert(question.slot, Arc::new(answer));
            }
        }
        self.plan.answered += from_store;
        Ok(())
    }

    /// Returns the identity of a question within this plan, and its stored answer.
    fn look_up(&self, question: &Question, told: Told) -> Result<(Digest, Option<Arc<Answer>>), JobError> {
        if told.is_imagined {
            return Ok((question.passing_identity(), None));
        }
        let fingerprint = question.fingerprint();
        Ok((Digest(fingerprint.0), self.store.answer(&fingerprint)?.map(|stored| stored.answer)))
    }

    /// True where a run would not send the question again.
    fn failed_for_good(&self, seed: &Seed) -> Result<bool, JobError> {
        let key = ConversationKey::new(self.recipe.settings(), &seed.digest());
        let state = self.store.state(&key)?.unwrap_or_default();
        Ok(matches!(state.status, Status::Failed { permanent: true, .. }))
    }

    fn count(&mut self, identity: &Digest, question: &Question, prompt: u64, answer: &Answer) {
        if !self.seen.insert(identity.prefix()) {
            self.plan.shared += 1;
            return;
        }
        let tools = question.target.tools().map_or(0, |tools| estimate_tokens(tools.json()));
        let prompt = prompt + tools;
        self.plan.calls += 1;
        self.plan.prompt_tokens += prompt;
        let completion = answer.usage.completion_tokens.unwrap_or(0);
        self.plan.completion_tokens += completion;
        let model = question.target.model();
        let price = self.prices.get(model);
        let add = |sum: &mut Option<f64>, tier| {
            let usage =
                Usage { prompt_tokens: Some(prompt), completion_tokens: Some(completion), tier, ..Usage::default() };
            *sum = sum.zip(price).map(|(sum, price)| sum + price.cost(&usage));
        };
        let own = if self.flex.contains(model) { ServiceTier::Flex } else { ServiceTier::Standard };
        add(&mut self.plan.price, own);
        add(&mut self.plan.standard_price, ServiceTier::Standard);
        add(&mut self.plan.flex_price, ServiceTier::Flex);
    }

    /// Makes an answer of the expected length whose words depend on the question alone.
    fn imagine(&self, seed: &Seed, identity: &Digest, question: &Question) -> Answer {
        let replaced = seed.turns.get(question.slot.turn as usize).and_then(|turn| turn.replaced.as_deref());
        let expected = self.expected.or_else(|| replaced.map(estimate_tokens)).unwrap_or(ANSWER_TOKENS);
        let limit = question.target.sampling().max_tokens.map_or(u64::MAX, u64::from);
        let tokens = expected.clamp(1, limit.min(ANSWER_TOKENS_MAX));
        if question.slot.lane == Lane::Judge {
            return imagined_verdict(question);
        }
        let mut text = identity.to_string();
        text.truncate(64.min((tokens as f64 * 3.6) as usize).max(16));
        text.extend(std::iter::repeat_n('.', ((tokens as f64 * 3.6) as usize).saturating_sub(text.len())));
        imagined(text, tokens)
    }
}

/// Returns a judge's answer that is valid, so that no repair is counted.
fn imagined_verdict(question: &Question) -> Answer {
    let is_number = capabilities_of(&question.target).output == Output::Number;
    let (text, tokens) = if is_number { ("5", 0) } else { ("[[5]]", JUDGMENT_TOKENS) };
    imagined(text.to_owned(), tokens)
}

fn imagined(text: String, tokens: u64) -> Answer {
    Answer {
        message: Message::new(Role::Assistant, text),
        reasoning: None,
        finish: Finish::Complete,
        finish_reason: String::new(),
        model: String::new(),
        system_fingerprint: None,
        usage: Usage { completion_tokens: Some(tokens), ..Usage::default() },
        attempts: 0,
        dropped: Vec::new(),
    }
}
