//! The run log for people and as JSON.

use cohobate::job::{EndKind, FailedCall, LogEvent, LogProgress, LogTime, LoggedRun, RunHistory, RunState};
use cohobate::report::words::{counted, money, number};
use serde_json::{Value, json};

use super::time::local;

/// Runs that `status` shows without `--json`.
const RUNS_SHOWN: usize = 5;
/// Failed calls that it shows without `--errors`.
const FAILED_CALLS_SHOWN: usize = 3;

/// Returns the last runs, one a line, newest last.
pub fn run_lines(history: &RunHistory) -> Vec<String> {
    let skipped = history.runs.len().saturating_sub(RUNS_SHOWN);
    history.runs[skipped..].iter().map(run_line).collect()
}

/// Returns a run: when it began, how it ended, how far it came.
pub fn run_line(run: &LoggedRun) -> String {
    let how = match &run.state {
        RunState::Running => "running".to_owned(),
        RunState::Killed => format!("killed, its last record is of {}", local(run.last)),
        RunState::Unknown => format!("no end yet, its last record is of {}", local(run.last)),
        RunState::Ended { time, end } => match (end.how, end.exit_code) {
            (EndKind::Killed, _) => format!("killed, its last record is of {}", local(run.last)),
            (how, code) => {
                let code = code.map_or(String::new(), |code| format!(", exit code {code}"));
                format!("{how} at {}{code}: {}", local(*time), end.reason)
            }
        },
    };
    let command = if run.begin.command.is_empty() { "a program" } else { &run.begin.command };
    let failed = match run.failed_calls {
        0 => String::new(),
        count => format!("; {}", counted(count, "failed call")),
    };
    format!("{} {} {command}: {how}{}{failed}", run.run, local(run.begun), progress(&run.progress))
}

fn progress(progress: &LogProgress) -> String {
    if progress.turns == 0 {
        return String::new();
    }
    let share = progress.share().map_or(String::new(), |share| format!("{:.0} %, ", (share * 100.0).floor()));
    let cost = if progress.cost > 0.0 { format!(", {}", money(progress.cost)) } else { String::new() };
    let (done, turns, new) = (number(progress.done), number(progress.turns), number(progress.answers));
    format!("; {share}{done} of {turns} answered, {new} new{cost}")
}

/// Returns the last failed calls, newest last.
pub fn last_failed_calls(history: &RunHistory) -> Vec<String> {
    let skipped = history.failed_calls.len().saturating_sub(FAILED_CALLS_SHOWN);
    history.failed_calls.iter().skip(skipped).map(failed_call).collect()
}

/// Returns a failed call.
pub fn failed_call(call: &FailedCall) -> String {
    let FailedCall { time, run, model, address, code, message } = call;
    let address = address.as_ref().map_or(String::new(), |address| format!(" at {address}"));
    format!("{} run {run} {model}{address}: {code}: {message}", local(*time))
}

/// Returns what happened in a run besides failed calls, newest last.
pub fn event_lines(run: &LoggedRun, count_max: usize) -> Vec<String> {
    let skipped = run.events.len().saturating_sub(count_max);
    run.events.iter().skip(skipped).filter_map(|(time, event)| event_line(*time, event)).collect()
}

fn event_line(time: LogTime, event: &LogEvent) -> Option<String> {
    let text = match event {
        LogEvent::OutageBegin { model, message, .. } => format!("{model} does not answer: {message}"),
        LogEvent::OutageEnd { model } => format!("{model} answers again"),
        LogEvent::Concurrency { model, from, to, reason } => {
            format!("{model}: {to} calls at a time, were {from}: {reason}")
        }
        LogEvent::Control { verb, detail, outcome } => format!("{verb} {detail}: {outcome}"),
        LogEvent::Caution { text } => text.clone(),
        _ => return None,
    };
    Some(format!("{} {text}", local(time)))
}

/// Returns the runs as JSON, oldest first.
pub fn runs_json(history: &RunHistory) -> Value {
    history.runs.iter().map(run_json).collect()
}

fn run_json(run: &LoggedRun) -> Value {
    let (state, ended) = match &run.state {
        RunState::Running => ("running", None),
        RunState::Killed => ("killed", None),
        RunState::Unknown => ("unknown", None),
        RunState::Ended { time, end } => match end.how {
            EndKind::Finished => ("finished", Some((time, end))),
            EndKind::Stopped => ("stopped", Some((time, end))),
            EndKind::Failed => ("failed", Some((time, end))),
            EndKind::Killed => ("killed", None),
        },
    };
    let end = ended.map(|(time, end)| json!({"time": time, "reason": end.reason, "exit_code": end.exit_code}));
    let events = run.events.iter().map(|(time, event)| {
        let mut event = json!(event);
        event["time"] = json!(time);
        event
    });
    json!({
        "run": run.run, "state": state, "begun": run.begun, "last": run.last, "end": end, "begin": run.begin,
        "inputs": run.inputs, "store_runs": run.store_runs, "progress": run.progress, "share": run.progress.share(),
        "failed_calls": run.failed_calls, "outages": run.outages, "events": events.collect::<Vec<_>>(),
        "dropped": run.dropped,
    })
}

/// Returns the last failed calls as JSON, newest last.
pub fn failed_calls_json(history: &RunHistory) -> Value {
    let calls = history.failed_calls.iter().map(|call| {
        let FailedCall { time, run, model, address, code, message } = call;
        json!({"time": time, "run": run, "model": model, "address": address, "code": code, "message": message})
    });
    calls.collect()
}
