//! `cohobate simulate`: what is asked, and what is written of it (`writing`).

mod writing;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::engine::{Asked, Engine, Job, block_on};
use super::error::exit_code;
use super::evaluate::write_reports;
use super::first_pass::{Prepared, prepare};
use super::model::{find, find_teacher};
use super::options::{
    DuplicateArgs, GateArgs, GateProfile, Options, ReadArgs, RemainArgs, RuleArgs, RunArgs, SamplingArgs, StoreArgs,
    SystemArgs, WriteArgs,
};
use super::output::{check_output, check_writable};
use super::{CliError, CliResult};
use crate::recipe::{Recipe, Simulate};
use crate::report::words::{counted, number};
use crate::report::{ProgressMode, simulation_page, words};
use crate::store::Reader;
use crate::worker::{self, Ended, StopReason};
use writing::{Writing, Written};

/// Continue dialogues with a model that plays the user
///
/// Each conversation, or bare prompt, goes on until it has N user turns. What the source's users say is kept; the teacher writes every
/// answer, as with distill (answers that the store has from there are taken).
#[derive(Args)]
pub struct SimulateArgs {
    /// Files of conversations or prompts
    #[arg(required = true, value_name = "SEEDS")]
    input: Vec<String>,

    /// Who answers: NAME@URL, a profile of cohobate.toml, or simulated
    #[arg(long, value_name = "MODEL")]
    teacher: Option<String>,

    /// Who plays the user
    #[arg(long, value_name = "MODEL")]
    user: String,

    /// Go on to so many user turns
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    turns: u32,

    /// Who the users are, a person a line; each conversation gets one by its own dice
    #[arg(long, value_name = "FILE")]
    personas: Option<PathBuf>,

    /// Write the rows here; beside it go OUT.report.json and OUT.report.html
    #[arg(short, long, value_name = "OUT", default_value = "simulated.jsonl")]
    output: String,

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
    sampling: SamplingArgs,

    #[command(flatten)]
    system: SystemArgs,

    #[command(flatten)]
    run: RunArgs,
}

pub fn run(args: SimulateArgs) -> CliResult {
    block_on(simulate(args))
}

async fn simulate(args: SimulateArgs) -> CliResult {
    let options = Options::resolve(
        &args.store,
        &[
            &args.read,
            &args.rule,
            &args.duplicate,
            &args.write,
            &args.gate,
            &args.remain,
            &args.sampling,
            &args.system,
            &args.run,
        ],
    )?;
    let format = options.output_format()?;
    if format.wants_pairs() {
        let hint = "choose a format of dialogues, such as openai; `cohobate tutor` makes pairs";
        return Err(CliError::usage("simulated conversations hold one answer to each turn, no pairs", hint));
    }
    check_output(&args.output, &args.input)?;
    check_writable(&args.output, format)?;
    let teacher = find_teacher(args.teacher.as_deref(), &options)?;
    let user = find(&args.user, &options, options.sampling())?;
    let system = teacher.system_text(&options)?;
    let gate = options.gate_or(GateProfile::Standard)?;
    let recipe = Arc::new(Simulate::new(
        Arc::clone(&teacher.target),
        Arc::clone(&user.target),
        args.turns,
        personas(args.personas.as_ref())?,
        gate,
        system.as_deref(),
    ));
    let engine = Engine::open(&options, &[&teacher, &user])?;
    let store = Arc::clone(&engine.store);
    let prepared = prepare(&args.input, &options, &*recipe, system.as_deref())?;
    let order = prepared.order(Arc::clone(&store) as Arc<dyn Reader>, &*recipe)?;
    let Prepared { rows, totals, left_out, invalid, .. } = prepared;
    let job = Job {
        recipe: Arc::clone(&recipe) as Arc<dyn Recipe>,
        seeds: Arc::clone(&rows) as Arc<dyn worker::Seeds>,
        rows: Box::new(order),
        totals,
        retry_failed: args.retry_failed,
    };
    let Asked { ended, tally, elapsed, .. } = engine.ask(job).await?;
    let (mut code, mut hint, mut stop) = (exit_code::COMPLETE, None, "unasked");
    if let Ended::Stopped(reason) = &ended {
        let (stopped, words) = engine.stopped(reason);
        (code, hint) = (stopped, Some(words));
        // A cap is an end like others: what there is can be used. Whoever stopped the run wants to go on.
        if !matches!(reason, StopReason::Budget(_)) {
            let done = format!("{} answered, {} reused", number(tally.answered), number(tally.reused + tally.shared));
            options.say(&format!("stopped: {done}, {}", words::duration(elapsed)));
            if let Some(hint) = &hint {
                options.say(&format!("hint: {hint}"));
            }
            drop(store);
            engine.close()?;
            return Ok(code);
        }
        stop = "budget";
    }
    let writing = Writing {
        rows: &rows,
        recipe: &recipe,
        store: &*store,
        format,
        min_turns: options.min_turns.unwrap_or(1).max(1),
        turns: args.turns,
        models: [teacher.target.model(), user.target.model()],
        prices: [teacher.price, user.price],
        stop,
    };
    let license = options.license(&args.input);
    let written = writing.write(&args.output, license)?;
    let report = &written.report;
    let beside = write_reports(&args.output, report, &simulation_page(report))?;
    if code == exit_code::COMPLETE && (written.incomplete > 0 || invalid > 0) {
        code = exit_code::INCOMPLETE;
    }
    if options.progress() == ProgressMode::Json {
        words::tell(serde_json::to_value(report).map_err(|error| CliError::failure(error.to_string()))?);
    } else {
        let (new, old) = (counted(tally.answered, "answer"), number(tally.reused + tally.shared));
        let headline = if ended == Ended::Finished { "done" } else { "stopped" };
        let conversations = counted(totals.conversations, "conversation");
        options.say(&format!("{headline}: {conversations}, {new} new, {old} reused, {}", words::duration(elapsed)));
        show(&written, &left_out, &args.output, &beside, &options);
        if let Some(hint) = &hint {
            options.say(&format!("hint: {hint}"));
        }
    }
    drop(store);
    engine.close()?;
    Ok(code)
}

fn show(written: &Written, left_out: &BTreeMap<String, u64>, output: &str, beside: &str, options: &Options) {
    written.report.lines().iter().for_each(|line| options.say(line));
    for (reason, count) in left_out {
        options.say(&format!("  left out   {count} × {reason}"));
    }
    if written.short > 0 {
        options
            .say(&format!("  left out   {} with fewer turns than --min-turns", counted(written.short, "conversation")));
    }
    let kept = if written.kept_old { " (nothing to write; the old one stays)" } else { "" };
    options.say(&format!("  wrote      {output}, {}{kept}{beside}", counted(written.rows, "row")));
    if let Some((path, count)) = &written.listed {
        options.say(&format!("  listed     {} not written, or cut short: {path}", counted(*count, "row")));
    }
}

fn personas(path: Option<&PathBuf>) -> Result<Vec<String>, CliError> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let shown = path.display();
    let fault = |message: String| CliError::usage(message, "write a person a line into the file of --personas");
    let text = std::fs::read_to_string(path).map_err(|error| fault(format!("cannot read {shown}: {error}")))?;
    let text = text.trim_start_matches('\u{feff}');
    let personas: Vec<String> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if personas.is_empty() { Err(fault(format!("{shown} has no line"))) } else { Ok(personas) }
}
