//! `cohobate tutor`: what is asked of whom (`passes`), and what is written of it (`writing`, `files`).

mod files;
mod passes;
mod writing;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::engine::{Asked, Engine, Job, block_on};
use super::error::exit_code;
use super::evaluate::write_text;
use super::first_pass::{Prepared, Row, prepare};
use super::judged::{JUDGE_SAMPLING, JUDGMENT_TOKENS};
use super::model::{Found, find, find_teacher};
use super::options::{
    DuplicateArgs, GateArgs, GateProfile, JudgeArgs, Options, ReadArgs, RuleArgs, RunArgs, SamplingArgs, StoreArgs,
    SystemArgs,
};
use super::output::{answers_in, check_directory, check_output};
use super::{CliError, CliResult};
use crate::conversation::{Lane, Question, Sampling, Target};
use crate::recipe::{History, Progress, Recipe, Replay};
use crate::report::words::{counted, number};
use crate::report::{ProgressMode, Totals, tutoring_page, words};
use crate::store::Reader;
use crate::worker::{self, Ended, StopReason};
use passes::{Parties, Pass, passes};
use writing::{Writing, Written};

/// Have a student answer, and a teacher grade and correct it
///
/// Turn by turn: the student answers, the teacher grades with quoted errors, keeps, edits or rewrites the answer, and a judge that
/// does not know whose is which compares the two in both orders. Writes sft.jsonl, dpo.jsonl, kto.jsonl, critique.jsonl,
/// hard.jsonl, turns.csv and a report into one directory.
#[derive(Args)]
pub struct TutorArgs {
    /// Files of conversations or prompts
    #[arg(required = true)]
    input: Vec<String>,

    /// Who is to learn: NAME@URL, a profile of cohobate.toml, or simulated; given several times, one for each
    /// round, the last one for those that follow
    #[arg(long, required = true, value_name = "MODEL")]
    student: Vec<String>,

    /// Who grades and corrects
    #[arg(long, value_name = "MODEL")]
    teacher: Option<String>,

    /// With whose answers conversations go on: forced, the teacher's; student, its own; mixed:P, its own with probability P. What
    /// comes behind a comma is led for the student's scores alone: forced,student shows the exposure bias
    #[arg(long, value_name = "POLICY", default_value = "forced", value_delimiter = ',')]
    history: Vec<History>,

    /// Ask the student anew in each of so many rounds and compare them; what earlier rounds asked is in the store. Between two
    /// rounds the student learns [default: one for each --student]
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,

    /// Write into this directory; rounds before the last into round-1, round-2 below it
    #[arg(short, long, value_name = "DIR", default_value = "tutored")]
    output: String,

    /// Write sft.jsonl for this trainer: trl-prompt-completion or per-turn; only the correction is learned
    /// [default: trl-prompt-completion]
    #[arg(long, value_name = "FORMAT")]
    to: Option<String>,

    /// Ask again what failed for good in an earlier run
    #[arg(long)]
    retry_failed: bool,

    #[command(flatten)]
    judge: JudgeArgs,

    #[command(flatten)]
    read: ReadArgs,

    #[command(flatten)]
    rule: RuleArgs,

    #[command(flatten)]
    duplicate: DuplicateArgs,

    #[command(flatten)]
    gate: GateArgs,

    #[command(flatten)]
    sampling: SamplingArgs,

    #[command(flatten)]
    system: SystemArgs,

    #[command(flatten)]
    run: RunArgs,

    #[command(flatten)]
    store: StoreArgs,
}

/// Files that are written, by how their names begin.
const OURS: [&str; 8] = ["sft.", "dpo.", "kto.", "critique.", "hard.", "turns.", "report.", "incomplete."];

pub fn run(args: TutorArgs) -> CliResult {
    block_on(tutor(args))
}

