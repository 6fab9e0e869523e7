use clap::Args;
use cohobate::job::JobError;
use cohobate::job::{
    AnswersFrom, AskedJob, CompareReport, CompareSettings, ComparisonWritten, Entrant, compare, name_of_file, path_of,
    plan_compare,
};
use cohobate::job::{ModelSettings, RunLog};
use cohobate::model::ModelReference;
use cohobate::recipe::ComparedHistory;
use cohobate::report::words::{self, counted};

use super::CliResult;
use super::error::exit_code;
use super::names::file_name;
use super::options::{CompareOptions, Options};
use super::plan::{DryRunArgs, PlanShown};
use super::screen::{Console, Screen, block_on};

/// Where the result goes when no place is named.
const OUTPUT: &str = "comparison";

/// Have systems answer the same conversations and a judge say whose answers are better
#[derive(Args)]
#[command(after_help = "\
Systems are models that answer (--a, --b, --system NAME=MODEL) or files of answers (--answers A B, --system NAME=FILE), whose
rows are found by their id. Two prompts of one model: two profiles in cohobate.toml with the same name and url, and a system
message each. Every pair is judged in both orders.")]
pub struct CompareArgs {
    /// Conversations: files, directories, patterns such as data/*.jsonl, or - for standard input; with --answers the first file of
    /// answers where none is named
    #[arg(value_parser = file_name())]
    input: Vec<String>,

    /// A model that answers: NAME@URL, a profile of cohobate.toml, or simulated
    #[arg(long, value_name = "MODEL", requires = "b", conflicts_with = "answers")]
    a: Option<String>,

    /// Another
    #[arg(long, value_name = "MODEL", requires = "a", conflicts_with = "answers")]
    b: Option<String>,

    /// Two existing answer files
    #[arg(long, value_name = "FILE", num_args = 2, value_names = ["A", "B"], value_parser = file_name())]
    answers: Vec<String>,

    /// A system by name: a model, or a file of answers; may be given more than once
    #[arg(long, value_name = "NAME=MODEL|FILE", value_parser = file_name())]
    system: Vec<String>,

    /// Write verdicts.jsonl, report.json, report.html and each model's answers into this directory
    #[arg(short, long, value_name = "DIR", default_value = OUTPUT, value_parser = file_name())]
    output: String,

    /// What comes before each answer: the system's own answers, or the dataset's, shared by all
    #[arg(long, value_name = "WHOSE", default_value = "own", value_parser = history)]
    history: ComparedHistory,

    /// Call systems equivalent where the score is certainly this close to 50 %, as a share
    #[arg(long, value_name = "SHARE", default_value_t = 0.05, value_parser = share)]
    margin: f64,

    /// Stop once the 95 % interval of every pair's score reaches no further than this to either side, as a share
    #[arg(long, value_name = "SHARE", value_parser = share)]
    stop_at_ci: Option<f64>,

    /// Do not show the judge answers that are known to be right or wrong first
    #[arg(long, conflicts_with = "controls")]
    no_controls: bool,

    /// People's votes on the same conversations, to say how far the judge agrees with them
    #[arg(long, value_name = "FILE", value_parser = file_name())]
    human: Vec<String>,

    /// Send questions again that failed permanently in an earlier run
    #[arg(long)]
    retry_failed: bool,

    #[command(flatten)]
    dry: DryRunArgs,

    #[command(flatten)]
    options: CompareOptions,
}

fn share(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|share| (0.0..0.5).contains(share)).ok_or("write a share from 0 to 0.5, such as 0.03")
}

fn history(text: &str) -> Result<ComparedHistory, &'static str> {
    match text {
        "own" => Ok(ComparedHistory::Own),
        "shared" => Ok(ComparedHistory::Shared),
        _ => Err("write own or shared"),
    }
}

pub fn run(args: CompareArgs, log: RunLog) -> CliResult {
    block_on(run_compare(args, log))
}

