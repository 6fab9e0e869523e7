//! `--store postgres://...`: the database of a shared store, and this worker's own directory.

use std::path::{Path, PathBuf};

use cohobate::conversation::Digest;
use cohobate::job::{Context, JobError, STORE, SharedAccess, SharedStatus};
use cohobate::report::words::{counted, duration, money, number};
use cohobate::store::shared::{Allowance, NANO, SeenWorker};
use serde_json::{Value, json};

use super::options::Options;

/// Runs and workers that are shown; --json has all.
const RUNS_SHOWN: usize = 5;
const WORKERS_SHOWN: usize = 32;

/// The beginnings of an address of a database.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

impl Options {
    /// Returns the address of the database, where the store is one.
    pub fn database(&self) -> Option<&str> {
        let text = self.store.as_deref()?.to_str()?;
        SCHEMES.iter().any(|scheme| text.starts_with(scheme)).then_some(text)
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
            self.refuse_shared_options()?;
            return Ok(None);
        };
        open(address, self.run.clone(), create).map(Some)
    }

    /// Adds the database to what a command is given, where the store is one.
    pub fn with_database(&self, context: Context, create: bool) -> Result<Context, JobError> {
        Ok(Context { shared: self.connect(create)?, ..context })
    }

    fn refuse_shared_options(&self) -> Result<(), JobError> {
        for (name, is_set) in [("run", self.run.is_some()), ("outbox", self.outbox.is_some())] {
            if is_set {
                let message = format!("{} has no effect: the store is a directory", self.place_of(name));
                return Err(JobError::usage(message, "leave it out, or name a database with --store postgres://..."));
            }
        }
        Ok(())
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
    for run in status.runs.iter().rev().take(RUNS_SHOWN) {
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
    lines.extend(status.workers.iter().take(WORKERS_SHOWN).map(worker_line));
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

/// Returns a text of an address that can be shown and stored: without a password.
pub fn without_password(text: &str) -> String {
    if SCHEMES.iter().any(|scheme| text.starts_with(scheme)) { shown(text) } else { text.to_owned() }
}

#[cfg(feature = "postgres")]
mod server {
    use std::sync::Arc;

    use cohobate::job::{ErrorKind, JobError, SharedAccess};
    use cohobate::store::StoreError;
    use cohobate::store::postgres::{AddressError, Create, PostgresAddress, PostgresDatabase};
    use cohobate::store::shared::LEASE;

    use crate::cli::environment;

    pub fn open(address: &str, run: Option<String>, create: bool) -> Result<SharedAccess, JobError> {
        let address = parse(address)?;
        let create = if create { Create::IfMissing } else { Create::Never };
        let database = PostgresDatabase::open(&address, create).map_err(|error| {
            let error = JobError::from(StoreError::from(error));
            // Before anything is done, what a database refuses is the command line's or the account's fault.
            if error.kind == ErrorKind::Storage { JobError { kind: ErrorKind::Usage, ..error } } else { error }
        })?;
        Ok(SharedAccess {
            database: Arc::new(database),
            shown: address.shown(),
            host: environment::host_name(),
            run,
            new_id: environment::new_worker_id,
            lease: LEASE,
        })
    }

    /// Returns a text that is equal for addresses of the same store.
    pub fn identity(address: &str) -> String {
        parse(address).map_or_else(|_| String::new(), |address| address.identity())
    }

    pub fn shown(address: &str) -> String {
        parse(address).map_or_else(|_| "postgres://...".to_owned(), |address| address.shown())
    }

    fn parse(address: &str) -> Result<PostgresAddress, JobError> {
        let refused = |AddressError { message, hint }| JobError::usage(format!("--store: {message}"), hint);
        PostgresAddress::parse(address, &environment::postgres()).map_err(refused)
    }
}

#[cfg(not(feature = "postgres"))]
mod server {
    use cohobate::job::{JobError, SharedAccess};

    pub fn open(_: &str, _: Option<String>, _: bool) -> Result<SharedAccess, JobError> {
        let hint = "build it with the feature `postgres`, which is on by default";
        Err(JobError::usage("this program was built without databases as stores", hint))
    }

    pub fn identity(_: &str) -> String {
        String::new()
    }

    pub fn shown(_: &str) -> String {
        "postgres://...".to_owned()
    }
}

use server::{identity, open, shown};
