use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use cohobate::job::{StatusReport, status};
use cohobate::report::words::{counted, duration, money, number};
use serde_json::json;

use super::CliResult;
use super::error::exit_code;
use super::options::StatusOptions;
use super::output::print;
use super::screen::Screen;

/// Show progress, spending, and failures by reason
#[derive(Args)]
pub struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    options: StatusOptions,
}

pub fn run(args: StatusArgs) -> CliResult {
    let options = args.options.resolve()?;
    let store = options.store_path();
    let context = Screen::new(&options).context();
    let report = status(&store, options.on_loss(), &options.models, &context)?;
    print(if args.json { as_json(&report) } else { as_text(&report, &store) })?;
    Ok(exit_code::COMPLETE)
}

fn as_text(report: &StatusReport, store: &Path) -> String {
    let failed: u64 = report.reasons.values().map(|reason| reason.conversations).sum();
    let (complete, open, turns) = (number(report.complete), number(report.open), counted(report.turns, "turn"));
    let mut lines = vec![
        format!("store          {} (equal conversations count once)", store.display()),
        format!(
            "conversations  {complete} complete, {open} open, {} stopped or failed; {turns} in their histories",
            number(failed)
        ),
    ];
    for (reason, count) in &report.reasons {
        lines.push(format!("  {} × {reason} (such as {})", number(count.conversations), &count.example[..12]));
    }
    for (model, spending) in &report.spending {
        let flex = match spending.spent.flex.calls {
            0 => String::new(),
            calls => format!(" ({} flex)", number(calls)),
        };
        let (spent, cost) = (&spending.spent, spending.cost.map_or(String::new(), |cost| format!("; {}", money(cost))));
        lines.push(format!(
            "paid           {model}: {}{flex}, {} prompt tokens, {} completion tokens{cost}",
            counted(spent.calls, "answer"),
            number(spent.prompt_tokens),
            number(spent.completion_tokens)
        ));
        if spent.unknown_calls + spent.unknown_prompt_tokens + spent.unknown_completion_tokens > 0 {
            lines.push(format!(
                "unknown        {model}: {} without a stored answer (failed, or in flight when a run died), at most {} prompt \
                 tokens, {} completion tokens",
                counted(spent.unknown_calls, "call"),
                number(spent.unknown_prompt_tokens),
                number(spent.unknown_completion_tokens)
            ));
        }
    }
    if let Some(run) = report.runs.last() {
        let begun = UNIX_EPOCH + Duration::from_millis(run.started_ms);
        let ago = duration(SystemTime::now().duration_since(begun).unwrap_or_default());
        let (count, answers) = (report.runs.len(), counted(run.answers, "answer"));
        lines.push(format!("runs           {count}, the last one started {ago} ago, {answers}, with"));
        lines.extend(run.settings.entries.iter().map(|(name, value)| format!("  {name} = {value}")));
    }
    lines.join("\n")
}

fn as_json(report: &StatusReport) -> String {
    let reasons = report
        .reasons
        .iter()
        .map(|(reason, count)| (reason, json!({"conversations": count.conversations, "example": count.example})));
    let spending = report.spending.iter().map(|(model, spending)| {
        let spent = &spending.spent;
        let row = json!({
            "answers": spent.calls, "prompt_tokens": spent.prompt_tokens, "cached_tokens": spent.cached_tokens,
            "cache_write_tokens": spent.cache_write_tokens,
            "completion_tokens": spent.completion_tokens, "reasoning_tokens": spent.reasoning_tokens,
            "flex_answers": spent.flex.calls, "cost": spending.cost,
            "unknown_calls": spent.unknown_calls, "unknown_prompt_tokens": spent.unknown_prompt_tokens,
            "unknown_completion_tokens": spent.unknown_completion_tokens,
        });
        (model, row)
    });
    let runs = report.runs.iter().map(|run| {
        let settings = run.settings.entries.iter().map(|(name, value)| (name.clone(), json!(value)));
        let settings: serde_json::Map<_, _> = settings.collect();
        json!({"number": run.number, "started_ms": run.started_ms, "settings": settings})
    });
    let value = json!({
        "conversations": {"complete": report.complete, "open": report.open}, "turns": report.turns,
        "reasons": reasons.collect::<BTreeMap<_, _>>(), "spending": spending.collect::<BTreeMap<_, _>>(),
        "runs": runs.collect::<Vec<_>>(),
    });
    format!("{value:#}")
}
