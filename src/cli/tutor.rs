use clap::Args;
use cohobate::job::{AskedJob, JobError, ModelSettings};
use cohobate::job::{RunLog, TutorReport, TutorSettings, TutoredWritten, grader, plan_tutor, sft_format, tutor};
use cohobate::recipe::History;
use cohobate::report::words::{self, counted, number};

use super::CliResult;
use super::choices::GateProfile;
use super::names::file_name;
use super::options::{Options, TutorOptions};
use super::plan::{DryRunArgs, PlanShown};
use super::screen::{Console, Screen, block_on};

/// Where the result goes when no place is named.
const OUTPUT: &str = "tutored";

/// Have a student answer, and a teacher grade and correct it
///
/// Turn by turn: the student answers; the teacher grades with quoted errors, and keeps, edits or rewrites the answer; a blind judge
/// compares the two in both orders. Writes sft.jsonl, dpo.jsonl, kto.jsonl, critique.jsonl,
/// hard.jsonl, turns.csv and a report into one directory.
#[derive(Args)]
pub struct TutorArgs {
    /// Conversations or prompts: files, directories, patterns such as data/*.jsonl, or - for standard input. JSONL, JSON, CSV, TSV,
    /// Parquet and Arrow, also compressed (.gz, .zst, .bz2, .xz)
    #[arg(required = true, value_parser = file_name())]
    input: Vec<String>,

    /// Who learns: NAME@URL, a profile of cohobate.toml, or simulated; may be given more than once, one for each round, the
    /// last one for all further rounds
    #[arg(long, required = true, value_name = "MODEL")]
    student: Vec<String>,

    /// Who grades and corrects
    #[arg(long, value_name = "MODEL")]
    teacher: Option<String>,

    /// Whose answers conversations continue with: forced, the teacher's; student, its own; mixed:P, its own with probability P.
    /// Rows are written for the first; further ones, after a comma, are led for the student's scores alone: forced,student shows
    /// the exposure bias
    #[arg(long, value_name = "POLICY", default_value = "forced", value_delimiter = ',')]
    history: Vec<History>,

    /// Ask the student again in each of R rounds, and compare them; answers of earlier rounds are reused. Between two rounds the
    /// student learns [default: one for each --student]
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,

    /// Write into this directory; rounds before the last into round-1, round-2 below it
    #[arg(short, long, value_name = "DIR", default_value = OUTPUT, value_parser = file_name())]
    output: String,

    /// Write sft.jsonl for this trainer: trl-prompt-completion or per-turn; loss on the correction only
    /// [default: trl-prompt-completion]
    #[arg(long, value_name = "FORMAT")]
    to: Option<String>,

    /// Send questions again that failed permanently in an earlier run
    #[arg(long)]
    retry_failed: bool,

    #[command(flatten)]
    dry: DryRunArgs,

    #[command(flatten)]
    options: TutorOptions,
}

pub fn run(args: TutorArgs, log: RunLog) -> CliResult {
    block_on(run_tutor(args, log))
}

async fn run_tutor(args: TutorArgs, log: RunLog) -> CliResult {
    let options = args.options.resolve()?;
    let settings = settings(&args, &options, &options.model_settings())?;
    if args.dry.dry_run {
        let plan = plan_tutor(&settings, options.on_loss(), &Screen::new(&options).reading(&options)?)?;
        return PlanShown::of(&options).show(&plan);
    }
    let console = Console::start(&options, log)?;
    let report = tutor(&settings, &console.context).await?;
    let written = report.written.as_ref();
    let incomplete = written.map_or(0, |written| written.incomplete) + report.invalid;
    let shown = written.map(|written| (&written.report, lines(&report, written, &settings.directory)));
    console.conclude(report.stopped.as_ref(), shown, &done(&report), incomplete)
}

/// Returns what a run with these arguments asked; no key is looked for.
pub fn asked(args: &TutorArgs) -> Result<AskedJob, JobError> {
    let options = args.options.resolve()?;
    Ok(AskedJob::Tutor(Box::new(settings(args, &options, &options.model_settings_offline())?)))
}

fn settings(args: &TutorArgs, options: &Options, models: &ModelSettings) -> Result<TutorSettings, JobError> {
    let students = args.student.iter().map(|name| models.find(name));
    let name = args.teacher.as_deref().or(options.teacher.as_deref());
    let teacher = models.find_teacher(name)?;
    Ok(TutorSettings {
        format: sft_format(args.to.as_deref(), options.to.as_deref())?,
        students: students.collect::<Result<_, _>>()?,
        grader: grader(&teacher, models.find_judge(name.unwrap_or_default())?),
        teacher,
        judge: options.judge.as_deref().map(|name| models.find_judge(name)).transpose()?,
        prompt: options.prompt.clone(),
        repeats: options.repeats.unwrap_or(1),
        input: options.asked_input(&args.input)?,
        store: options.store_path(),
        directory: options.placed_or_default(args.output.trim_end_matches('/'), OUTPUT)?,
        system: options.system.clone(),
        histories: args.history.clone(),
        rounds: args.rounds,
        gate: options.gate_or(GateProfile::Standard)?,
        version: options.version(),
        run: options.run(args.retry_failed)?,
    })
}

fn done(report: &TutorReport) -> String {
    let (new, reused) = (counted(report.answered, "answer"), number(report.reused));
    format!("{new} new, {reused} reused, {}", words::duration(report.elapsed))
}

fn lines(report: &TutorReport, written: &TutoredWritten, directory: &str) -> Vec<String> {
    let headline = if report.stopped.is_none() { "done" } else { "stopped" };
    let conversations = counted(report.totals.conversations, "conversation");
    let mut lines = vec![format!("{headline}: {conversations}, {}", done(report))];
    lines.extend(written.report.lines());
    lines.extend(report.left_out.iter().map(|(reason, count)| format!("  left out   {count} × {reason}")));
    let files = written.rows.iter().map(|(name, rows)| format!("{name} {}", number(*rows)));
    let rows = match files.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => "no row to write, the old files are kept".to_owned(),
        files => format!("rows: {files}"),
    };
    lines.push(format!("  wrote      {directory}/, {rows}; turns.csv, report.json, report.html"));
    if let Some(listed) = &written.listed {
        lines.push(format!("  listed     {} left out or cut short: {}", counted(listed.rows, "row"), listed.path));
    }
    lines
}
