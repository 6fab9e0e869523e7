//! The closing words of a run: what was reused, what was new, what is missing and why, and how to go on.

use std::time::Duration;

use super::tally::Tally;
use super::words::{counted, duration, money, number};

/// What of a run the tally does not know.
#[derive(Clone, Debug, Default)]
pub struct Closing {
    /// How it ended, in one word or two: `done`, `stopped`.
    pub headline: String,
    /// Where the rows went and how many, if they were written.
    pub written: Option<(String, u64)>,
    /// Where the missing rows are listed, and how many.
    pub incomplete: Option<(String, u64)>,
    /// Rows left out, by reason: skipped by rule, or invalid.
    pub left_out: Vec<(String, u64)>,
    /// Which settings made stored answers unusable.
    pub unusable: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
}

/// Returns the summary, ready to print.
pub fn summary(tally: &Tally, elapsed: Duration, closing: &Closing) -> String {
    let conversations = counted(tally.totals.conversations, "conversation");
    let turns = counted(tally.totals.turns, "turn");
    let mut lines = vec![format!("{}: {conversations}, {turns}, {}", closing.headline, duration(elapsed))];
    let mut row = |name: &str, text: String| lines.push(format!("  {name:<11}{text}"));
    row("reused", format!("{} of {} turns", number(tally.reused), number(tally.totals.turns)));
    if let Some(unusable) = &closing.unusable {
        row("", unusable.clone());
    }
    row("new", new_answers(tally));
    if tally.shared > 0 {
        row("shared", format!("{} between equal conversations", counted(tally.shared, "turn")));
    }
    if tally.failure_count() > 0 {
        row("failed", format!("{} ({})", counted(tally.failure_count(), "call"), list(tally.failures.iter())));
    }
    if !closing.left_out.is_empty() {
        let entries = closing.left_out.iter().map(|(reason, count)| (reason, count));
        row(
            "left out",
            format!("{} ({})", counted(closing.left_out.iter().map(|(_, count)| count).sum(), "row"), list(entries)),
        );
    }
    if let Some((path, rows)) = &closing.written {
        row("wrote", format!("{path}, {}", counted(*rows, "row")));
    }
    if let Some((path, rows)) = &closing.incomplete {
        row("incomplete", format!("{}, listed in {path}", counted(*rows, "row")));
        for (reason, count) in tally.incomplete.iter().take(REASONS_MAX) {
            row("", format!("{count} × {reason}"));
        }
    }
    if let Some(hint) = &closing.hint {
        lines.push(format!("hint: {hint}"));
    }
    lines.join("\n")
}

const REASONS_MAX: usize = 8;

fn new_answers(tally: &Tally) -> String {
    let mut text = counted(tally.answered, "answer");
    if let Some(tokens) = tally.usage.prompt_tokens {
        let cached = tally.usage.cached_tokens.filter(|_| tokens > 0);
        let cached =
            cached.map_or(String::new(), |cached| format!(", {:.0} % cached", cached as f64 * 100.0 / tokens as f64));
        text += &format!("; {} prompt tokens{cached}", number(tokens));
    }
    if let Some(tokens) = tally.usage.completion_tokens {
        text += &format!(", {} completion tokens", number(tokens));
    }
    if !tally.prices.is_empty() {
        text += &format!("; {}", money(tally.cost));
    }
    text
}

fn list<'a>(entries: impl Iterator<Item = (&'a String, &'a u64)>) -> String {
    entries.map(|(reason, count)| format!("{count} × {reason}")).collect::<Vec<_>>().join(", ")
}
