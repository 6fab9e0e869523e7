use std::sync::Arc;

use clap::Args;

use super::engine::{Asked, Engine, Job, block_on};
use super::error::exit_code;
use super::first_pass::{Prepared, prepare};
use super::machine::footprint;
use super::model::{find_teacher, prices};
use super::options::{
    DuplicateArgs, GateArgs, JudgeArgs, Options, QuestionArgs, ReadArgs, RemainArgs, RuleArgs, RunArgs, SampleArgs,
    SamplingArgs, StoreArgs, SystemArgs, WriteArgs,
};
use super::output::{Gated, OUTPUT, Writer, Written, check_output, check_writable, write_report};
use super::{CliError, CliResult, recipe};
use crate::recipe::Recipe;
use crate::report::summary::{Closing, summary, summary_json};
use crate::report::{ProgressMode, Tally, quality_page, words};
use crate::store::{Reader, Run};
use crate::worker::{self, Ended, StopReason};

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

    /// Write the summary here, as JSON; what the rules have found as a page where the name ends in .html
    #[arg(long, value_name = "FILE")]
    report: Option<String>,

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
    question: QuestionArgs,

    #[command(flatten)]
    system: SystemArgs,

    #[command(flatten)]
    sample: SampleArgs,

    #[command(flatten)]
    judge: JudgeArgs,

    #[command(flatten)]
    run: RunArgs,
}

pub fn run(args: DistillArgs) -> CliResult {
    block_on(distill(args))
}

async fn distill(args: DistillArgs) -> CliResult {
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
            &args.question,
            &args.system,
            &args.sample,
            &args.judge,
            &args.run,
        ],
    )?;
    let format = options.output_format()?;
    check_output(&args.output, &args.input)?;
    check_writable(&args.output, format)?;
    let found = find_teacher(args.teacher.as_deref(), &options)?;
    let ranker = recipe::find_ranker(&options)?;
    let system = found.system_text(&options)?;
    let recipe: Arc<dyn Recipe> = Arc::new(recipe::distill(&found, ranker.as_ref(), &options, system.as_deref())?);
    let engine = Engine::open(&options, &[Some(&found), ranker.as_ref()].into_iter().flatten().collect::<Vec<_>>())?;
    let store = Arc::clone(&engine.store);
    let prepared = prepare(&args.input, &options, &*recipe, system.as_deref())?;
    let order = prepared.order(Arc::clone(&store) as Arc<dyn Reader>, &*recipe)?;
    let Prepared { rows, totals, left_out, changed, invalid, .. } = prepared;
    let job = Job {
        recipe: Arc::clone(&recipe),
        seeds: Arc::clone(&rows) as Arc<dyn worker::Seeds>,
        rows: Box::new(order),
        totals,
        retry_failed: args.retry_failed,
    };
    let Asked { ended, tally, elapsed, run } = engine.ask(job).await?;

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
                gated: Gated::of(&options, prices(&[&found]))?,
            };
            let is_gated = writer.gated.is_some();
            let written = writer.write(&args.output)?;
            closing.left_out.extend(written.unfit.clone());
            closing.quality = is_gated.then(|| written.quality.clone());
            close_finished(&mut closing, &args.output, &written, invalid)
        }
        Ended::Stopped(reason) => {
            "stopped".clone_into(&mut closing.headline);
            let (code, hint) = engine.stopped(&reason);
            let partial = if reason == StopReason::Asked { "; `cohobate export` writes what is there" } else { "" };
            closing.hint = Some(format!("{hint}{partial}"));
            code
        }
    };
    closing.footprint = footprint();
    if let Some(path) = args.report.as_ref().filter(|_| closing.written.is_some()) {
        let json = summary_json(&tally, elapsed, &closing, code);
        let lines = || summary(&tally, elapsed, &closing).lines().map(|line| line.trim().to_owned()).collect();
        write_report(path, &json, || quality_page(&closing.quality.clone().unwrap_or_default(), lines()))?;
    }
    match options.progress() {
        _ if options.is_quiet() && code == exit_code::INCOMPLETE => {
            let listed = closing.listed.as_ref().map_or(String::new(), |(path, _)| format!(", listed in {path}"));
            words::tell(format!("error: {} incomplete{listed}", words::counted(closing.incomplete, "row")));
        }
        ProgressMode::Json => words::tell(summary_json(&tally, elapsed, &closing, code)),
        _ => options.say(&summary(&tally, elapsed, &closing)),
    }
    drop(store);
    engine.close()?;
    Ok(code)
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
