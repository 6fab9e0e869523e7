//! `cohobate compare`: whose answers are better, and how sure that is.
//!
//! Who is compared is found in `systems`. The run asks systems and judge alike; the last pass (`writing`) counts what the
//! store holds. `controls` has the judge look at pairs whose outcome is known.

mod controls;
mod systems;
mod writing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use systems::Entrant;
use writing::Writing;

use super::engine::{Asked, Engine, Job, block_on};
use super::error::exit_code;
use super::evaluate::{judge_report, write_text};
use super::first_pass::{Prepared, prepare};
use super::judged::{Beside, JudgedRows, find_judge, judge, scope};
use super::options::{
    DuplicateArgs, JudgeArgs, Options, ReadArgs, RuleArgs, RunArgs, SamplingArgs, StoreArgs, VerdictArgs,
};
use super::output::check_directory;
use super::{CliError, CliResult, agreement};
use crate::conversation::Vote;
use crate::recipe::{Compare, ComparedHistory, Recipe, Scale};
use crate::report::words::counted;
use crate::report::{
    AgreementReport, Comparison, ComparisonReport, DatasetReport, ProgressMode, Tally, Totals, comparison_page, words,
};
use crate::store::{DiskStore, Reader};
use crate::worker::{self, Ended};

/// Have systems answer the same conversations and a judge say whose answers are better
#[derive(Args)]
#[command(after_help = "\
Systems are models that answer (--a, --b, --system NAME=MODEL) or files of answers (--answers A B, --system NAME=FILE), whose
rows are found by their id. Two prompts of one model: two profiles in cohobate.toml with the same name and url, and a system
message each. Every pair is judged in both orders.")]
pub struct CompareArgs {
    /// Files of conversations; with --answers the first file of answers
    input: Vec<String>,

    /// A model that answers: NAME@URL, a profile of cohobate.toml, or simulated
    #[arg(long, value_name = "MODEL", requires = "b", conflicts_with = "answers")]
    a: Option<String>,

    /// Another
    #[arg(long, value_name = "MODEL", requires = "a", conflicts_with = "answers")]
    b: Option<String>,

    /// Two files of answers that exist already
    #[arg(long, value_name = "FILE", num_args = 2, value_names = ["A", "B"])]
    answers: Vec<String>,

    /// A system by name: a model, or a file of answers; may be given more than once
    #[arg(long, value_name = "NAME=MODEL|FILE")]
    system: Vec<String>,

    /// Write verdicts.jsonl, report.json, report.html and each model's answers into this directory
    #[arg(short, long, value_name = "DIR", default_value = "comparison")]
    output: String,

    /// What stands before each answer: the system's own answers, or the dataset's, shared by all
    #[arg(long, value_name = "WHOSE", default_value = "own", value_parser = ["own", "shared"])]
    history: String,

    /// Call systems equivalent where the score is surely so near to 50 %, as a share
    #[arg(long, value_name = "SHARE", default_value_t = 0.05, value_parser = share)]
    margin: f64,

    /// Stop once the 95 % interval of every pair's score reaches no further than this to either side, as a share
    #[arg(long, value_name = "SHARE", value_parser = share)]
    stop_at_ci: Option<f64>,

    /// Have the judge look at pairs whose outcome is known as well: the same answers twice, and answers to other questions
    #[arg(long)]
    controls: bool,

    /// People's votes on the same conversations, to say how far the judge agrees with them
    #[arg(long, value_name = "FILE")]
    human: Vec<String>,

    /// Ask again what failed for good in an earlier run
    #[arg(long)]
    retry_failed: bool,

    #[command(flatten)]
    judge: JudgeArgs,

    #[command(flatten)]
    verdict: VerdictArgs,

    #[command(flatten)]
    sampling: SamplingArgs,

    #[command(flatten)]
    read: ReadArgs,

    #[command(flatten)]
    rule: RuleArgs,

    #[command(flatten)]
    duplicate: DuplicateArgs,

    #[command(flatten)]
    run: RunArgs,

    #[command(flatten)]
    store: StoreArgs,
}

fn share(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|share| (0.0..0.5).contains(share)).ok_or("write a share from 0 to 0.5, such as 0.03")
}

pub fn run(args: CompareArgs) -> CliResult {
    block_on(compare(args))
}

