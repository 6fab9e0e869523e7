use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::error::exit_code;
use super::first_pass::{Prepared, Row, prepare};
use super::limits::limits;
use super::model::{Found, find_teacher, prices};
use super::options::{
    DuplicateArgs, GateArgs, JudgeArgs, Options, QuestionArgs, ReadArgs, RuleArgs, RunArgs, SampleArgs, SamplingArgs,
    StoreArgs, SystemArgs,
};
use super::{CliError, CliResult, recipe, store};
use crate::conversation::{
    Answer, ConversationKey, Fingerprint, Finish, Lane, Message, Price, Question, Role, Seed, Usage, estimate_tokens,
};
use crate::model::scorer;
use crate::recipe::{Progress, Recipe, Replay};
use crate::report::words::{counted, money, number};
use crate::store::{MemoryStore, Reader, Status};

/// Tokens of a judgment; the MT-Bench judge's have some 800 letters.
const JUDGMENT_TOKENS: u64 = 200;
/// Tokens of an answer when neither the store nor the dataset tells.
const ANSWER_TOKENS: u64 = 300;

/// Show what would run: turns, reuse, tokens, price; no call is made
#[derive(Args)]
pub struct PlanArgs {
    /// Files of conversations, or - for standard input
    #[arg(required = true)]
    input: Vec<String>,

    /// Who would answer: NAME@URL, a profile of cohobate.toml, or simulated
    #[arg(long, value_name = "MODEL")]
    teacher: Option<String>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    store: StoreArgs,

    #[command(flatten)]
    read: ReadArgs,

    #[command(flatten)]
    rule: RuleArgs,

    #[command(flatten)]
    duplicate: DuplicateArgs,

    #[command(flatten)]
    gate: GateArgs,

    #[command(flatten)]
    sampling: SamplingArgs,

    #[command(flatten)]
    question: QuestionArgs,

    #[command(flatten)]
    system: SystemArgs,

    #[command(flatten)]
    sample: SampleArgs,

    #[command(flatten)]
    judge: JudgeArgs,

    #[command(flatten)]
    run: RunArgs,
}

/// What a run would do.
#[derive(Debug, Default)]
struct Plan {
    answered: u64,
    calls: u64,
    /// Open turns that another conversation asks as well.
    shared: u64,
    /// Turns behind a failure that is not asked again.
    failed: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    /// What they would cost, where each model's price is known.
    price: Option<f64>,
}

pub fn run(args: PlanArgs) -> CliResult {
    let options = Options::resolve(
        &args.store,
        &[
            &args.read,
            &args.rule,
            &args.duplicate,
            &args.gate,
            &args.sampling,
            &args.question,
            &args.system,
            &args.sample,
            &args.judge,
            &args.run,
        ],
    )?;
    let found = find_teacher(args.teacher.as_deref(), &options)?;
    let ranker = recipe::find_ranker(&options)?;
    let models: Vec<&Found> = [Some(&found), ranker.as_ref()].into_iter().flatten().collect();
    // A cap or a pace that the run would refuse is refused here already.
    let cap = limits(&options, &models)?.budget.cost;
    options.pace()?;
    let system = found.system_text(&options)?;
    let recipe = recipe::distill(&found, ranker.as_ref(), &options, system.as_deref())?;
    let store: Arc<dyn Reader> = if options.store_path().join("journal").is_dir() {
        store::open_reader(&options)?
    } else {
        Arc::new(MemoryStore::new())
    };
    let prepared = prepare(&args.input, &options, &recipe, system.as_deref())?;
    let expected = expected_answer_tokens(&*store, &found)?;
    let prices = prices(&models);
    let is_priced = models.iter().all(|found| found.price.is_some());
    let plan = Plan { price: is_priced.then_some(0.0), ..Plan::default() };
    let mut planner = Planner { recipe: &recipe, store: &*store, expected, seen: HashSet::new(), prices, plan };
    for row in 0..prepared.rows.len() {
        if let Row::Ready(seed) = prepared.rows.read(row)? {
            planner.add(&seed)?;
        }
    }
    let text = if args.json { as_json(&planner.plan, &prepared) } else { as_text(&planner.plan, &prepared, cap) };
    writeln!(std::io::stdout(), "{text}").map_err(|error| CliError::failure(format!("cannot write: {error}")))?;
    Ok(if prepared.invalid > 0 { exit_code::INCOMPLETE } else { exit_code::COMPLETE })
}

/// Returns the mean length of this model's stored answers, if there are any.
fn expected_answer_tokens(store: &dyn Reader, found: &Found) -> Result<Option<u64>, CliError> {
    let spending = store.spending()?;
    let spent = spending.get(found.target.model()).filter(|spent| spent.completion_tokens > 0);
    Ok(spent.map(|spent| spent.completion_tokens / spent.calls.max(1)))
}

/// An answer is imagined no longer than this.
const ANSWER_TOKENS_MAX: u64 = 1 << 20;

/// Walks through conversations with made-up answers where there are none: the same path that a run takes, so
/// that equal conversations and equal beginnings are counted once, and prompts grow as they will.
struct Planner<'a> {
    recipe: &'a dyn Recipe,
    store: &'a dyn Reader,
    expected: Option<u64>,
    /// The first eight bytes of each open question's fingerprint: 8 bytes a new call.
    seen: HashSet<u64>,
    /// By model.
    prices: BTreeMap<String, Price>,
    plan: Plan,
}

