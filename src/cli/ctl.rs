use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};
use cohobate::job::{ControlClient, JobError, SetLimits, SharedAccess, Verb, keep_limits};
use cohobate::report::words::{counted, duration, money, number};
use serde_json::Value;

use super::CliResult;
use super::choices::named;
use super::error::exit_code;
use super::options::CtlOptions;
use super::output::{print, speak_json};
use super::progress::ProgressMode;
use super::shared;

/// How often a server that is being emptied is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Steer a run that is at work
///
/// Talks to the run over a socket in its store, which only the user who started it can open. Limits that are set here also
/// hold for later runs of the store, until they are set again.
#[derive(Args)]
pub struct CtlArgs {
    #[command(subcommand)]
    verb: CtlVerb,

    /// How to show errors: plain or json [default: plain]
    #[arg(long, global = true, value_name = "MODE", value_parser = named::<ProgressMode>)]
    progress: Option<ProgressMode>,
}

#[derive(Subcommand)]
enum CtlVerb {
    /// Show progress, calls, limits, cost and servers
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,

        #[command(flatten)]
        at: CtlOptions,
    },

    /// Send no further call, retries, judges and probes included; deadlines keep running
    Pause {
        #[command(flatten)]
        at: CtlOptions,
    },

    /// End a pause
    Resume {
        #[command(flatten)]
        at: CtlOptions,
    },

    /// Stop the run with exit code 75; the same command resumes it
    Stop {
        /// Do not wait for the calls in flight: they are lost
        #[arg(long)]
        now: bool,

        #[command(flatten)]
        at: CtlOptions,
    },

    /// Change limits, such as concurrency=8 rpm=600 max-cost=20; none removes one
    ///
    /// Without a run at work they are kept for the next one. A later run takes the lower of each of these limits and of its
    /// own option.
    Set {
        /// concurrency=N, rpm=N, max-cost=DOLLARS
        #[arg(required = true, value_name = "LIMIT=VALUE")]
        limits: Vec<String>,

        #[command(flatten)]
        at: CtlOptions,
    },

    /// Give a model one more server
    AddReplica {
        /// The server's address; NAME@URL where the run asks several models
        #[arg(value_name = "URL")]
        server: String,

        #[command(flatten)]
        at: CtlOptions,
    },

    /// Send a server nothing more; its calls in flight finish
    Drain {
        /// The server, such as gpu2:8000; `cohobate ctl status` lists them
        replica: String,

        /// Return once the server has no call in flight
        #[arg(long)]
        wait: bool,

        #[command(flatten)]
        at: CtlOptions,
    },

    /// Open the conversations again that have failed, and send questions again that failed permanently
    RetryFailed {
        #[command(flatten)]
        at: CtlOptions,
    },

    /// Print the events of the run as they happen, each as a JSON object
    Tail {
        #[command(flatten)]
        at: CtlOptions,
    },
}

pub fn run(args: CtlArgs) -> CliResult {
    if args.progress == Some(ProgressMode::Json) {
        speak_json();
    }
    let (verb, at) = match args.verb {
        CtlVerb::Status { json, at } => return show_status(json, &at),
        CtlVerb::Set { limits, at } => return set(&limits, &at),
        CtlVerb::Drain { replica, wait, at } => return drain(replica, wait, &at),
        CtlVerb::Tail { at } => return tail(&at),
        CtlVerb::Pause { at } => (Verb::Pause, at),
        CtlVerb::Resume { at } => (Verb::Resume, at),
        CtlVerb::Stop { now, at } => (Verb::Stop { now }, at),
        CtlVerb::AddReplica { server, at } => (Verb::AddReplica { server }, at),
        CtlVerb::RetryFailed { at } => (Verb::RetryFailed, at),
    };
    if let Some(access) = at.resolve()?.connect(false)? {
        return send_to_all(&access, &verb);
    }
    let mut run = at_work(&at)?;
    let reply = run.ask(&verb)?;
    print(said(&reply))?;
    Ok(exit_code::COMPLETE)
}

/// Sends a verb to all workers of a run; each of them reads it within a second.
fn send_to_all(access: &SharedAccess, verb: &Verb) -> CliResult {
    if *verb == Verb::RetryFailed {
        let hint = "run the same command again once the run has ended: it asks failed conversations again";
        return Err(JobError::usage("retry-failed is for a run with a store of its own", hint));
    }
    let run = access.control(verb)?;
    print(format!("{verb}: sent to all workers of {run}"))?;
    Ok(exit_code::COMPLETE)
}

/// Connects to the run, which must be at work.
fn at_work(at: &CtlOptions) -> Result<ControlClient, JobError> {
    let options = at.resolve()?;
    if options.database().is_some() {
        let hint = "follow one worker: name its directory with --store; `cohobate status` shows all of them";
        return Err(JobError::usage("a shared run has no events of its own", hint));
    }
    let store = options.store_path();
    ControlClient::connect(&store)?.ok_or_else(|| no_run(&store))
}

fn no_run(store: &Path) -> JobError {
    let message = format!("no run is at work on {}", store.display());
    JobError::usage(message, "`cohobate status` shows what the store holds; --store names another")
}

fn said(reply: &Value) -> &str {
    reply["said"].as_str().unwrap_or_default()
}

fn set(limits: &[String], at: &CtlOptions) -> CliResult {
    let limits = SetLimits::parse(limits).map_err(|error| {
        JobError::usage(error.to_string(), "such as `cohobate ctl set concurrency=8 rpm=600 max-cost=20`")
    })?;
    let options = at.resolve()?;
    if let Some(access) = options.connect(false)? {
        return send_to_all(&access, &Verb::Set(limits));
    }
    let store = options.store_path();
    match ControlClient::connect(&store)? {
        Some(mut run) => print(said(&run.ask(&Verb::Set(limits))?))?,
        None => {
            keep_limits(&store, &limits)?;
            print(format!("{}: no run is at work on {}; kept for later runs", Verb::Set(limits), store.display()))?;
        }
    }
    Ok(exit_code::COMPLETE)
}