async fn compare(args: CompareArgs) -> CliResult {
    let options = Options::resolve(
        &args.store,
        &[&args.judge, &args.verdict, &args.sampling, &args.read, &args.rule, &args.duplicate, &args.run],
    )?;
    let (entrants, inputs) = systems::find_all(&args, &options)?;
    let directory = args.output.trim_end_matches('/').to_owned();
    let files = entrants.iter().filter_map(Entrant::file).chain(options.references.as_deref());
    let read: Vec<&str> = inputs.iter().chain(&args.human).map(String::as_str).chain(files).collect();
    check_directory(&directory, &read, &["answers-", "verdicts", "report."])?;
    let human = agreement::votes(&args.human)?;
    let found = find_judge(&options)?;
    let history = if args.history == "shared" { ComparedHistory::Shared } else { ComparedHistory::Own };
    let judge = judge(&found, Scale::Pair, &options)?;
    let systems = entrants.iter().map(|entrant| entrant.system(&options)).collect::<Result<Vec<_>, _>>()?;
    let recipe = Arc::new(Compare::new(systems, judge.clone(), scope(&options), history));

    let models: Vec<_> = entrants.iter().filter_map(Entrant::model).chain([&found]).collect();
    let engine = Engine::open(&options, &models)?;
    let Prepared { rows, mut left_out, invalid, .. } = prepare(&inputs, &options, &*recipe, None)?;
    let beside = |path: Option<&str>| path.map(|path| Beside::open(path, &options, &*recipe)).transpose();
    let mut files = entrants.iter().map(|entrant| beside(entrant.file())).collect::<Result<Vec<_>, _>>()?;
    let references = beside(options.references.as_deref())?;
    let has_reference_column = references.is_none();
    files.extend(references.map(Some));
    let judged = Arc::new(JudgedRows { rows: Arc::clone(&rows), beside: files, has_reference_column });

    let conversations = conversations(&judged, &recipe, &mut left_out)?;
    if conversations.is_empty() {
        return Err(CliError::usage(
            "there is nothing to compare",
            "give it rows with a user, and with --history shared such as have answers; `cohobate inspect` shows what there is",
        ));
    }
    let report = ComparisonReport {
        schema: 1,
        date: begun_on(&engine.store, &*recipe)?,
        history: args.history.clone(),
        margin: args.margin,
        systems: entrants.iter().map(|entrant| entrant.report(&options)).collect::<Result<_, _>>()?,
        judge: judge_report(&found, &*recipe),
        dataset: DatasetReport {
            inputs: inputs.clone(),
            left_out: left_out.into_iter().chain((invalid > 0).then(|| ("invalid".to_owned(), invalid))).collect(),
            ..DatasetReport::default()
        },
        ..ComparisonReport::default()
    };
    let writing = Writing {
        rows: Arc::clone(&judged),
        recipe: Arc::clone(&recipe),
        prices: engine.prices(),
        store: &*engine.store,
        entrants: &entrants,
    };

    let mut asking = Asking { engine: &engine, options: &options, tally: Tally::default(), elapsed: Duration::ZERO };
    let (comparison, taken) = match ask_all(&mut asking, &writing, &report, &conversations, &args).await? {
        Progress::Stopped(code) => return close(engine, code),
        Progress::Done(done) => done,
    };
    let mut controls = None;
    if args.controls {
        let (job, known) = controls::job(&writing, &conversations[..taken], judge, scope(&options))?;
        if let Some(code) = asking.ask(job).await? {
            return close(engine, code);
        }
        controls = Some(known.report(&*engine.store)?);
    }
    let Asking { tally, elapsed, .. } = asking;

    let (votes, digest) = writing.write(&directory, &conversations[..taken], &comparison)?;
    rows.check_unchanged()?;
    let mut report = comparison.finish();
    report.dataset.digest = digest.to_string();
    if taken < conversations.len() {
        let of = words::number(conversations.len() as u64);
        report.cautions.push(format!("stopped after {taken} of {of} conversations, as --stop-at-ci asks"));
    }
    report.controls = controls;
    if let Some(few) = report.controls.as_ref().map(|controls| controls.same.conversations).filter(|count| *count < 30)
    {
        report.cautions.push(format!("the controls are over {few} conversations only; 30 say something"));
    }
    if let Some(failing) =
        report.controls.as_ref().filter(|controls| !controls.same.passes || !controls.shuffled.passes)
    {
        let which = if failing.same.passes { "shuffled answers" } else { "the same answers twice" };
        report.cautions.push(format!("the control with {which} is not as it should be: do not trust this judge"));
    }
    if !human.is_empty() {
        calibrate(&mut report, &votes, &human);
    }
    let json = serde_json::to_string_pretty(&report).map_err(|error| CliError::failure(error.to_string()))?;
    write_text(&format!("{directory}/report.json"), &format!("{json}\n"))?;
    write_text(&format!("{directory}/report.html"), &comparison_page(&report))?;

    show(&report, &tally, elapsed, &directory, &options)?;
    let is_whole = report.incomplete.is_empty() && invalid == 0;
    close(engine, if is_whole { exit_code::COMPLETE } else { exit_code::INCOMPLETE })
}

fn show(
    report: &ComparisonReport,
    tally: &Tally,
    elapsed: Duration,
    directory: &str,
    options: &Options,
) -> Result<(), CliError> {
    if options.progress() == ProgressMode::Json {
        words::tell(serde_json::to_value(report).map_err(|error| CliError::failure(error.to_string()))?);
        return Ok(());
    }
    let (new, old) = (counted(tally.answered, "answer"), words::number(tally.reused + tally.shared));
    let conversations = counted(report.dataset.conversations, "conversation");
    options.say(&format!("done: {conversations}, {new} new, {old} reused, {}", words::duration(elapsed)));
    report.lines().iter().for_each(|line| options.say(line));
    options.say(&format!("wrote {directory}/report.html, report.json, verdicts.jsonl"));
    Ok(())
}

