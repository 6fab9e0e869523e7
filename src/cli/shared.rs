//! `--store postgres://...`: the database of a shared store, and this worker's own directory.

use std::path::{Path, PathBuf};

use cohobate::conversation::Digest;
use cohobate::job::{Context, JobError, STORE, SharedAccess, SharedStatus};
use cohobate::report::words::{counted, duration, money, number};
use cohobate::store::shared::{Allowance, MERGED_HOST, NANO, SeenWorker};
use serde_json::{Value, json};

use super::address::{identity, is_address, open};
use super::options::Options;

/// Runs and workers that are shown; --json has all.
const RUNS_SHOWN: usize = 5;
const WORKERS_SHOWN: usize = 32;

impl Options {
    /// Returns the address of the database, where the store is one.
    pub fn database(&self) -> Option<&str> {
        let text = self.store.as_deref()?.to_str()?;
        is_address(text).then_some(text)
    }

    /// Returns where this host's workers keep what is theirs, where the store is a database.
    pub(super) fn outbox(&self) -> Option<PathBuf> {
        let address = self.database()?;
        Some(self.outbox.clone().unwrap_or_else(|| {
            let name = &Digest::of_text("cohobate shared store 1", &identity(address)).to_string()[..12];
            Path::new(STORE).join(format!("shared-{name}"))
        }))
    }

    /// Connects to the database, where the store is one. `create` says whether its tables are created where they are missing.
    pub fn connect(&self, create: bool) -> Result<Option<SharedAccess>, JobError> {
        let Some(address) = self.database() else {
            return Ok(None);
        };
        open(address, self.run.clone(), create).map(Some)
    }

    /// Refuses options of a shared store that the line gives for a directory. Those of a configuration file wait for one.
    pub fn refuse_shared_options(&self) -> Result<(), JobError> {
        for (name, is_set) in [("run", self.run.is_some()), ("outbox", self.outbox.is_some())] {
            if is_set && self.database().is_none() && !self.places.contains_key(name) {
                let message = format!("--{name} has no effect: the store is a directory");
                return Err(JobError::usage(message, "leave it out, or name a database with --store postgres://..."));
            }
        }
        Ok(())
    }

    /// Adds the database to what a command is given, where the store is one.
    pub fn with_database(&self, context: Context, create: bool) -> Result<Context, JobError> {
        Ok(Context { shared: self.connect(create)?, ..context })
    }
}

/// Returns an amount in words; only what is there is named.
pub fn amount(amount: &Allowance) -> String {
    let parts = [
        (amount.cost_nano > 0).then(|| money(amount.dollars())),
        (amount.requests > 0).then(|| counted(amount.requests, "request")),
        (amount.output_tokens > 0).then(|| counted(amount.output_tokens, "output token")),
    ];
    let named: Vec<String> = parts.into_iter().flatten().collect();
    if named.is_empty() { "nothing".to_owned() } else { named.join(", ") }
}

/// Returns what a shared store says of its runs and workers, a line each.
pub fn status_lines(status: &SharedStatus) -> Vec<String> {
    let mut lines = vec![format!("store          {}", status.shown)];
    let is_merged = |worker: &&SeenWorker| worker.start.host == MERGED_HOST;
    for run in status.runs.iter().rev().filter(|run| run.slots > 0).take(RUNS_SHOWN) {
        let working = status.workers.iter().filter(|one| one.is_live && one.run == Some(run.run.number)).count();
        let end = match (&run.writer, run.is_written) {
            (Some(writer), true) => format!("; written: {writer}"),
            (Some(writer), false) => format!("; being written: {writer}"),
            (None, _) => String::new(),
        };
        let caps = Allowance {
            cost_nano: run.caps.cost_nano.unwrap_or(0),
            requests: run.caps.requests.unwrap_or(0),
            output_tokens: run.caps.output_tokens.unwrap_or(0),
        };
        let caps = if caps.is_nothing() { String::new() } else { format!("; capped at {}", amount(&caps)) };
        lines.push(format!(
            "run            {}: {} of {} done, {} at work, {}{caps}{end}",
            run.name,
            number(run.done),
            counted(run.slots, "slot"),
            counted(working as u64, "worker"),
            counted(run.run.answers, "answer"),
        ));
    }
    let total = status.workers.iter().fold(Allowance::default(), |sum, worker| sum.plus(&worker.booked));
    lines.push(format!("spent          {}", amount(&total)));
    let merged = status.workers.iter().filter(is_merged).fold(Allowance::default(), |sum, one| sum.plus(&one.booked));
    if !merged.is_nothing() {
        lines.push(format!("merged         {} of that by other stores", amount(&merged)));
    }
    lines.extend(status.workers.iter().filter(|one| !is_merged(one)).take(WORKERS_SHOWN).map(worker_line));
    lines
}

fn worker_line(worker: &SeenWorker) -> String {
    let held = worker.granted.minus(&worker.booked);
    let (name, seen) = (format!("{} {}", worker.start.host, worker.start.process), duration(worker.seen_ago));
    let minutes = worker.started_ago.as_secs_f64() / 60.0;
    let rate =
        if minutes > 0.1 { format!(" ({:.0} a minute)", worker.answers as f64 / minutes) } else { String::new() };
    let answers = counted(worker.answers, "answer");
    let state = if worker.has_left {
        format!("left {seen} ago")
    } else if worker.is_live {
        format!("at work, seen {seen} ago, holds {}", counted(worker.slots, "slot"))
    } else if held.is_nothing() {
        format!("not seen for {seen}")
    } else {
        format!("not seen for {seen}, still has {} reserved: `cohobate store reconcile` returns it", amount(&held))
    };
    let reserved =
        if worker.is_live && !held.is_nothing() { format!(", {} reserved", amount(&held)) } else { String::new() };
    format!("worker         {name}: {state}; {answers}{rate}, {} spent{reserved}", amount(&worker.booked))
}

/// Returns the same as JSON.
pub fn status_json(status: &SharedStatus) -> Value {
    let units = |amount: &Allowance| json!({"cost": amount.dollars(), "requests": amount.requests, "output_tokens": amount.output_tokens});
    let runs = status.runs.iter().map(|run| {
        json!({
            "number": run.run.number, "name": run.name, "slots": run.slots, "done": run.done, "answers": run.run.answers,
            "max_cost": run.caps.cost_nano.map(|cost| cost as f64 / NANO), "max_requests": run.caps.requests,
            "max_output_tokens": run.caps.output_tokens, "writer": run.writer, "is_written": run.is_written,
        })
    });
    let workers = status.workers.iter().map(|worker| {
        json!({
            "id": worker.start.id.to_string(), "host": worker.start.host, "process": worker.start.process,
            "version": worker.start.version, "run": worker.run, "is_live": worker.is_live, "has_left": worker.has_left,
            "seen_s": worker.seen_ago.as_secs_f64(), "started_s": worker.started_ago.as_secs_f64(),
            "slots": worker.slots, "answers": worker.answers, "spent": units(&worker.booked),
            "reserved": units(&worker.granted.minus(&worker.booked)),
        })
    });
    json!({"store": status.shown, "runs": runs.collect::<Vec<_>>(), "workers": workers.collect::<Vec<_>>()})
}
