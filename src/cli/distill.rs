use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;

use super::error::exit_code;
use super::first_pass::{Prepared, prepare};
use super::limits::limits;
use super::machine::footprint;
use super::model::{Found, find_teacher};
use super::options::{
    DuplicateArgs, GateArgs, Options, QuestionArgs, ReadArgs, RemainArgs, RuleArgs, RunArgs, StoreArgs, WriteArgs,
};
use super::output::{Gated, OUTPUT, Writer, Written, check_output, check_writable};
use super::signals::Signals;
use super::{CliError, CliResult, recipe, store};
use crate::conversation::Settings;
use crate::recipe::Recipe;
use crate::report::summary::{Closing, summary, summary_json};
use crate::report::{Progress, ProgressMode, Tally, words};
use crate::store::{DiskStore, Entry, Ledger, Reader, Run, Store};
use crate::worker::{self, Committing, Ended, StopReason, Work};

/// Write every assistant turn anew
#[derive(Args)]
pub struct DistillArgs {
    /// Files of conversations, or - for standard input: JSONL or a JSON array, plain, .gz or .zst
    #[arg(required = true)]
    input: Vec<String>,

    /// Who answers: NAME@URL, NAME@URL1,URL2 for several servers, a profile of cohobate.toml, or simulated
    #[arg(long, value_name = "MODEL")]
    teacher: Option<String>,

    /// Write the rows here, - for standard output; .gz and .zst are compressed; DIR/ is a directory of Parquet shards
    /// with a dataset card
    #[arg(short, long, value_name = "OUT", default_value = OUTPUT)]
    output: String,

    /// Write an incomplete conversation up to its last good turn
    #[arg(long)]
    keep_partial: bool,

    /// Ask again what failed for good in an earlier run
    #[arg(long)]
    retry_failed: bool,

    #[command(flatten)]
    store: StoreArgs,

    #[command(flatten)]
    read: ReadArgs,

    #[command(flatten)]
    rule: RuleArgs,

    #[command(flatten)]
    duplicate: DuplicateArgs,

    #[command(flatten)]
    write: WriteArgs,

    #[command(flatten)]
    gate: GateArgs,

    #[command(flatten)]
    remain: RemainArgs,

    #[command(flatten)]
    question: QuestionArgs,

    #[command(flatten)]
    run: RunArgs,
}

pub fn run(args: DistillArgs) -> CliResult {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CliError::failure(format!("cannot start: {error}")))?;
    // On a worker thread, beside the calls: the dispatcher is woken for each of them.
    let result = runtime.block_on(async { tokio::spawn(distill(args)).await });
    let result = result.unwrap_or_else(|error| Err(CliError::failure(format!("a task died: {error}"))));
    // Connections and timers may go as they are.
    runtime.shutdown_background();
    result
}