/// Returns the rows that hold conversations, and how many answers each takes.
fn conversations(
    judged: &JudgedRows,
    recipe: &Compare,
    left_out: &mut BTreeMap<String, u64>,
) -> Result<Vec<(u64, u64)>, CliError> {
    let mut conversations = Vec::new();
    for row in 0..judged.rows.len() {
        let Some(seed) = judged.read(row)? else { continue };
        if recipe.can_take(&seed) {
            conversations.push((row, u64::from(recipe.turn_count(&seed))));
        } else {
            *left_out.entry("no_shared_history".to_owned()).or_default() += 1;
        }
    }
    Ok(conversations)
}

/// Puts the judge beside people, where they have voted on the same answers.
fn calibrate(report: &mut ComparisonReport, votes: &[Vote], human: &[Vote]) {
    let agreement = AgreementReport::of(votes, human);
    if agreement.majority.items == 0 {
        report.cautions.push("the people's votes are on none of these answers".to_owned());
    } else {
        report.human_pairs = agreement.pairs;
        report.calibration = Some(agreement.majority);
    }
}

/// What is asked of whom, and how that goes.
struct Asking<'a> {
    engine: &'a Engine<'a>,
    options: &'a Options,
    tally: Tally,
    elapsed: Duration,
}

impl Asking<'_> {
    /// Asks; returns an exit code where the run was stopped before its end.
    async fn ask(&mut self, job: Job) -> Result<Option<u8>, CliError> {
        let Asked { ended, tally: this, elapsed: took, .. } = self.engine.ask(job).await?;
        self.tally.answered += this.answered;
        self.tally.reused += this.reused;
        self.tally.shared += this.shared;
        self.elapsed += took;
        let Ended::Stopped(reason) = ended else { return Ok(None) };
        let (code, hint) = self.engine.stopped(&reason);
        let (done, took) = (counted(this.done(), "answer"), words::duration(self.elapsed));
        let of = words::number(this.totals.turns);
        self.options.say(&format!("stopped: {done} of at most {of}, {took}\nhint: {hint}"));
        Ok(Some(code))
    }
}

/// How far asking went.
enum Progress<T> {
    Done(T),
    Stopped(u8),
}

/// Asks about all conversations at once, or in steps until the interval is narrow enough. The rows of a step are those in
/// front, so that how far it goes is the same in every run. Returns the count, and over how many conversations it goes.
async fn ask_all(
    asking: &mut Asking<'_>,
    writing: &Writing<'_>,
    report: &ComparisonReport,
    conversations: &[(u64, u64)],
    args: &CompareArgs,
) -> Result<Progress<(Comparison, usize)>, CliError> {
    let mut taken = 0;
    loop {
        let step = next_step(taken, conversations.len(), args.stop_at_ci);
        let rows = conversations[taken..step].to_vec();
        let job = Job {
            recipe: Arc::clone(&writing.recipe) as Arc<dyn Recipe>,
            seeds: Arc::clone(&writing.rows) as Arc<dyn worker::Seeds>,
            totals: Totals { conversations: rows.len() as u64, turns: rows.iter().map(|(_, calls)| calls).sum() },
            rows: Box::new(rows.into_iter().map(|(row, _)| Ok(worker::Admit::Row(row)))),
            retry_failed: args.retry_failed,
        };
        taken = step;
        if let Some(code) = asking.ask(job).await? {
            return Ok(Progress::Stopped(code));
        }
        let comparison = writing.count(Comparison::new(report.clone()), &conversations[..taken])?;
        let is_narrow = args.stop_at_ci.is_some_and(|width| comparison.half_width() <= width);
        if taken == conversations.len() || is_narrow {
            return Ok(Progress::Done((comparison, taken)));
        }
    }
}

fn close(engine: Engine<'_>, code: u8) -> CliResult {
    engine.close()?;
    Ok(code)
}

/// Returns how many conversations are to be judged before the interval is looked at again: each look half as many again.
fn next_step(taken: usize, all: usize, stop_at: Option<f64>) -> usize {
    const FIRST: usize = 64;
    match stop_at {
        None => all,
        Some(_) => (taken + taken / 2).max(FIRST).min(all),
    }
}

/// Returns the day on which a comparison with these settings was first begun.
fn begun_on(store: &DiskStore, recipe: &dyn Recipe) -> Result<String, CliError> {
    let runs = store.runs()?;
    let first = runs.iter().find(|run| run.settings.digest() == recipe.settings().digest());
    let started = match first {
        Some(run) => {
            jiff::Timestamp::from_millisecond(run.started_ms.cast_signed()).unwrap_or_else(|_| jiff::Timestamp::now())
        }
        None => jiff::Timestamp::now(),
    };
    Ok(started.strftime("%Y-%m-%d").to_string())
}

/// Prices by model.
type Prices = BTreeMap<String, crate::conversation::Price>;