impl Planner<'_> {
    fn add(&mut self, seed: &Seed) -> Result<(), CliError> {
        let mut replay = Replay::new(self.recipe, seed);
        let mut from_store = 0;
        loop {
            let progress = replay.advance(|fingerprint, _| -> Result<_, CliError> {
                let stored = self.store.answer(fingerprint)?;
                from_store += u64::from(stored.is_some());
                Ok(stored.map(|stored| stored.answer))
            })?;
            let Progress::Open(open) = progress else { break };
            if self.failed_for_good(seed)? {
                self.plan.failed += u64::from(self.recipe.turn_count(seed)).saturating_sub(from_store);
                break;
            }
            for (fingerprint, question) in open {
                let answer = self.imagine(seed, &fingerprint, &question);
                self.count(&fingerprint, &question, &answer);
                replay.record(question.slot, Arc::new(answer));
            }
        }
        self.plan.answered += from_store;
        Ok(())
    }

    /// True where a run would not ask again.
    fn failed_for_good(&self, seed: &Seed) -> Result<bool, CliError> {
        let key = ConversationKey::new(self.recipe.settings(), &seed.digest());
        let state = self.store.state(&key)?.unwrap_or_default();
        Ok(matches!(state.status, Status::Failed { permanent: true, .. }))
    }

    fn count(&mut self, fingerprint: &Fingerprint, question: &Question, answer: &Answer) {
        if !self.seen.insert(fingerprint.prefix()) {
            self.plan.shared += 1;
            return;
        }
        // Four tokens frame each message in the chat templates of today.
        let prompt: u64 = question.messages.iter().map(|message| estimate_tokens(message.content()) + 4).sum();
        self.plan.calls += 1;
        self.plan.prompt_tokens += prompt;
        let completion = answer.usage.completion_tokens.unwrap_or(0);
        self.plan.completion_tokens += completion;
        let usage = Usage { prompt_tokens: Some(prompt), completion_tokens: Some(completion), ..Usage::default() };
        let price = self.prices.get(question.target.model()).map(|price| price.cost(&usage));
        self.plan.price = self.plan.price.zip(price).map(|(sum, price)| sum + price);
    }

    /// Makes an answer of the expected length whose words depend on the question alone.
    fn imagine(&self, seed: &Seed, fingerprint: &Fingerprint, question: &Question) -> Answer {
        let replaced = seed.turns.get(question.slot.turn as usize).and_then(|turn| turn.replaced.as_deref());
        let expected = self.expected.or_else(|| replaced.map(estimate_tokens)).unwrap_or(ANSWER_TOKENS);
        let limit = question.target.sampling().max_tokens.map_or(u64::MAX, u64::from);
        let tokens = expected.clamp(1, limit.min(ANSWER_TOKENS_MAX));
        if question.slot.lane == Lane::Judge {
            return imagined_verdict(question);
        }
        let mut text = fingerprint.to_string();
        text.truncate(64.min((tokens as f64 * 3.6) as usize).max(16));
        text.extend(std::iter::repeat_n('.', ((tokens as f64 * 3.6) as usize).saturating_sub(text.len())));
        imagined(text, tokens)
    }
}

/// Returns a judge's answer that can be read, so that nobody asks once more.
fn imagined_verdict(question: &Question) -> Answer {
    let is_number = question.target.dialect() == scorer::DIALECT;
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
    }
}

fn as_text(plan: &Plan, prepared: &Prepared, cap: Option<f64>) -> String {
    let totals = prepared.totals;
    let mut lines = vec![
        format!("conversations  {}, {}", number(totals.conversations), counted(totals.turns, "turn")),
        format!("answered       {}", counted(plan.answered, "turn")),
        format!("new            {}", counted(plan.calls, "call")),
    ];
    if plan.shared > 0 {
        lines.push(format!("shared         {} between equal conversations", counted(plan.shared, "turn")));
    }
    if plan.failed > 0 {
        lines.push(format!("failed before  {}, not asked again without --retry-failed", counted(plan.failed, "turn")));
    }
    lines.push(format!(
        "tokens         about {} in (history included), {} out",
        number(plan.prompt_tokens),
        number(plan.completion_tokens)
    ));
    lines.push(match plan.price {
        Some(price) => {
            let over = cap.filter(|cap| price > *cap).map_or("", |_| "; --max-cost would stop it before");
            format!("price          about {} without cache discounts{over}", money(price))
        }
        None => "price          unknown; give [models.NAME.price] in cohobate.toml".to_owned(),
    });
    for (reason, count) in &prepared.left_out {
        lines.push(format!("left out       {} ({reason})", counted(*count, "row")));
    }
    lines.join("\n")
}

fn as_json(plan: &Plan, prepared: &Prepared) -> String {
    let value = json!({
        "conversations": prepared.totals.conversations, "turns": prepared.totals.turns,
        "answered": plan.answered, "calls": plan.calls, "shared": plan.shared, "failed": plan.failed,
        "prompt_tokens": plan.prompt_tokens, "completion_tokens": plan.completion_tokens,
        "price": plan.price, "left_out": prepared.left_out,
    });
    format!("{value:#}")
}