async fn distill(args: DistillArgs) -> CliResult {
    let options = Options::resolve(
        &args.store,
        &[&args.read, &args.rule, &args.duplicate, &args.write, &args.gate, &args.remain, &args.question, &args.run],
    )?;
    let format = options.output_format()?;
    check_output(&args.output, &args.input)?;
    check_writable(&args.output, format)?;
    let found = find_teacher(args.teacher.as_deref(), &options)?;
    let limits = limits(&options, &found)?;
    let pace = options.pace()?;
    let served = found.connect()?;
    let system = options.system_text()?;
    let recipe: Arc<dyn Recipe> = Arc::new(recipe::distill(&found, &options, system.as_deref())?);
    let signals = Signals::listen(options.stop_signal)?;
    let store = Arc::new(store::open(&options)?);
    let prepared = prepare(&args.input, &options, &*recipe, system.as_deref())?;
    let order = prepared.order(Arc::clone(&store) as Arc<dyn Reader>, &*recipe)?;
    let Prepared { rows, totals, left_out, changed, invalid, .. } = prepared;
    let ledger = settle_ledger(&store, &options, &found)?;
    let run = begin(&store, recipe.settings())?;

    let tally = Tally { totals, prices: found.prices(), ..Tally::default() };
    let progress = Progress::start(tally, options.progress(), options.verbose.unwrap_or(false));
    let work = Work {
        recipe: Arc::clone(&recipe),
        store: Arc::clone(&store) as Arc<dyn Store>,
        models: HashMap::from([(found.target.model().to_owned(), served)]),
        seeds: Arc::clone(&rows) as Arc<dyn worker::Seeds>,
        rows: Box::new(order),
        run: run.number,
        pace,
        budget: limits.budget,
        ledger: Some(ledger),
        give_up_after: limits.give_up_after,
        deadline: limits.deadline,
        committing: Committing::Thread,
        retry_failed: args.retry_failed,
    };
    let ended = worker::run(work, signals.begin_asking(), &mut progress.watcher()).await;
    signals.end_asking();
    let (tally, elapsed) = progress.finish();
    let ended = ended?;
    store.settle();

    let mut closing = Closing {
        headline: "done".to_owned(),
        left_out: left_out.into_iter().collect(),
        changed,
        unusable: unusable(&*store, &run, &tally)?,
        ..Closing::default()
    };
    let code = match ended {
        Ended::Finished => {
            let license = options.license(&args.input);
            let writer = Writer {
                rows: &rows,
                recipe: &*recipe,
                store: &*store,
                format,
                license,
                keep_partial: args.keep_partial,
                gated: Gated::of(&options, found.prices())?,
            };
            let is_gated = writer.gated.is_some();
            let written = writer.write(&args.output)?;
            closing.left_out.extend(written.unfit.clone());
            closing.quality = is_gated.then(|| written.quality.clone());
            close_finished(&mut closing, &args.output, &written, invalid)
        }
        Ended::Stopped(reason) => close_stopped(&mut closing, &reason, &signals, &found),
    };
    closing.footprint = footprint();
    match options.progress() {
        _ if options.is_quiet() && code == exit_code::INCOMPLETE => {
            let listed = closing.listed.as_ref().map_or(String::new(), |(path, _)| format!(", listed in {path}"));
            words::tell(format!("error: {} incomplete{listed}", words::counted(closing.incomplete, "row")));
        }
        ProgressMode::Json => words::tell(summary_json(&tally, elapsed, &closing, code)),
        _ => options.say(&summary(&tally, elapsed, &closing)),
    }
    if let Some(store) = Arc::into_inner(store) {
        store.close()?;
    }
    Ok(code)
}

/// Opens the ledger and tells what the run before left in the air.
fn settle_ledger(store: &DiskStore, options: &Options, found: &Found) -> Result<Ledger, CliError> {
    let (ledger, left) = Ledger::open(&options.store_path())?;
    let mut unknown = Vec::new();
    for request in left {
        if store.answer(&request.fingerprint)?.is_none() {
            unknown.push(request);
        }
    }
    if !unknown.is_empty() {
        let last = store.runs()?.pop();
        let model = last.and_then(|run| run.settings.get("model").map(str::to_owned));
        let calls = unknown.len() as u64;
        let prompt_tokens = unknown.iter().map(|request| request.prompt_tokens).sum();
        let completion_tokens = unknown.iter().map(|request| request.completion_tokens).sum();
        let most = found.price.filter(|_| unknown.iter().all(|request| request.completion_tokens > 0));
        let most =
            most.map(|price| format!(", at most {}", words::money(price.worst_cost(prompt_tokens, completion_tokens))));
        options.say(&format!(
            "the run before ended with {} in the air; whether they were answered and billed is unknown{}",
            words::counted(calls, "request"),
            most.unwrap_or_default()
        ));
        let model = model.unwrap_or_else(|| found.target.model().to_owned());
        store.commit(vec![Entry::Unknown { model, calls, prompt_tokens, completion_tokens }])?;
    }
    ledger.clear();
    Ok(ledger)
}

