use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use cohobate::job::{FAILED_CALLS_MAX, JobError, RunHistory, RunState, SharedAccess, StatusReport, status};
use cohobate::report::words::{counted, duration, money, number};
use serde_json::{Value, json};

use super::CliResult;
use super::error::exit_code;
use super::options::StatusOptions;
use super::output::{Redrawn, print};
use super::runs;
use super::screen::Screen;
use super::shared;

/// How often a run that is watched is shown.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// Events of a run that is watched.
const EVENTS_WATCHED: usize = 5;

/// Show progress, spending, and failures by reason
#[derive(Args)]
pub struct StatusArgs {
    /// Print JSON: with --watch an object a line
    #[arg(long)]
    json: bool,

    /// Show the run at work, and again every second until it ends
    #[arg(long, conflicts_with = "errors")]
    watch: bool,

    /// List the last failed calls with their times, newest last
    #[arg(long)]
    errors: bool,

    #[command(flatten)]
    options: StatusOptions,
}

pub fn run(args: StatusArgs) -> CliResult {
    let options = args.options.resolve()?;
    let store = options.store_path();
    if args.watch || args.errors {
        if let Some(database) = options.connect(false)? {
            return if args.watch { watch_shared(&database, args.json) } else { Err(no_shared_errors()) };
        }
        require_store(&store)?;
        return if args.watch { watch(&store, args.json) } else { show_errors(&store, args.json) };
    }
    let context = Screen::new(&options).reading(&options)?;
    let report = status(&store, options.on_loss(), &options.models, &context)?;
    print(if args.json { as_json(&report) } else { as_text(&report, &store) })?;
    Ok(exit_code::COMPLETE)
}

/// Refuses a store that is not there: a log without runs would look like one.
fn require_store(store: &Path) -> Result<(), JobError> {
    if store.is_dir() {
        return Ok(());
    }
    let message = format!("there is no store at {}", store.display());
    Err(JobError::usage(message, "name one with --store; a run creates it"))
}

/// Lists the failed calls of the log. The store is not opened.
fn show_errors(store: &Path, is_json: bool) -> CliResult {
    let history = RunHistory::read(store, FAILED_CALLS_MAX);
    if is_json {
        print(format!("{:#}", runs::failed_calls_json(&history)))?;
    } else if history.failed_calls.is_empty() {
        print("no failed call is in the log")?;
    } else {
        history.failed_calls.iter().map(runs::failed_call).try_for_each(print)?;
    }
    Ok(exit_code::COMPLETE)
}

/// Shows the last run until it ends. The store is not opened, so that looking never stands in the way of a run.
fn watch(store: &Path, is_json: bool) -> CliResult {
    follow(is_json, || {
        let history = RunHistory::read(store, FAILED_CALLS_MAX);
        Ok(Seen {
            is_running: history.runs.last().is_some_and(|run| run.state == RunState::Running),
            json: json!({"run": runs::runs_json(&history).as_array().and_then(|runs| runs.last())}),
            text: watched(store, &history),
        })
    })
}

/// Shows the runs and workers of a database until no worker is at work.
fn watch_shared(database: &SharedAccess, is_json: bool) -> CliResult {
    follow(is_json, || {
        let status = database.status()?;
        Ok(Seen {
            is_running: status.workers.iter().any(|worker| worker.is_live && worker.run.is_some()),
            json: json!({"shared": shared::status_json(&status)}),
            text: shared::status_lines(&status).join("\n"),
        })
    })
}

/// One look at what is watched.
struct Seen {
    is_running: bool,
    json: Value,
    text: String,
}

/// Shows what is watched every second, until it ends.
fn follow(is_json: bool, mut look: impl FnMut() -> Result<Seen, JobError>) -> CliResult {
    let mut area = Redrawn::default();
    loop {
        let seen = look()?;
        if is_json {
            print(seen.json)?;
        } else {
            area.show(&seen.text, !seen.is_running)?;
        }
        if !seen.is_running {
            return Ok(exit_code::COMPLETE);
        }
        std::thread::sleep(WATCH_EVERY);
    }
}

fn no_shared_errors() -> JobError {
    JobError::usage(
        "failed calls are in the log of the worker that made them, not in the database",
        "name the worker's directory: --store .cohobate/shared-.../HOST-1",
    )
}

fn watched(store: &Path, history: &RunHistory) -> String {
    let mut lines = vec![format!("store          {}", store.display())];
    match history.runs.last() {
        None => lines.push("no run is in the log".to_owned()),
        Some(run) => {
            lines.push(format!("run            {}", runs::run_line(run)));
            lines.extend(runs::event_lines(run, EVENTS_WATCHED).into_iter().map(|line| format!("  {line}")));
            let failed = runs::last_failed_calls(history);
            if !failed.is_empty() {
                lines.push("last failed calls".to_owned());
                lines.extend(failed.into_iter().map(|line| format!("  {line}")));
            }
        }
    }
    lines.join("\n")
}

fn as_text(report: &StatusReport, store: &Path) -> String {
    let mut lines = match &report.shared {
        Some(shared) => shared::status_lines(shared),
        None => vec![format!("store          {} (equal conversations count once)", store.display())],
    };
    lines.extend(conversation_lines(report));
    lines.extend(spending_lines(report));
    lines.join("\n")
}

fn conversation_lines(report: &StatusReport) -> Vec<String> {
    let failed: u64 = report.reasons.values().map(|reason| reason.conversations).sum();
    let (complete, open) = (number(report.complete), number(report.open));
    let turns = report.turns.map_or(String::new(), |turns| format!("; {} in their histories", counted(turns, "turn")));
    let mut lines =
        vec![format!("conversations  {complete} complete, {open} open, {} stopped or failed{turns}", number(failed))];
    for (reason, count) in &report.reasons {
        lines.push(format!("  {} × {reason} (such as {})", number(count.conversations), &count.example[..12]));
    }
    lines
}

fn spending_lines(report: &StatusReport) -> Vec<String> {
    let mut lines = Vec::new();
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
    let commands = runs::run_lines(&report.history);
    if !commands.is_empty() {
        lines.push(format!(
            "log            the last of {}, newest last",
            counted(report.history.runs.len() as u64, "command")
        ));
        lines.extend(commands.into_iter().map(|line| format!("  {line}")));
    }
    let failed = runs::last_failed_calls(&report.history);
    if !failed.is_empty() {
        lines.push("failed calls   the last ones; --errors lists more".to_owned());
        lines.extend(failed.into_iter().map(|line| format!("  {line}")));
    }
    lines
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
    let mut value = json!({
        "conversations": {"complete": report.complete, "open": report.open}, "turns": report.turns,
        "reasons": reasons.collect::<BTreeMap<_, _>>(), "spending": spending.collect::<BTreeMap<_, _>>(),
        "runs": runs.collect::<Vec<_>>(), "log": runs::runs_json(&report.history),
        "failed_calls": runs::failed_calls_json(&report.history), "unreadable_log_lines": report.history.unreadable,
    });
    if let Some(shared) = &report.shared {
        value["shared"] = shared::status_json(shared);
    }
    format!("{value:#}")
}
