use std::collections::BTreeMap;

use clap::Args;
use cohobate::dataset::{Census, Histogram, NotRead};
use cohobate::job::{JobError, inspect};
use cohobate::report::words::{counted, number};
use serde_json::{Value, json};

use super::CliResult;
use super::error::exit_code;
use super::names::file_name;
use super::options::InspectOptions;
use super::output::print;
use super::screen::Screen;

/// Count what a dataset holds, and what a run would make of it; sends no call
#[derive(Args)]
pub struct InspectArgs {
    /// Conversations: files, directories, patterns such as data/*.jsonl, or - for standard input. JSONL, JSON, CSV, TSV, Parquet
    /// and Arrow, also compressed (.gz, .zst, .bz2, .xz)
    #[arg(required = true, value_parser = file_name())]
    input: Vec<String>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    options: InspectOptions,
}

pub fn run(args: InspectArgs) -> CliResult {
    let options = args.options.resolve()?;
    let census = inspect(&options.input(&args.input)?, &Screen::new(&options).context())?;
    print(if args.json { format!("{:#}", as_json(&census)) } else { as_text(&census) })?;
    let unusable: u64 = census.skipped.values().chain(census.invalid.values()).sum();
    if unusable >= census.rows {
        let message = format!("none of the {} can be used", counted(census.rows, "row"));
        let hint = "the lines above say why; --format and --map name the format of the rows";
        return Err(JobError::usage(message, hint));
    }
    Ok(if census.invalid.is_empty() { exit_code::COMPLETE } else { exit_code::INCOMPLETE })
}

fn as_text(census: &Census) -> String {
    let mut lines = Vec::new();
    let mut row = |name: &str, text: String| lines.push(format!("{name:<12}{text}"));
    let [system, user, assistant, tool] = census.roles.map(number);
    row("rows", number(census.rows));
    row("formats", list(&census.formats));
    row("user turns", spread(&census.user_turns, "per conversation"));
    row("roles", format!("system {system}, user {user}, assistant {assistant}, tool {tool}"));
    row("languages", list(&census.languages));
    row("user text", spread(&census.user_characters, "characters"));
    let (said, answered) = census.tokens;
    row("tokens", format!("about {} of users and system, {} of old answers", number(said), number(answered)));
    for (name, count) in census.notes.counts() {
        row("changed", format!("{} × {name}", number(count)));
    }
    for (reason, count) in &census.skipped {
        row("left out", format!("{} ({reason})", counted(*count, "row")));
    }
    for (reason, count) in &census.invalid {
        row("invalid", format!("{}: {reason}", counted(*count, "row")));
    }
    for line in not_read(&census.not_read()) {
        row("not read", line);
    }
    if census.duplicates > 0 {
        row("duplicates", format!("{} like an earlier one", counted(census.duplicates, "conversation")));
    }
    if census.duplicate_ids > 0 {
        row("ids", format!("{} with the id of an earlier one", counted(census.duplicate_ids, "row")));
    }
    lines.join("\n")
}

/// Places that are listed for people; `--json` has all of them.
const PLACES_MAX: usize = 20;

/// Returns what is no part of a conversation: the columns that go to `meta`, and the fields of messages that go nowhere.
fn not_read(places: &BTreeMap<String, NotRead>) -> Vec<String> {
    let mut columns: BTreeMap<&str, u64> = BTreeMap::new();
    for (place, value) in places.iter().filter(|(_, value)| value.is_kept) {
        let column = place.split(['.', '[']).next().unwrap_or(place);
        let rows = columns.entry(column).or_default();
        *rows = (*rows).max(value.rows);
    }
    let kept = columns.iter().map(|(name, rows)| format!("{name} ({}, kept in meta)", counted(*rows, "row")));
    let dropped = places.iter().filter(|(_, value)| !value.is_kept);
    let dropped = dropped.map(|(place, value)| format!("{place} ({}, dropped)", counted(value.rows, "row")));
    let mut lines: Vec<String> = dropped.chain(kept).collect();
    if lines.len() > PLACES_MAX {
        let more = lines.len() - PLACES_MAX;
        lines.truncate(PLACES_MAX);
        lines.push(format!("{}; --json lists all", counted(more as u64, "more place")));
    }
    lines
}

fn list(counts: &BTreeMap<&'static str, u64>) -> String {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let words: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {}", number(**count))).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

fn spread(histogram: &Histogram, unit: &str) -> String {
    match histogram.spread() {
        Some((least, median, most)) => {
            format!("{} / {} / {} {unit} (least, median, most)", number(least), number(median), number(most))
        }
        None => "none".to_owned(),
    }
}

fn as_json(census: &Census) -> Value {
    let spread = |histogram: &Histogram| {
        let (least, median, most) = histogram.spread().unwrap_or_default();
        let counts: BTreeMap<String, u64> =
            histogram.counts().map(|(value, count)| (value.to_string(), count)).collect();
        json!({"least": least, "median": median, "most": most, "counts": counts})
    };
    let [system, user, assistant, tool] = census.roles;
    json!({
        "rows": census.rows, "formats": census.formats, "user_turns": spread(&census.user_turns),
        "roles": {"system": system, "user": user, "assistant": assistant, "tool": tool},
        "languages": census.languages, "user_characters": spread(&census.user_characters),
        "tokens": {"said": census.tokens.0, "answered": census.tokens.1},
        "changed": census.notes.counts().collect::<BTreeMap<_, _>>(),
        "left_out": census.skipped, "invalid": census.invalid,
        "not_read": census.not_read().iter().map(|(place, value)| {
            (place.clone(), json!({"rows": value.rows, "kept_in_meta": value.is_kept}))
        }).collect::<serde_json::Map<_, _>>(),
        "duplicates": census.duplicates, "duplicate_ids": census.duplicate_ids,
    })
}
