use std::path::PathBuf;

use clap::Args;
use cohobate::job::{
    AskedJob, EvaluateReport, EvaluateSettings, Evaluated, JobError, ModelSettings, RunLog, evaluate, plan_evaluate,
};
use cohobate::recipe::JudgedHistory;
use cohobate::report::EvaluationMode;
use cohobate::report::words::{self, counted};

use super::CliResult;
use super::error::exit_code;
use super::names::file_name;
use super::options::{EvaluateOptions, Options};
use super::plan::{DryRunArgs, PlanShown};
use super::screen::{Console, Screen, block_on};
use cohobate::export::LeftOutKind;

/// Where the result goes when no place is named.
const OUTPUT: &str = "scores.jsonl";

/// Have a judge score the answers of a dataset
#[derive(Args)]
pub struct EvaluateArgs {
    /// Finished conversations: files, directories, patterns such as data/*.jsonl, or - for standard input. JSONL, JSON, CSV, TSV,
    /// Parquet and Arrow, also compressed (.gz, .zst, .bz2, .xz)
    #[arg(required = true, value_parser = file_name())]
    input: Vec<String>,

    /// Write the rows with their scores in `meta.judge` here; beside it go OUT.report.json and OUT.report.html
    #[arg(short, long, value_name = "SCORES", default_value = OUTPUT, value_parser = file_name())]
    output: String,

    /// What the judge gives: score, 1 to 10; check, whether each criterion is met; rubric, 1 to 5 by five descriptions
    #[arg(long, value_name = "MODE", default_value = "score", value_parser = mode)]
    mode: EvaluationMode,

    /// For check one criterion a line, for rubric what is looked for and what each grade means; a row's own column `criteria`
    /// takes precedence
    #[arg(long, value_name = "FILE")]
    criteria: Option<PathBuf>,

    /// What the judge sees before an answer: the same speaker's own earlier answers, or the golden ones of the references
    #[arg(long, value_name = "WHOSE", default_value = "own", value_parser = history)]
    history: JudgedHistory,

    /// Do not show the judge answers that are known to be right or wrong first
    #[arg(long, conflicts_with = "controls")]
    no_controls: bool,

    /// Send questions again that failed permanently in an earlier run
    #[arg(long)]
    retry_failed: bool,

    #[command(flatten)]
    dry: DryRunArgs,

    #[command(flatten)]
    options: EvaluateOptions,
}

fn mode(text: &str) -> Result<EvaluationMode, &'static str> {
    let mode = EvaluationMode::ALL.iter().find(|(name, _)| *name == text);
    mode.map(|(_, mode)| *mode).ok_or("write score, check or rubric")
}

fn history(text: &str) -> Result<JudgedHistory, &'static str> {
    match text {
        "own" => Ok(JudgedHistory::Own),
        "golden" => Ok(JudgedHistory::Golden),
        _ => Err("write own or golden"),
    }
}

pub fn run(args: EvaluateArgs, log: RunLog) -> CliResult {
    block_on(run_evaluate(args, log))
}

async fn run_evaluate(args: EvaluateArgs, log: RunLog) -> CliResult {
    let options = args.options.resolve()?;
    let settings = settings(&args, &options, &options.model_settings())?;
    if args.dry.dry_run {
        let plan = plan_evaluate(&settings, options.on_loss(), &Screen::new(&options).reading(&options)?)?;
        return PlanShown::of(&options).show(&plan);
    }
    let output = settings.output.path.clone();
    let console = Console::start(&options, log)?;
    let report = evaluate(&settings, &console.context).await?;
    let screen = &console.screen;
    match &report.end {
        Ok(evaluated) => {
            screen.conclude(&evaluated.report, || lines(&report, evaluated, &output))?;
            let invalid = evaluated.counts.of(LeftOutKind::Invalid);
            let is_whole = evaluated.report.incomplete.is_empty() && invalid == 0;
            let is_whole = is_whole && !evaluated.report.has_unreliable_judge();
            Ok(if is_whole { exit_code::COMPLETE } else { exit_code::INCOMPLETE })
        }
        Err(reason) => {
            let (code, hint) = console.stopped(reason);
            say_stopped(&report, &hint, screen);
            Ok(code)
        }
    }
}

/// Returns what a run with these arguments asked; no key is looked for.
pub fn asked(args: EvaluateArgs) -> Result<AskedJob, JobError> {
    let options = args.options.resolve()?;
    Ok(AskedJob::Evaluate(Box::new(settings(&args, &options, &options.model_settings_offline())?)))
}

fn settings(args: &EvaluateArgs, options: &Options, models: &ModelSettings) -> Result<EvaluateSettings, JobError> {
    Ok(EvaluateSettings {
        output: options.output(&options.placed_or_default(&args.output, OUTPUT)?)?,
        judge: options.judge(models)?,
        input: options.asked_input(&args.input)?,
        store: options.store_path(),
        mode: args.mode,
        scope: options.scope(),
        history: args.history,
        criteria: args.criteria.clone(),
        references: options.references.clone(),
        controls: if args.no_controls { Some(false) } else { options.controls },
        run: options.run(args.retry_failed)?,
    })
}

fn say_stopped(report: &EvaluateReport, hint: &str, screen: &Screen) {
    // Controls count on both sides.
    let done = format!("{} of {}", words::number(report.tally.done()), counted(report.tally.totals.turns, "mark"));
    screen.say(format!("stopped: {done}, {}", words::duration(report.elapsed)));
    screen.hint(hint);
}

fn lines(report: &EvaluateReport, evaluated: &Evaluated, output: &str) -> Vec<String> {
    let tally = &report.tally;
    let new = counted(tally.answered, "verdict");
    let reused = words::number(tally.reused() + tally.shared);
    let conversations = counted(report.totals.conversations, "conversation");
    let mut lines =
        vec![format!("done: {conversations}, {new} new, {reused} reused, {}", words::duration(report.elapsed))];
    lines.extend(evaluated.report.lines());
    let reports = evaluated.reports.as_ref().map_or(String::new(), |stem| format!("; {stem}.json and .html"));
    lines.push(if evaluated.kept_old {
        format!("  wrote             no row to write; {output} is left as it was{reports}")
    } else {
        format!("  wrote             {output}, {}{reports}", counted(evaluated.counts.written, "row"))
    });
    if let Some(listed) = &evaluated.listed {
        let rows = counted(listed.rows, "row");
        lines.push(format!("  listed            {rows} left out or not judged in full: {}", listed.path));
    }
    lines
}
