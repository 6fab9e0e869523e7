use std::time::Instant;

use serde_json::{Value, json};

use crate::job::events::JobEvent;
use crate::job::run_line::run_line;
use crate::job::run_log::LogTime;
use crate::report::{Tally, progress_json};
use crate::worker::{Event, ModelSnapshot, ReplicaSnapshot, RunSnapshot};

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It reads its input; no call was sent yet.
    Preparing,
    /// It sends calls.
    Running,
    /// A run is over: it writes its output, or prepares the next run.
    Finishing,
}

/// Returns how a job is, as JSON: what the progress of `--progress json` has, and what the dispatcher says.
/// The run began at `run_started`, the job at `started`.
pub fn status(phase: Phase, tally: &Tally, run_started: Instant, started: Instant, run: Option<&RunSnapshot>) -> Value {
    let now = Instant::now();
    let phase = match (phase, run) {
        (_, Some(run)) if run.stopping.is_some() => "stopping",
        (_, Some(run)) if run.is_paused => "paused",
        (Phase::Preparing, _) => "preparing",
        (Phase::Running, _) => "running",
        (Phase::Finishing, _) => "finishing",
    };
    json!({
        "phase": phase,
        "process": std::process::id(),
        "elapsed_s": now.saturating_duration_since(started).as_secs_f64(),
        "progress": progress_json(tally, run_started, now),
        "last_failure": tally.last_failure,
        "run": run.map(run_json),
    })
}

fn run_json(run: &RunSnapshot) -> Value {
    json!({
        "stopping": run.stopping,
        "calls": {
            "sent": run.sent, "in_flight": run.in_flight, "allowed": run.slots, "waiting": run.waiting,
            "uncommitted": run.uncommitted,
        },
        "conversations": {"open": run.open, "failed": run.failed, "reopening": run.reopening},
        "limits": {
            "concurrency": run.concurrency, "rpm": run.requests_per_minute, "max_cost": run.cost_max,
        },
        "spent": {
            "requests": run.spent.requests, "prompt_tokens": run.spent.prompt_tokens,
            "output_tokens": run.spent.output_tokens, "cost": run.spent.cost,
        },
        "models": run.models.iter().map(model_json).collect::<Vec<_>>(),
    })
}

fn model_json(model: &ModelSnapshot) -> Value {
    json!({
        "model": model.model, "in_flight": model.in_flight, "allowed": model.slots,
        "replicas": model.replicas.iter().map(replica_json).collect::<Vec<_>>(),
    })
}

fn replica_json(replica: &ReplicaSnapshot) -> Value {
    json!({
        "replica": replica.host, "condition": replica.condition.name(),
        "wait_s": replica.wait.map(|wait| wait.as_secs_f64()),
        "in_flight": replica.in_flight, "allowed": replica.slots, "waiting": replica.waiting, "answers": replica.answers,
    })
}

/// Returns the line of an event for those who follow the job; `None` for what the next status has too.
pub fn event_line(event: &JobEvent) -> Option<Value> {
    let now = LogTime::now();
    let line = |event: &str, text: &str| Some(json!({"event": event, "time": now, "text": text}));
    match event {
        JobEvent::Steered { is_refused: false, .. } => line("steered", &event.to_string()),
        JobEvent::Steered { .. } => line("refused", &event.to_string()),
        JobEvent::RunStarted(_) => line("started", "the run begins"),
        JobEvent::RunEnded => line("ended", "the run is over"),
        JobEvent::Run(Event::Answered { model, usage, finish, latency, .. }) => Some(json!({
            "event": "answered", "time": now, "model": model, "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens, "finish": finish.name(),
            "latency_s": latency.as_secs_f64(),
        })),
        JobEvent::Run(event) => {
            let text = run_line(event)?.text;
            let name = match event {
                Event::Failed { .. } => "failed",
                Event::Parked { .. } => "parked",
                Event::Recovered { .. } => "recovered",
                Event::Pace { .. } => "pace",
                Event::Stopping { .. } => "stopping",
                _ => "message",
            };
            line(name, &text)
        }
        JobEvent::Stored(_) => None,
        other => line("message", &other.to_string()),
    }
}