async fn tutor(args: TutorArgs) -> CliResult {
    let options = Options::resolve(
        &args.store,
        &[&args.judge, &args.read, &args.rule, &args.duplicate, &args.gate, &args.sampling, &args.system, &args.run],
    )?;
    let format = files::sft_format(args.to.as_deref(), options.to.as_deref())?;
    let directory = args.output.trim_end_matches('/').to_owned();
    let read: Vec<&str> = args.input.iter().map(String::as_str).collect();
    let parties = find_parties(&args, &options)?;
    let system = parties.system_text(&options)?;
    let gate = options.gate_or(GateProfile::Standard)?;
    let passes = passes(&args.history, args.rounds, &parties, gate.as_ref(), system.as_deref(), &options)?;
    let rounds = passes.len() as u32 / args.history.len() as u32;
    for place in places(&directory, rounds) {
        check_directory(&place, &read, &OURS)?;
    }
    check_output(&format!("{directory}/sft.jsonl"), &args.input)?;

    let engine = Engine::open(&options, &parties.all())?;
    let store = Arc::clone(&engine.store);
    let prepared = prepare(&args.input, &options, &*passes[0].recipe, system.as_deref())?;
    let mut asking = Asking {
        engine: &engine,
        options: &options,
        prepared: &prepared,
        counted_per_turn: passes[0].recipe.calls_per_turn(),
        answered: 0,
        reused: 0,
        elapsed: Duration::ZERO,
    };
    let (mut code, mut hint, mut stop) = (exit_code::COMPLETE, None, "unasked");
    for pass in &passes {
        asking.warn_of_late(pass, &passes)?;
        let Some(reason) = asking.ask(pass, passes.len() > 1, args.retry_failed).await? else { continue };
        let (stopped, words) = engine.stopped(&reason);
        (code, hint) = (stopped, Some(words));
        // A cap is an end like others: what there is can be used. Whoever stopped the run wants to go on.
        if !matches!(reason, StopReason::Budget(_)) {
            options.say(&format!("stopped: {}", asking.done()));
            options.say(&format!("hint: {}", hint.unwrap_or_default()));
            drop(store);
            engine.close()?;
            return Ok(code);
        }
        stop = "budget";
        break;
    }
    let done = asking.done();
    let writing = Writing {
        rows: &prepared.rows,
        passes: &passes,
        parties: &parties,
        store: &*store as &dyn Reader,
        format,
        stop,
    };
    let written = writing.write(&directory, parties.report(&passes))?;
    let json = serde_json::to_string_pretty(&written.report).map_err(|error| CliError::failure(error.to_string()))?;
    write_text(&format!("{directory}/report.json"), &format!("{json}\n"))?;
    write_text(&format!("{directory}/report.html"), &tutoring_page(&written.report))?;
    if Path::new(&format!("{directory}/round-{rounds}")).exists() {
        options.say(&format!(
            "{directory}/round-{rounds} and what may follow it are an earlier run's, and left as they are"
        ));
    }
    if code == exit_code::COMPLETE && (written.incomplete > 0 || prepared.invalid > 0) {
        code = exit_code::INCOMPLETE;
    }
    if options.progress() == ProgressMode::Json {
        words::tell(serde_json::to_value(&written.report).map_err(|error| CliError::failure(error.to_string()))?);
    } else {
        let headline = if hint.is_none() { "done" } else { "stopped" };
        options.say(&format!("{headline}: {}, {done}", counted(prepared.totals.conversations, "conversation")));
        show(&written, &prepared, &directory, &options);
        if let Some(hint) = &hint {
            options.say(&format!("hint: {hint}"));
        }
    }
    drop(store);
    engine.close()?;
    Ok(code)
}

fn show(written: &Written, prepared: &Prepared, directory: &str, options: &Options) {
    written.report.lines().iter().for_each(|line| options.say(line));
    for (reason, count) in &prepared.left_out {
        options.say(&format!("  left out   {count} × {reason}"));
    }
    let files = written.rows.iter().map(|(name, rows)| format!("{name} {}", number(*rows)));
    let rows = match files.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => "no row to write, the old ones stay".to_owned(),
        files => format!("rows: {files}"),
    };
    options.say(&format!("  wrote      {directory}/, {rows}; turns.csv, report.json, report.html"));
    if let Some(path) = &written.listed {
        options.say(&format!("  listed     conversations that were cut short: {path}"));
    }
}

/// Returns the directories of all rounds, the last one's first.
fn places(directory: &str, rounds: u32) -> impl Iterator<Item = String> {
    let earlier = (1..rounds).map(move |round| format!("{directory}/round-{round}"));
    [directory.to_owned()].into_iter().chain(earlier)
}