/// Writes down that a run begins, and with which settings.
fn begin(store: &DiskStore, settings: &Settings) -> Result<Run, CliError> {
    let number = store.runs()?.last().map_or(1, |run| run.number + 1);
    let started_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    let run = Run { number, started_ms, settings: settings.clone(), answers: 0 };
    store.commit(vec![Entry::Run(run.clone())])?;
    Ok(run)
}

/// Returns which settings keep this run from using what is stored, where that is so.
fn unusable(store: &dyn Reader, run: &Run, tally: &Tally) -> Result<Option<String>, CliError> {
    if tally.reused > 0 || tally.answered == 0 {
        return Ok(None);
    }
    let runs = store.runs()?;
    let earlier = runs.iter().filter(|earlier| earlier.number < run.number && earlier.answers > 0);
    let differences = earlier.rev().map(|earlier| run.settings.differences(&earlier.settings)).min_by_key(Vec::len);
    let Some(differences) = differences.filter(|differences| !differences.is_empty()) else { return Ok(None) };
    let words = differences
        .iter()
        .map(|(name, here, there)| format!("{name} is {}, was {}", shortened(here), shortened(there)));
    let words = words.collect::<Vec<_>>().join("; ");
    Ok(Some(format!("stored answers are for other settings: {words}")))
}

fn shortened(value: &str) -> String {
    const CHARACTERS_MAX: usize = 40;
    match value.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("`{}…`", &value[..end]),
        None => format!("`{value}`"),
    }
}

fn close_finished(closing: &mut Closing, output: &str, written: &Written, invalid: u64) -> u8 {
    closing.written = Some((output.to_owned(), written.rows));
    closing.kept_old = written.kept_old;
    closing.reasons.clone_from(&written.reasons);
    closing.incomplete = written.incomplete + invalid;
    closing.listed = written.incomplete_path.clone().map(|path| (path, written.listed));
    if closing.incomplete == 0 {
        return exit_code::COMPLETE;
    }
    let has_failed = written.reasons.keys().any(|reason| reason.starts_with("failed"));
    closing.hint = Some(if written.may_heal {
        "run the same command again to ask what failed in passing".to_owned()
    } else if has_failed {
        "the server refuses these questions; --retry-failed asks them once more".to_owned()
    } else if written.incomplete > 0 {
        "the answers that stopped these conversations are kept; other settings, such as a larger --max-tokens, ask anew"
            .to_owned()
    } else {
        "mend the rows that cannot be understood, or leave them out, and run the same command again".to_owned()
    });
    exit_code::INCOMPLETE
}

fn close_stopped(closing: &mut Closing, reason: &StopReason, signals: &Signals, found: &Found) -> u8 {
    "stopped".clone_into(&mut closing.headline);
    match reason {
        StopReason::Asked => {
            closing.hint =
                Some("run the same command again to go on; `cohobate export` writes what is there".to_owned());
            signals.exit_code()
        }
        StopReason::Budget(cap) => {
            closing.hint = Some(format!("{cap}; raise it and run the same command again to go on"));
            exit_code::RESUMABLE
        }
        StopReason::GaveUp(gone) => {
            let gone = words::duration(*gone);
            closing.hint =
                Some(format!("the server has not answered for {gone}; run the same command again when it is back"));
            exit_code::RESUMABLE
        }
        StopReason::Refused(failure) => {
            let model = words::quoted(found.target.model());
            closing.hint = Some(match failure.code.as_str() {
                "auth" | "forbidden" => "set COHOBATE_API_KEY or OPENAI_API_KEY to a key that the server takes, then run the same command again".to_owned(),
                "quota" => "the account has no credit left; add some, then run the same command again".to_owned(),
                "tls" => "install the server's certificate authority, or name its file in SSL_CERT_FILE".to_owned(),
                "http_404" => format!("check the address and that the server has the model {model}"),
                _ => "mend what the server complains of, then run the same command again".to_owned(),
            });
            words::tell(format!("error: {model} refuses every request: {failure}"));
            exit_code::RESUMABLE
        }
    }
}