async fn run_compare(args: CompareArgs, log: RunLog) -> CliResult {
    let options = args.options.resolve()?;
    let is_dry = args.dry.dry_run;
    let settings = settings(args, &options, &options.model_settings())?;
    if is_dry {
        let plan = plan_compare(&settings, options.on_loss(), &Screen::new(&options).reading(&options)?)?;
        return PlanShown::of(&options).show(&plan);
    }
    let console = Console::start(&options, log)?;
    let report = compare(&settings, &console.context).await?;
    let screen = &console.screen;
    match &report.end {
        Ok(written) => {
            screen.conclude(&written.report, || lines(&report, written, &settings.directory))?;
            let is_whole = written.report.incomplete.is_empty() && written.invalid == 0;
            let is_whole = is_whole && !written.report.has_unreliable_judge();
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
pub fn asked(args: CompareArgs) -> Result<AskedJob, JobError> {
    let options = args.options.resolve()?;
    let settings = settings(args, &options, &options.model_settings_offline())?;
    Ok(AskedJob::Compare(Box::new(settings)))
}

fn settings(args: CompareArgs, options: &Options, models: &ModelSettings) -> Result<CompareSettings, JobError> {
    let entrants = entrants(&args, models)?;
    let inputs = match &args.input[..] {
        [] => args.answers.first().cloned().into_iter().collect(),
        named => named.to_vec(),
    };
    Ok(CompareSettings {
        input: options.asked_input(&inputs)?,
        store: options.store_path(),
        directory: options.placed_or_default(args.output.trim_end_matches('/'), OUTPUT)?,
        entrants,
        system: options.system.clone(),
        judge: options.judge(models)?,
        scope: options.scope(),
        history: args.history,
        margin: args.margin,
        stop_at_ci: args.stop_at_ci,
        controls: if args.no_controls { Some(false) } else { options.controls },
        human: args.human,
        references: options.references.clone(),
        run: options.run(args.retry_failed)?,
    })
}

/// Returns the systems: those of --a and --b, of --answers, and of --system.
fn entrants(args: &CompareArgs, models: &ModelSettings) -> Result<Vec<Entrant>, JobError> {
    let mut named: Vec<(String, String)> = Vec::new();
    named.extend(args.a.iter().chain(&args.b).map(|model| (short(model), model.clone())));
    named.extend(args.answers.iter().map(|file| (name_of_file(file), file.clone())));
    for system in &args.system {
        let split = system.split_once('=').filter(|(name, from)| !name.is_empty() && !from.is_empty());
        let (name, from) = split.ok_or_else(|| {
            let message = format!("--system {system} names no system");
            JobError::usage(message, "write --system NAME=MODEL or --system NAME=FILE")
        })?;
        named.push((name.to_owned(), from.to_owned()));
    }
    if let [(first, _), (second, _)] = &mut named[..]
        && first == second
    {
        first.push_str(" (a)");
        second.push_str(" (b)");
    }
    let entrants = named.into_iter().map(|(name, from)| {
        let is_file = path_of(&from).is_file() || args.answers.contains(&from);
        let from = if is_file { AnswersFrom::File(from) } else { AnswersFrom::Model(Box::new(models.find(&from)?)) };
        Ok(Entrant { name, from })
    });
    entrants.collect()
}

/// Returns a model's name without its address.
fn short(model: &str) -> String {
    match model.parse() {
        Ok(ModelReference::Http { name, .. }) => name,
        _ => model.to_owned(),
    }
}

fn say_stopped(report: &CompareReport, hint: &str, screen: &Screen) {
    let tally = &report.tally;
    let (done, of) = (counted(tally.done(), "answer"), words::number(tally.totals.turns));
    screen.say(format!("stopped: {done} of at most {of}, {}", words::duration(report.elapsed)));
    screen.hint(hint);
}

fn lines(report: &CompareReport, written: &ComparisonWritten, directory: &str) -> Vec<String> {
    let tally = &report.tally;
    let (new, reused) = (counted(tally.answered, "answer"), words::number(tally.reused() + tally.shared));
    let conversations = counted(written.report.dataset.conversations, "conversation");
    let mut lines =
        vec![format!("done: {conversations}, {new} new, {reused} reused, {}", words::duration(report.elapsed))];
    lines.extend(written.report.lines());
    lines.push(format!("wrote {directory}/report.html, report.json, verdicts.jsonl"));
    if let Some(listed) = &written.listed {
        lines.push(format!(
            "listed {} left out, or with something missing: {}",
            counted(listed.rows, "row"),
            listed.path
        ));
    }
    lines
}
