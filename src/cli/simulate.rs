use std::path::PathBuf;

use clap::Args;
use cohobate::export::LeftOutKind;
use cohobate::job::{AskedJob, JobError, ModelSettings};
use cohobate::job::{RunLog, SimulateReport, SimulateSettings, SimulatedWritten, plan_simulate, simulate};
use cohobate::report::words::{self, counted, number};

use super::CliResult;
use super::choices::GateProfile;
use super::names::file_name;
use super::options::{Options, SimulateOptions};
use super::plan::{DryRunArgs, PlanShown};
use super::screen::{Console, Screen, block_on};

/// Where the result goes when no place is named.
const OUTPUT: &str = "simulated.jsonl";

/// Continue dialogues with a model that plays the user
///
/// Each conversation, or bare prompt, is continued until it has N user turns. The source's user messages are kept; the teacher
/// writes every answer, as in distill (answers that the store has from there are reused).
#[derive(Args)]
pub struct SimulateArgs {
    /// Conversations or prompts: files, directories, patterns such as data/*.jsonl, or - for standard input. JSONL, JSON, CSV, TSV,
    /// Parquet and Arrow, also compressed (.gz, .zst, .bz2, .xz)
    #[arg(required = true, value_name = "SEEDS", value_parser = file_name())]
    input: Vec<String>,

    /// Who answers: NAME@URL, a profile of cohobate.toml, or simulated
    #[arg(long, value_name = "MODEL")]
    teacher: Option<String>,

    /// Who plays the user
    #[arg(long, value_name = "MODEL")]
    user: String,

    /// Continue to N user turns
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    turns: u32,

    /// Personas of the users, one a line; each conversation is assigned one at random, the same in every run
    #[arg(long, value_name = "FILE")]
    personas: Option<PathBuf>,

    /// Write the rows here; beside it go OUT.report.json and OUT.report.html
    #[arg(short, long, value_name = "OUT", default_value = OUTPUT, value_parser = file_name())]
    output: String,

    /// Send questions again that failed permanently in an earlier run
    #[arg(long)]
    retry_failed: bool,

    #[command(flatten)]
    dry: DryRunArgs,

    #[command(flatten)]
    options: SimulateOptions,
}

pub fn run(args: SimulateArgs, log: RunLog) -> CliResult {
    block_on(run_simulate(args, log))
}

async fn run_simulate(args: SimulateArgs, log: RunLog) -> CliResult {
    let options = args.options.resolve()?;
    let settings = settings(&args, &options, &options.model_settings())?;
    if args.dry.dry_run {
        let plan = plan_simulate(&settings, options.on_loss(), &Screen::new(&options).reading(&options)?)?;
        return PlanShown::of(&options).show(&plan);
    }
    let output = settings.output.path.clone();
    let console = Console::start(&options, log)?;
    let report = simulate(&settings, &console.context).await?;
    let written = report.written.as_ref();
    let incomplete = written.map_or(0, |written| written.incomplete) + report.invalid;
    let shown = written.map(|written| (&written.report, lines(&report, written, &output)));
    console.conclude(report.stopped.as_ref(), shown, &done(&report), incomplete)
}

fn done(report: &SimulateReport) -> String {
    let tally = &report.tally;
    let (new, reused) = (counted(tally.answered, "answer"), number(tally.reused() + tally.shared));
    format!("{new} new, {reused} reused, {}", words::duration(report.elapsed))
}

/// Returns what a run with these arguments asked; no key is looked for.
pub fn asked(args: &SimulateArgs) -> Result<AskedJob, JobError> {
    let options = args.options.resolve()?;
    Ok(AskedJob::Simulate(Box::new(settings(args, &options, &options.model_settings_offline())?)))
}

fn settings(args: &SimulateArgs, options: &Options, models: &ModelSettings) -> Result<SimulateSettings, JobError> {
    Ok(SimulateSettings {
        output: options.output(&options.placed_or_default(&args.output, OUTPUT)?)?,
        teacher: models.find_teacher(args.teacher.as_deref().or(options.teacher.as_deref()))?,
        user: models.find(&args.user)?,
        input: options.asked_input(&args.input)?,
        store: options.store_path(),
        system: options.system.clone(),
        turns: args.turns,
        personas: args.personas.clone(),
        gate: options.gate_or(GateProfile::Standard)?,
        version: options.version(),
        min_turns: options.turns_min(),
        run: options.run(args.retry_failed)?,
    })
}

fn lines(report: &SimulateReport, written: &SimulatedWritten, output: &str) -> Vec<String> {
    let headline = if report.stopped.is_none() { "done" } else { "stopped" };
    let conversations = counted(report.tally.totals.conversations, "conversation");
    let mut lines = vec![format!("{headline}: {conversations}, {}", done(report))];
    lines.extend(written.report.lines());
    lines.extend(report.left_out.iter().map(|(reason, count)| format!("  left out   {count} × {reason}")));
    let short = written.counts.of(LeftOutKind::Short);
    if short > 0 {
        lines.push(format!("  left out   {} with fewer turns than --min-turns", counted(short, "conversation")));
    }
    let kept = if written.kept_old { " (nothing to write; the old file is kept)" } else { "" };
    let reports = written.reports.as_ref().map_or(String::new(), |stem| format!("; {stem}.json and .html"));
    lines.push(format!("  wrote      {output}, {}{kept}{reports}", counted(written.counts.written, "row")));
    if let Some(listed) = &written.listed {
        lines.push(format!("  listed     {} left out or cut short: {}", counted(listed.rows, "row"), listed.path));
    }
    lines
}
