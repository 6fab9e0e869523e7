//! How far a run is: rate, remaining time, and the words for them.

use std::time::Duration;

use serde_json::{Value, json};

use super::tally::Tally;
use super::words::{counted, duration, money, number};

/// New answers a second, over the whole run.
fn rate(tally: &Tally, elapsed: Duration) -> f64 {
    tally.answered as f64 / elapsed.as_secs_f64().max(0.001)
}

/// The time that the remaining turns take at this rate; nothing where no call is in flight.
fn eta(tally: &Tally, elapsed: Duration) -> Option<Duration> {
    let left = tally.totals.turns.saturating_sub(tally.done()) as f64;
    let rate = rate(tally, elapsed);
    (rate > 0.0 && tally.in_flight() > 0).then(|| Duration::try_from_secs_f64(left / rate).ok()).flatten()
}

/// Returns how far a run is, as a line for people. The time is that since its start.
pub fn progress_line(tally: &Tally, elapsed: Duration) -> String {
    let mut parts = vec![format!("{} in flight, {:.1} turns/s", tally.in_flight(), rate(tally, elapsed))];
    parts.extend(tally.usage.completion_tokens.map(|tokens| format!("{} tokens out", number(tokens))));
    if !tally.prices.is_empty() {
        parts.push(money(tally.cost));
    }
    if tally.failure_count() > 0 {
        parts.push(counted(tally.failure_count(), "failed call"));
    }
    // Where no call is in flight, the reason matters most.
    parts.extend(
        tally.last_failure.clone().filter(|_| tally.in_flight() == 0).map(|last| format!("last failure: {last}")),
    );
    parts.extend(eta(tally, elapsed).map(|eta| format!("{} left", duration(eta))));
    parts.join(", ")
}

/// Returns the same for machines.
pub fn progress_json(tally: &Tally, elapsed: Duration) -> Value {
    json!({
        "turns_done": tally.done(), "turns": tally.totals.turns, "in_flight": tally.in_flight(),
        "reused": tally.reused, "shared": tally.shared, "answered": tally.answered,
        "turns_per_second": rate(tally, elapsed), "prompt_tokens": tally.usage.prompt_tokens,
        "completion_tokens": tally.usage.completion_tokens,
        "cost": (!tally.prices.is_empty()).then_some(tally.cost),
        "failures": tally.failures, "elapsed_s": elapsed.as_secs_f64(),
        "eta_s": eta(tally, elapsed).map(|eta| eta.as_secs_f64()),
    })
}