fn find_parties(args: &TutorArgs, options: &Options) -> Result<Parties, CliError> {
    let students = args.student.iter().map(|name| find(name, options, options.sampling()));
    let students: Vec<Found> = students.collect::<Result<_, _>>()?;
    let teacher = find_teacher(args.teacher.as_deref(), options)?;
    let name = args.teacher.as_deref().or(options.teacher.as_deref()).unwrap_or_default();
    let mut grader = find(name, options, JUDGE_SAMPLING)?;
    // A teacher that may think for as long as it likes grades so too; another has never less room than a grade takes.
    let tokens = teacher.target.sampling().max_tokens.map(|tokens| tokens.max(JUDGMENT_TOKENS));
    let sampling = Sampling { max_tokens: tokens, ..grader.target.sampling().clone() };
    grader.target = Target::new(grader.target.model(), grader.target.dialect(), sampling);
    let judge = options.judge.as_deref().map(|name| find(name, options, JUDGE_SAMPLING)).transpose()?;
    Ok(Parties { students, teacher, grader, judge })
}

/// Pass after pass, and how that goes.
struct Asking<'a> {
    engine: &'a Engine<'a>,
    options: &'a Options,
    prepared: &'a Prepared,
    /// Calls of a turn by which `prepared` has counted: those of the first pass.
    counted_per_turn: u32,
    answered: u64,
    reused: u64,
    elapsed: Duration,
}

impl Asking<'_> {
    /// Asks what a pass wants to know; returns why it was stopped before its end.
    async fn ask(
        &mut self,
        pass: &Pass,
        is_one_of_several: bool,
        retry_failed: bool,
    ) -> Result<Option<StopReason>, CliError> {
        let store = Arc::clone(&self.engine.store) as Arc<dyn Reader>;
        let Prepared { rows, totals, .. } = self.prepared;
        let job = Job {
            recipe: Arc::clone(&pass.recipe) as Arc<dyn Recipe>,
            seeds: Arc::clone(rows) as Arc<dyn worker::Seeds>,
            rows: Box::new(self.prepared.order(store, &*pass.recipe)?),
            totals: Totals {
                turns: totals.turns / u64::from(self.counted_per_turn) * u64::from(pass.recipe.calls_per_turn()),
                ..*totals
            },
            retry_failed,
        };
        let Asked { ended, tally, elapsed, .. } = self.engine.ask(job).await?;
        self.answered += tally.answered;
        self.reused += tally.reused + tally.shared;
        self.elapsed += elapsed;
        if is_one_of_several {
            let reused = number(tally.reused + tally.shared);
            self.options.say(&format!("{}: {} new, {reused} reused", pass.name(), counted(tally.answered, "answer")));
        }
        Ok(match ended {
            Ended::Finished => None,
            Ended::Stopped(reason) => Some(reason),
        })
    }

    /// Says so where an earlier round of a student that later rounds ask too has not been asked before: it is the later student
    /// that answers now.
    fn warn_of_late(&self, pass: &Pass, passes: &[Pass]) -> Result<(), CliError> {
        let student = |pass: &Pass| pass.recipe.settings().get("student").map(str::to_owned);
        let is_same = |other: &Pass| other.round > pass.round && student(other) == student(pass);
        if !passes.iter().any(is_same) {
            return Ok(());
        }
        let (mut unasked, store) = (0, &self.engine.store);
        for row in 0..self.prepared.rows.len() {
            if let Row::Ready(seed) = self.prepared.rows.read(row)? {
                let mut replay = Replay::new(&*pass.recipe, &seed);
                let progress = replay.advance(answers_in(&**store))?;
                let is_students = |(_, question): &(_, Question)| question.slot.lane == Lane::Student;
                unasked += u64::from(matches!(progress, Progress::Open(open) if open.iter().any(is_students)));
            }
        }
        if unasked > 0 {
            self.options.say(&format!(
                "caution: {}: {} are asked now, of the student that is served now; a student of an earlier round wants to be asked \
                 before it learns",
                pass.name(),
                counted(unasked, "conversation"),
            ));
        }
        Ok(())
    }

    fn done(&self) -> String {
        let (new, reused) = (counted(self.answered, "answer"), number(self.reused));
        format!("{new} new, {reused} reused, {}", words::duration(self.elapsed))
    }
}