fn drain(replica: String, wait: bool, at: &CtlOptions) -> CliResult {
    if let Some(access) = at.resolve()?.connect(false)? {
        if wait {
            let hint = "leave --wait out, and look at `cohobate ctl status --store DIR` on each machine, with the directory of its worker";
            return Err(JobError::usage("--wait is for a run with a store of its own", hint));
        }
        return send_to_all(&access, &Verb::Drain { replica });
    }
    let mut run = at_work(at)?;
    let reply = run.ask(&Verb::Drain { replica: replica.clone() })?;
    print(said(&reply))?;
    let mut in_flight = calls_at(&reply, &replica);
    while wait && in_flight > 0 {
        std::thread::sleep(LOOK_INTERVAL);
        // A run that has ended has emptied every server.
        in_flight = run.ask(&Verb::Status).map_or(0, |reply| calls_at(&reply, &replica));
    }
    if wait {
        print(format!("{replica} has no call in flight"))?;
    }
    Ok(exit_code::COMPLETE)
}

/// Returns how many calls a server has in flight.
fn calls_at(reply: &Value, replica: &str) -> u64 {
    let servers = list(&reply["status"]["run"]["models"]).iter().flat_map(|model| list(&model["replicas"]));
    servers.filter(|server| server["replica"] == replica).map(|server| count(&server["in_flight"])).sum()
}

fn tail(at: &CtlOptions) -> CliResult {
    let mut run = at_work(at)?;
    run.ask(&Verb::Tail)?;
    while let Some(event) = run.next_event()? {
        print(event)?;
    }
    Ok(exit_code::COMPLETE)
}

fn show_status(is_json: bool, at: &CtlOptions) -> CliResult {
    if let Some(access) = at.resolve()?.connect(false)? {
        let status = access.status()?;
        print(if is_json {
            format!("{:#}", shared::status_json(&status))
        } else {
            shared::status_lines(&status).join("\n")
        })?;
        return Ok(exit_code::COMPLETE);
    }
    let reply = at_work(at)?.ask(&Verb::Status)?;
    let status = &reply["status"];
    print(if is_json { format!("{status:#}") } else { as_text(status) })?;
    Ok(exit_code::COMPLETE)
}

fn as_text(status: &Value) -> String {
    let (progress, run) = (&status["progress"], &status["run"]);
    let phase = status["phase"].as_str().unwrap_or_default();
    let mut lines = vec![format!("{phase}, process {}, {}", count(&status["process"]), time(&status["elapsed_s"]))];
    let left = progress["eta_s"].as_f64().map_or(String::new(), |_| format!(", {} left", time(&progress["eta_s"])));
    lines.push(format!(
        "progress       {} of {}, {} reused, {:.1} a second{left}",
        number(count(&progress["done"])),
        counted(count(&progress["total"]), progress["unit"].as_str().unwrap_or("answer")),
        number(count(&progress["reused"])),
        progress["per_second"].as_f64().unwrap_or_default(),
    ));
    if let Some(reason) = progress["waiting"]["reason"].as_str() {
        lines.push(format!("waiting        {reason}"));
    }
    if run.is_object() {
        lines.extend(run_lines(run));
    }
    let failures: u64 = progress["failures"].as_object().into_iter().flatten().map(|(_, calls)| count(calls)).sum();
    if failures > 0 {
        let last = status["last_failure"].as_str().map_or(String::new(), |last| format!("; the last one: {last}"));
        lines.push(format!("failed calls   {}{last}", number(failures)));
    }
    lines.join("\n")
}

fn run_lines(run: &Value) -> Vec<String> {
    let (calls, limits, conversations) = (&run["calls"], &run["limits"], &run["conversations"]);
    let or_none = |limit: &Value| limit.as_u64().map_or("none".to_owned(), number);
    let cap = limits["max_cost"].as_f64().map_or("none".to_owned(), money);
    let mut lines = vec![
        format!(
            "calls          {} in flight of {} allowed, {} waiting, {} sent",
            number(count(&calls["in_flight"])),
            number(count(&calls["allowed"])),
            number(count(&calls["waiting"])),
            number(count(&calls["sent"])),
        ),
        format!(
            "conversations  {} open, {} failed",
            number(count(&conversations["open"])),
            number(count(&conversations["failed"]))
        ),
        format!(
            "limits         concurrency {}, rpm {}, max-cost {cap}; {} spent in this store",
            or_none(&limits["concurrency"]),
            or_none(&limits["rpm"]),
            money(run["spent"]["cost"].as_f64().unwrap_or_default()),
        ),
    ];
    for model in list(&run["models"]) {
        for server in list(&model["replicas"]) {
            let wait = server["wait_s"]
                .as_f64()
                .map_or(String::new(), |_| format!(", next try in {}", time(&server["wait_s"])));
            lines.push(format!(
                "server         {} for {}: {}{wait}, {} in flight, {}",
                server["replica"].as_str().unwrap_or_default(),
                model["model"].as_str().unwrap_or_default(),
                server["condition"].as_str().unwrap_or_default(),
                counted(count(&server["in_flight"]), "call"),
                counted(count(&server["answers"]), "answer"),
            ));
        }
    }
    lines
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn time(seconds: &Value) -> String {
    let seconds = seconds.as_f64().filter(|seconds| *seconds >= 0.0).unwrap_or_default();
    duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}
