use clap::Args;

use super::error::exit_code;
use super::first_pass::prepare;
use super::model::{find_teacher, prices};
use super::options::{
    DuplicateArgs, GateArgs, JudgeArgs, Options, QuestionArgs, ReadArgs, RemainArgs, RuleArgs, SampleArgs,
    SamplingArgs, StoreArgs, SystemArgs, WriteArgs,
};
use super::output::{Gated, OUTPUT, Writer, check_output};
use super::{CliResult, recipe, store};
use crate::report::words::{counted, number};

/// Write what the store has, finished or not; no call is made
#[derive(Args)]
pub struct ExportArgs {
    /// The files that were distilled
    #[arg(required = true)]
    input: Vec<String>,

    /// The teacher that they were distilled with, sampling options included
    #[arg(long, value_name = "MODEL")]
    teacher: Option<String>,

    /// Write the rows here, - for standard output; .gz and .zst are compressed; DIR/ is a directory of Parquet shards
    /// with a dataset card
    #[arg(short, long, value_name = "OUT", default_value = OUTPUT)]
    output: String,

    /// Write an incomplete conversation up to its last good turn
    #[arg(long)]
    keep_partial: bool,

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
}

pub fn run(args: ExportArgs) -> CliResult {
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
        ],
    )?;
    let format = options.output_format()?;
    check_output(&args.output, &args.input)?;
    let found = find_teacher(args.teacher.as_deref(), &options)?;
    let ranker = recipe::find_ranker(&options)?;
    let system = found.system_text(&options)?;
    let recipe = recipe::distill(&found, ranker.as_ref(), &options, system.as_deref())?;
    let store = store::open_reader(&options)?;
    let prepared = prepare(&args.input, &options, &recipe, system.as_deref())?;
    let license = options.license(&args.input);
    let writer = Writer {
        rows: &prepared.rows,
        recipe: &recipe,
        store: &*store,
        format,
        license,
        keep_partial: args.keep_partial,
        gated: Gated::of(&options, prices(&[&found]))?,
    };
    let written = writer.write(&args.output)?;
    options.say(&format!("wrote {}, {}", args.output, counted(written.rows, "row")));
    for (reason, count) in &written.unfit {
        options.say(&format!("left out: {} ({reason})", counted(*count, "row")));
    }
    let missing = written.incomplete + prepared.invalid;
    if missing == 0 {
        return Ok(exit_code::COMPLETE);
    }
    let listed = written.incomplete_path.map_or(String::new(), |path| format!(", listed in {path}"));
    options.say(&format!("incomplete: {}{listed}", counted(missing, "row")));
    for (reason, count) in &written.reasons {
        options.say(&format!("  {} × {reason}", number(*count)));
    }
    Ok(exit_code::INCOMPLETE)
}
