use std::fmt::Write as _;

use super::status::Phase;
use crate::report::Tally;
use crate::worker::RunSnapshot;

/// Returns the counts of a job in Prometheus' text format. They are counts only: no name of a model, no host, no text.
pub fn metrics(phase: Phase, tally: &Tally, run: Option<&RunSnapshot>) -> String {
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, value: f64| {
        let _ = writeln!(text, "# HELP cohobate_{name} {help}\n# TYPE cohobate_{name} {kind}\ncohobate_{name} {value}");
    };
    let counts = [
        ("answers_reused_total", "Answers taken from earlier runs.", tally.reused()),
        ("answers_shared_total", "Answers taken from another conversation of this run.", tally.shared),
        ("answers_paid_total", "Answers that this run paid for, further attempts included.", tally.answered),
        ("calls_sent_total", "Calls that were sent, without probes.", tally.sent),
        ("calls_failed_total", "Calls that failed.", tally.failure_count()),
        ("prompt_tokens_total", "Prompt tokens of this run's answers.", tally.usage.prompt_tokens.unwrap_or(0)),
        (
            "completion_tokens_total",
            "Completion tokens of this run's answers.",
            tally.usage.completion_tokens.unwrap_or(0),
        ),
    ];
    for (name, help, count) in counts {
        metric(name, "counter", help, count as f64);
    }
    if !tally.prices.is_empty() {
        metric("cost_dollars_total", "counter", "What this run's answers cost, where prices are known.", tally.cost);
    }
    let run_count = |count: fn(&RunSnapshot) -> usize| run.map_or(0, count) as f64;
    let gauges = [
        ("conversations", "Conversations of the run.", tally.totals.conversations as f64),
        ("conversations_done", "Those that have ended.", tally.conversations_done() as f64),
        ("answers", "Answers that the run needs.", tally.totals.turns as f64),
        ("answers_done", "Those that are there.", tally.done() as f64),
        ("conversations_open", "Conversations that are open.", run_count(|run| run.open)),
        ("calls_in_flight", "Calls in flight, probes included.", run_count(|run| run.in_flight)),
        ("calls_allowed", "Calls that may be in flight.", run_count(|run| run.slots)),
        ("questions_waiting", "Questions that wait for a slot, a retry or a server.", run_count(|run| run.waiting)),
        ("running", "1 while calls may be sent, pauses included.", f64::from(u8::from(phase == Phase::Running))),
        ("paused", "1 during a pause.", f64::from(u8::from(run.is_some_and(|run| run.is_paused)))),
    ];
    for (name, help, value) in gauges {
        metric(name, "gauge", help, value);
    }
    text
}
