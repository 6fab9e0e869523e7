use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use cohobate::conversation::Price;
use cohobate::job::open_reader;
use cohobate::report::words::{counted, duration, money, number};
use cohobate::store::{Run, Spending, Spent, State, Status};
use serde_json::json;

use super::CliResult;
use super::error::exit_code;
use super::options::{Options, StatusOptions};
use super::screen::{Screen, print};

/// Show progress, spending, and failures by reason
#[derive(Args)]
pub struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    options: StatusOptions,
}

/// Conversations of a store, counted.
#[derive(Default)]
struct StateCounts {
    turns: u64,
    open: u64,
    complete: u64,
    /// Stopped and failed conversations by reason, each with one of their keys.
    reasons: BTreeMap<String, (u64, String)>,
}

pub fn run(args: StatusArgs) -> CliResult {
    let options = args.options.resolve()?;
    let store = open_reader(&options.store_path(), &Screen::new(&options).context())?;
    let mut counts = StateCounts::default();
    store.for_each_state(&mut |key, state| counts.add(&key.to_string(), &state))?;
    let (runs, spending) = (store.runs()?, store.spending()?);
    let word = if args.json { as_json } else { as_text };
    print(word(&counts, &runs, &spending, &options))?;
    Ok(exit_code::COMPLETE)
}

impl StateCounts {
    fn add(&mut self, key: &str, state: &State) {
        self.turns += state.history.len() as u64;
        let reason = match &state.status {
            Status::Open => return self.open += 1,
            Status::Complete => return self.complete += 1,
            Status::Stopped { reason, .. } => format!("stopped: {reason}"),
            Status::Failed { reason, .. } => format!("failed: {reason}"),
        };
        self.reasons.entry(reason).or_insert_with(|| (0, key.to_owned())).0 += 1;
    }
}

/// Returns what the tokens of `model` cost, where a profile has its price.
fn cost(options: &Options, model: &str, spent: &Spent) -> Option<f64> {
    let profiles = options.models.iter();
    let mut named = profiles.filter(|(name, profile)| profile.name.as_ref().unwrap_or(name) == model);
    let price = Price::from(named.find_map(|(_, profile)| profile.price)?);
    Some(price.cost(&spent.usage()))
}

fn as_text(counts: &StateCounts, runs: &[Run], spending: &Spending, options: &Options) -> String {
    let failed: u64 = counts.reasons.values().map(|(count, _)| count).sum();
    let mut lines = vec![
        format!("store          {} (equal conversations count once)", options.store_path().display()),
        format!(
            "conversations  {} complete, {} open, {} stopped or failed; {} in their histories",
            number(counts.complete),
            number(counts.open),
            number(failed),
            counted(counts.turns, "turn")
        ),
    ];
    for (reason, (count, example)) in &counts.reasons {
        lines.push(format!("  {} × {reason} (such as {})", number(*count), &example[..12]));
    }
    for (model, spent) in spending {
        let cost = cost(options, model, spent).map_or(String::new(), |cost| format!("; {}", money(cost)));
        lines.push(format!(
            "paid           {model}: {}, {} prompt tokens, {} completion tokens{cost}",
            counted(spent.calls, "answer"),
            number(spent.prompt_tokens),
            number(spent.completion_tokens)
        ));
    }
    if let Some(run) = runs.last() {
        let begun = UNIX_EPOCH + Duration::from_millis(run.started_ms);
        let ago = SystemTime::now().duration_since(begun).unwrap_or_default();
        let answers = counted(run.answers, "answer");
        lines.push(format!(
            "runs           {}, the last one started {} ago, {answers}, with",
            runs.len(),
            duration(ago)
        ));
        lines.extend(run.settings.entries.iter().map(|(name, value)| format!("  {name} = {value}")));
    }
    lines.join("\n")
}

fn as_json(counts: &StateCounts, runs: &[Run], spending: &Spending, options: &Options) -> String {
    let reasons: BTreeMap<_, _> = counts
        .reasons
        .iter()
        .map(|(reason, (count, example))| (reason, json!({"conversations": count, "example": example})))
        .collect();
    let spending: BTreeMap<_, _> = spending
        .iter()
        .map(|(model, spent)| {
            let row = json!({
                "answers": spent.calls, "prompt_tokens": spent.prompt_tokens, "cached_tokens": spent.cached_tokens,
                "completion_tokens": spent.completion_tokens, "reasoning_tokens": spent.reasoning_tokens,
                "cost": cost(options, model, spent),
            });
            (model, row)
        })
        .collect();
    let runs: Vec<_> = runs
        .iter()
        .map(|run| {
            let settings: serde_json::Map<_, _> =
                run.settings.entries.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            json!({"number": run.number, "started_ms": run.started_ms, "settings": settings})
        })
        .collect();
    let value = json!({
        "conversations": {"complete": counts.complete, "open": counts.open},
        "turns": counts.turns, "reasons": reasons, "spending": spending, "runs": runs,
    });
    format!("{value:#}")
}
