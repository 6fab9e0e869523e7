//! The closing words of a run: what was reused, what was new, what is missing and why, and how to go on.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::header::InputRows;
use super::progress::reused_words;
use super::quality::QualityReport;
use super::tally::Tally;
use super::words::{counted, duration, list, money, number};

/// The facts about a run that the tally does not hold.
#[derive(Clone, Debug, Default)]
pub struct Closing {
    /// How it ended, in one word or two: `done`, `stopped`.
    pub headline: String,
    /// The rows that the job went over.
    pub input: InputRows,
    /// Where the rows went and how many, if they were written.
    pub written: Option<(String, u64)>,
    /// There was no row to write, and an output with rows in it was left alone.
    pub kept_old: bool,
    /// Conversations with a row for each answer, because their token ids are not prefix-stable; `None` for formats without
    /// token ids.
    pub unstable: Option<u64>,
    /// Rows that should be in the output and are not, or not whole.
    pub incomplete: u64,
    /// Why, with how often.
    pub reasons: BTreeMap<String, u64>,
    /// Where all that the gate found is listed.
    pub findings: Option<String>,
    /// Where rows that are not in the output are listed, and how many those are.
    pub listed: Option<(String, u64)>,
    /// Rows left out by rule, and rows that cannot be understood, by reason.
    pub left_out: Vec<(String, u64)>,
    /// The changes to rows while they were read, by rule.
    pub changed: BTreeMap<String, u64>,
    /// What became of the inputs while the run was at work, in words.
    pub input_changes: Vec<String>,
    /// The findings of the rules, where they were used.
    pub quality: Option<QualityReport>,
    /// Settings for which stored answers cannot be used: name, value now, value then.
    pub changed_settings: Vec<(String, String, String)>,
    /// The program's own resource usage, where the system reports it.
    pub footprint: Option<Footprint>,
    /// The suggested next step.
    pub hint: Option<String>,
}

/// The resource usage of a process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Footprint {
    /// Processor time, all threads together.
    pub cpu: Duration,
    /// Most memory that was resident, in bytes.
    pub memory_peak_bytes: u64,
}

/// Returns the summary, ready to print.
pub fn summary(tally: &Tally, elapsed: Duration, closing: &Closing) -> String {
    let conversations = counted(tally.totals.conversations, "conversation");
    let turns = counted(tally.totals.turns, "turn");
    let mut lines = vec![format!("{}: {conversations}, {turns}, {}", closing.headline, duration(elapsed))];
    let mut row = |name: &str, text: String| lines.push(format!("  {name:<11}{text}"));
    if let Some(shard) = closing.input.shard_words() {
        row("shard", shard);
    }
    row("reused", format!("{} of {} turns", reused_words(tally), number(tally.totals.turns)));
    if let Some(unusable) = unusable(&closing.changed_settings) {
        row("", unusable);
    }
    row("new", new_answers(tally));
    for (index, change) in closing.input_changes.iter().enumerate() {
        row(if index == 0 { "input" } else { "" }, change.clone());
    }
    if let Some(flex) = tally.flex {
        let answers = counted(tally.answered, "answer");
        row("flex", format!("{} of {answers} charged at the flex tier, by the server's own word", number(flex)));
    }
    if tally.shared > 0 {
        row("shared", format!("{} between equal conversations", counted(tally.shared, "turn")));
    }
    if tally.failure_count() > 0 {
        row("failed", format!("{} ({})", counted(tally.failure_count(), "call"), list(&tally.failures)));
    }
    for (index, change) in tally.adjusted.iter().enumerate() {
        row(if index == 0 { "requests" } else { "" }, change.clone());
    }
    for line in other_names(tally) {
        row("model", line);
    }
    if tally.history_cut > 0 {
        let answers = counted(tally.history_cut, "answer");
        row("history", format!("{answers} to prompts that grew without more tokens: the server cuts the history"));
    }
    if tally.damaged > 0 {
        let answers = counted(tally.damaged, "answer");
        row("damaged", format!("{answers} with U+FFFD in the place of a character that the server cut or garbled"));
    }
    if let Some(text) = efficiency(tally) {
        row("efficiency", text);
    }
    if let Some(quality) = &closing.quality {
        row(
            "gate",
            format!(
                "{} judged{}",
                counted(quality.answers, "answer"),
                if quality.is_empty() { ", all good" } else { "" }
            ),
        );
        quality.lines().into_iter().for_each(|line| row("", line));
        if let Some(path) = &closing.findings {
            row("", format!("all of them: {path}"));
        }
    }
    if !closing.changed.is_empty() {
        row("changed", list(&closing.changed));
    }
    if !closing.left_out.is_empty() {
        let entries = closing.left_out.iter().map(|(reason, count)| (reason, count));
        row(
            "left out",
            format!("{} ({})", counted(closing.left_out.iter().map(|(_, count)| count).sum(), "row"), list(entries)),
        );
    }
    match &closing.written {
        Some((path, _)) if closing.kept_old => row("wrote", format!("nothing; {path} is left as it was")),
        Some((path, rows)) if path == "-" => row("wrote", counted(*rows, "row")),
        Some((path, rows)) => row("wrote", format!("{path}, {}", counted(*rows, "row"))),
        None => row("done", format!("{} of {} turns", number(tally.done()), number(tally.totals.turns))),
    }
    if let Some(text) = closing.unstable.and_then(unstable_words) {
        row("", text);
    }
    if closing.incomplete > 0 {
        row("incomplete", counted(closing.incomplete, "row"));
        for (reason, count) in closing.reasons.iter().take(REASONS_MAX) {
            row("", format!("{count} × {reason}"));
        }
        if closing.reasons.len() > REASONS_MAX {
            row("", format!("and {} more reasons", closing.reasons.len() - REASONS_MAX));
        }
    }
    if let Some((path, rows)) = &closing.listed {
        row(
            "listed",
            format!(
                "{} that {} not written, or not whole: {path}",
                counted(*rows, "row"),
                if *rows == 1 { "is" } else { "are" }
            ),
        );
    }
    if let Some(hint) = &closing.hint {
        lines.push(format!("hint: {hint}"));
    }
    lines.join("\n")
}

/// Says how many conversations have a row for each answer; nothing for none.
pub fn unstable_words(unstable: u64) -> Option<String> {
    let conversations = counted(unstable, "conversation");
    (unstable > 0).then(|| format!("{conversations} with a row for each answer: the token ids are not prefix-stable"))
}

/// Returns the same for machines.
pub fn summary_json(tally: &Tally, elapsed: Duration, closing: &Closing, exit_code: u8) -> serde_json::Value {
    let file = |file: &Option<(String, u64)>| file.as_ref().map(|(path, rows)| json!({"path": path, "rows": rows}));
    let left_out: BTreeMap<_, _> = closing.left_out.iter().cloned().collect();
    json!({
        "ended": closing.headline, "shard": closing.input.shard_name(), "exit_code": exit_code, "elapsed_s": elapsed.as_secs_f64(),
        "conversations": tally.totals.conversations, "turns": tally.totals.turns,
        "reused": tally.reused(), "reused_is_exact": tally.stored.is_exact, "answered": tally.answered, "shared": tally.shared,
        "damaged": tally.damaged, "flex": tally.flex,
        "prompt_tokens": tally.usage.prompt_tokens, "cached_tokens": tally.usage.cached_tokens,
        "cache_write_tokens": tally.usage.cache_write_tokens,
        "completion_tokens": tally.usage.completion_tokens,
        "cost": (!tally.prices.is_empty()).then_some(tally.cost),
        "models": tally.reported, "history_cut": tally.history_cut, "failures": tally.failures, "adjusted": tally.adjusted,
        "incomplete": closing.incomplete, "reasons": closing.reasons,
        "quality": closing.quality, "findings": closing.findings, "left_out": left_out, "changed": closing.changed, "input_changes": closing.input_changes, "output": file(&closing.written), "listed": file(&closing.listed),
        "unstable": closing.unstable,
        "unusable": unusable(&closing.changed_settings), "hint": closing.hint,
        "efficiency": tally.efficiency.map(|efficiency| efficiency.share),
        "bound": tally.efficiency.map(|efficiency| json!({
            "bound_s": efficiency.bound.as_secs_f64(), "busy_s": efficiency.busy.as_secs_f64(), "slots": efficiency.slots,
            "longest_chain_s": efficiency.longest_chain.as_secs_f64(), "asking_s": efficiency.elapsed.as_secs_f64(),
        })),
        "cpu_s": closing.footprint.map(|footprint| footprint.cpu.as_secs_f64()),
        "memory_peak_bytes": closing.footprint.map(|footprint| footprint.memory_peak_bytes),
    })
}

/// Says which models answered under other names than the requested one.
fn other_names(tally: &Tally) -> impl Iterator<Item = String> {
    tally.reported.iter().filter_map(|(asked, names)| match names.len() {
        0 => None,
        1 if names.contains_key(asked) => None,
        1 => names.keys().next().map(|name| format!("the server calls `{asked}` {name}")),
        count => Some(format!("{count} models answered for `{asked}`: {}", list(names))),
    })
}

/// Says which settings keep this run from using stored answers.
fn unusable(changed: &[(String, String, String)]) -> Option<String> {
    let words: Vec<String> = changed
        .iter()
        .map(|(name, now, then)| format!("{name} is {}, was {}", shortened(now), shortened(then)))
        .collect();
    (!words.is_empty()).then(|| format!("stored answers are for other settings: {}", words.join("; ")))
}

fn shortened(value: &str) -> String {
    const CHARACTERS_MAX: usize = 40;
    match value.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("`{}…`", &value[..end]),
        None => format!("`{value}`"),
    }
}

const REASONS_MAX: usize = 8;

fn new_answers(tally: &Tally) -> String {
    let mut parts = vec![counted(tally.answered, "answer")];
    if let Some(tokens) = tally.usage.prompt_tokens.filter(|tokens| *tokens > 0) {
        let share = |cached: u64| format!(", {:.0} % cached", cached as f64 * 100.0 / tokens as f64);
        let cached = tally.usage.cached_tokens.map_or(String::new(), share);
        parts.push(format!("{} prompt tokens{cached}", number(tokens)));
    }
    parts.extend(tally.usage.completion_tokens.map(|tokens| format!("{} completion tokens", number(tokens))));
    parts.extend((!tally.prices.is_empty()).then(|| money(tally.cost)));
    parts.join(", ")
}

/// Says how near the run came to what its server's latencies allow; nothing where they are too short to matter.
fn efficiency(tally: &Tally) -> Option<String> {
    const LATENCY_MIN: Duration = Duration::from_millis(10);
    let efficiency = tally.efficiency.filter(|run| run.busy >= LATENCY_MIN * tally.sent.max(1) as u32)?;
    let percent = efficiency.share * 100.0;
    let (busy, slots, chain) = (duration(efficiency.busy), efficiency.slots, duration(efficiency.longest_chain));
    Some(format!("{percent:.1} % of what the server allows ({busy} of calls, {slots:.0} at a time, longest {chain})"))
}
