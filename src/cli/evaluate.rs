use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use super::engine::{Asked, Engine, Job, block_on};
use super::error::exit_code;
use super::first_pass::{Prepared, prepare};
use super::judged::{Beside, JudgedRows, find_judge, judge, scope};
use super::model::Found;
use super::options::{
    DuplicateArgs, JudgeArgs, Options, ReadArgs, RuleArgs, RunArgs, StoreArgs, VerdictArgs, WriteArgs,
};
use super::output::{Missing, answers_in, check_output, check_writable, write_companion};
use super::{CliError, CliResult};
use crate::conversation::{Digest, Mark, Role, Seed};
use crate::export::{Incomplete, OutputFile, Sink, Unfit, is_directory};
use crate::recipe::{Evaluate, JudgedHistory, Recipe, Replay, Scale};
use crate::report::words::counted;
use crate::report::{
    DatasetReport, Evaluation, EvaluationReport, JudgeReport, Judged, ProgressMode, Totals, evaluation_page, words,
};
use crate::store::Reader;
use crate::worker::{self, Ended};

/// Have a judge mark the answers of a dataset
#[derive(Args)]
pub struct EvaluateArgs {
    /// Files of finished conversations
    #[arg(required = true)]
    input: Vec<String>,

    /// Write the rows with their marks in `meta.judge` here; beside it go OUT.report.json and OUT.report.html
    #[arg(short, long, value_name = "SCORES", default_value = "scores.jsonl")]
    output: String,

    /// What the judge gives: score, 1 to 10; check, whether each criterion is met; rubric, 1 to 5 by five descriptions
    #[arg(long, value_name = "MODE", default_value = "score", value_parser = ["score", "check", "rubric"])]
    mode: String,

    /// For check a criterion a line, for rubric what is looked for and what each grade means; a row's own column `criteria`
    /// goes before
    #[arg(long, value_name = "FILE")]
    criteria: Option<PathBuf>,

    /// What the judge sees before an answer: the same speaker's own earlier answers, or the golden ones of the references
    #[arg(long, value_name = "WHOSE", default_value = "own", value_parser = ["own", "golden"])]
    history: String,

    /// Ask again what failed for good in an earlier run
    #[arg(long)]
    retry_failed: bool,

    #[command(flatten)]
    judge: JudgeArgs,

    #[command(flatten)]
    verdict: VerdictArgs,

    #[command(flatten)]
    write: WriteArgs,

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

pub fn run(args: EvaluateArgs) -> CliResult {
    block_on(evaluate(args))
}

async fn evaluate(args: EvaluateArgs) -> CliResult {
    let options = Options::resolve(
        &args.store,
        &[&args.judge, &args.verdict, &args.write, &args.read, &args.rule, &args.duplicate, &args.run],
    )?;
    let format = options.output_format()?;
    check_output(&args.output, &args.input)?;
    check_writable(&args.output, format)?;
    let found = find_judge(&options)?;
    let recipe = Arc::new(recipe(&args, &options, &found)?);
    let engine = Engine::open(&options, &[&found])?;
    let Prepared { rows, left_out, invalid, .. } = prepare(&args.input, &options, &*recipe, None)?;
    let references = options.references.as_deref().map(|path| Beside::open(path, &options, &*recipe)).transpose()?;
    let judged = Arc::new(JudgedRows {
        rows: Arc::clone(&rows),
        has_reference_column: references.is_none(),
        beside: references.into_iter().map(Some).collect(),
    });

    let (mut asked_rows, mut totals) = (Vec::new(), Totals::default());
    for row in 0..rows.len() {
        let Some(seed) = judged.read(row)? else { continue };
        let marks = u64::from(recipe.turn_count(&seed));
        if marks > 0 {
            asked_rows.push(row);
            totals = Totals { conversations: totals.conversations + 1, turns: totals.turns + marks };
        }
    }
    if asked_rows.is_empty() {
        let hint = if args.mode == "score" {
            "give it rows with answers, such as the output of `cohobate distill`"
        } else {
            "name criteria with --criteria FILE, or in the rows' column `criteria`, for rows that have answers"
        };
        return Err(CliError::usage("there is nothing to judge", hint));
    }
    let job = Job {
        recipe: Arc::clone(&recipe) as Arc<dyn Recipe>,
        seeds: Arc::clone(&judged) as Arc<dyn worker::Seeds>,
        rows: Box::new(asked_rows.into_iter().map(|row| Ok(worker::Admit::Row(row)))),
        totals,
        retry_failed: args.retry_failed,
    };
    let Asked { ended, tally, elapsed, .. } = engine.ask(job).await?;
    if let Ended::Stopped(reason) = ended {
        let (code, hint) = engine.stopped(&reason);
        let done = format!("{} of {}", words::number(tally.done()), counted(totals.turns, "mark"));
        options.say(&format!("stopped: {done}, {}\nhint: {hint}", words::duration(elapsed)));
        engine.close()?;
        return Ok(code);
    }

    let report = EvaluationReport {
        schema: 1,
        mode: args.mode.clone(),
        judge: judge_report(&found, &*recipe),
        dataset: DatasetReport {
            inputs: args.input.clone(),
            left_out: left_out.into_iter().chain((invalid > 0).then(|| ("invalid".to_owned(), invalid))).collect(),
            ..DatasetReport::default()
        },
        ..EvaluationReport::default()
    };
    let writing = Writing { rows: &judged, recipe: &recipe, found: &found, store: &*engine.store };
    let sink = Sink::create(&args.output, format)?.licensed(options.license(&args.input));
    let (report, written) = writing.write(report, sink, Missing::new(&args.output))?;
    rows.check_unchanged()?;
    write_companion(format, &args.output)?;
    let beside = write_reports(&args.output, &report, &evaluation_page(&report))?;

    if options.progress() == ProgressMode::Json {
        words::tell(serde_json::to_value(&report).map_err(|error| CliError::failure(error.to_string()))?);
    } else {
        let new = format!(
            "{} new, {} reused",
            counted(tally.answered, "verdict"),
            words::number(tally.reused + tally.shared)
        );
        options.say(&format!(
            "done: {}, {new}, {}",
            counted(totals.conversations, "conversation"),
            words::duration(elapsed)
        ));
        report.lines().iter().for_each(|line| options.say(line));
        options.say(&format!("  wrote             {}, {}{beside}", args.output, counted(written.rows, "row")));
        if let Some(path) = &written.listed {
            options.say(&format!("  listed            rows without marks: {path}"));
        }
    }
    engine.close()?;
    let is_whole = report.incomplete.is_empty() && invalid == 0;
    Ok(if is_whole { exit_code::COMPLETE } else { exit_code::INCOMPLETE })
}

fn recipe(args: &EvaluateArgs, options: &Options, found: &Found) -> Result<Evaluate, CliError> {
    let scale = match args.mode.as_str() {
        "check" => Scale::Check,
        "rubric" => Scale::Rubric,
        _ => Scale::Score,
    };
    let history = if args.history == "golden" { JudgedHistory::Golden } else { JudgedHistory::Own };
    if scale == Scale::Score && args.criteria.is_some() {
        return Err(CliError::usage("--criteria are for --mode check and rubric", "add --mode check"));
    }
    let criteria = match &args.criteria {
        None => Vec::new(),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                CliError::usage(format!("cannot read {}: {error}", path.display()), "name a file with --criteria")
            })?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            match scale {
                Scale::Rubric => vec![text.trim().to_owned()],
                _ => lines.map(str::to_owned).collect(),
            }
        }
    };
    Ok(Evaluate::new(judge(found, scale, options)?, scope(options), history, criteria))
}

/// Returns what is known of a judge beforehand.
pub fn judge_report(found: &Found, recipe: &dyn Recipe) -> JudgeReport {
    let setting = |name| recipe.settings().get(name).unwrap_or_default().to_owned();
    JudgeReport {
        model: found.target.model().to_owned(),
        temperature: found.target.sampling().temperature,
        max_tokens: found.target.sampling().max_tokens,
        prompt: setting("prompt"),
        repeats: setting("repeats").parse().unwrap_or(1),
        orders: if setting("recipe") == "compare" { 2 } else { 1 },
        ..JudgeReport::default()
    }
}

/// What the last pass needs.
struct Writing<'a> {
    rows: &'a JudgedRows,
    recipe: &'a Evaluate,
    found: &'a Found,
    store: &'a dyn Reader,
}

struct Written {
    rows: u64,
    listed: Option<String>,
}

impl Writing<'_> {
    fn write(
        &self,
        report: EvaluationReport,
        mut sink: Sink,
        mut missing: Missing,
    ) -> Result<(EvaluationReport, Written), CliError> {
        let mut evaluation = Evaluation::new(report, self.recipe.criteria_of_all());
        let mut digest = Digest([0; 32]);
        let (mut rows, mut open) = (0, 0);
        let mut unmarked = std::collections::BTreeMap::new();
        for row in 0..self.rows.rows.len() {
            let (source, line) = self.rows.rows.place(row)?;
            let entry = Incomplete { id: None, source, line, kind: "", reason: "", turns_answered: 0, turns: 0 };
            let Some(seed) = self.rows.read(row)? else { continue };
            let marks = self.marks(&seed)?;
            if marks.is_empty() {
                let reason =
                    if seed.turns.iter().all(|turn| turn.replaced.is_none()) { "no_answer" } else { "no_criteria" };
                *unmarked.entry(reason.to_owned()).or_insert(0) += 1;
                missing.add(&Incomplete { id: Some(&seed.id), kind: "unmarked", reason, ..entry })?;
                continue;
            }
            digest = digest.then(&seed.digest());
            let unasked = marks.iter().filter(|mark| mark.words.is_none()).count() as u64;
            open += unasked;
            let turns: Vec<(String, String)> = seed.turns.iter().map(words_of).collect();
            let category = seed.columns.get("category").and_then(Value::as_str);
            let criteria = self.recipe.criteria(&seed);
            let judged = Judged { id: &seed.id, category, turns: &turns, criteria, marks: &marks };
            evaluation.add(&judged, self.found.price.as_ref());
            if unasked > 0 {
                missing.add(&Incomplete {
                    id: Some(&seed.id),
                    kind: "unanswered",
                    reason: "the judge has not answered",
                    ..entry
                })?;
            }
            match self.rows.rows.record(row)? {
                Ok(mut record) => {
                    record.meta.insert("judge".to_owned(), column(&marks, criteria, self.found.target.model()));
                    match sink.write(&record)? {
                        Ok(count) => rows += count,
                        Err(Unfit(reason)) => {
                            missing.add(&Incomplete { id: Some(&seed.id), kind: "unfit", reason, ..entry })?;
                        }
                    }
                }
                Err(reason) => {
                    missing.add(&Incomplete { id: Some(&seed.id), kind: "unfit", reason: &reason, ..entry })?;
                }
            }
        }
        sink.finish()?;
        let mut report = evaluation.finish(open);
        report.dataset.digest = digest.to_string();
        report.dataset.left_out.extend(unmarked);
        Ok((report, Written { rows, listed: missing.finish()? }))
    }

    fn marks(&self, seed: &Seed) -> Result<Vec<Mark>, CliError> {
        let mut replay = Replay::new(self.recipe, seed);
        replay.advance(answers_in(self.store))?;
        Ok(self.recipe.marks(seed, replay.answered()))
    }
}

/// Returns what the user says in a turn, and what is answered.
pub fn words_of(turn: &crate::conversation::Turn) -> (String, String) {
    let users = turn.messages.iter().filter(|message| message.role() == Role::User).map(|message| message.content());
    (users.collect::<Vec<_>>().join("\n\n"), turn.replaced.clone().unwrap_or_default())
}

/// Returns a conversation's marks as its row holds them: the mean, and all that it is the mean of.
fn column(marks: &[Mark], criteria: &[String], model: &str) -> Value {
    let read: Vec<f64> = marks.iter().filter_map(|mark| mark.value).collect();
    let each = marks.iter().map(|mark| {
        let mut value = json!({"turn": mark.turn, "score": mark.value});
        if let Some(criterion) = criteria.get(mark.criterion as usize) {
            value["criterion"] = criterion.as_str().into();
        }
        if mark.repeat > 0 {
            value["repeat"] = mark.repeat.into();
        }
        if mark.is_suspect {
            value["flags"] = json!(["verdict_in_answer"]);
        }
        value
    });
    json!({"model": model, "score": crate::statistics::mean(&read), "marks": each.collect::<Vec<_>>()})
}

/// Writes a report beside an output, as JSON and as a page; returns words that say where.
pub fn write_reports(output: &str, report: &impl serde::Serialize, page: &str) -> Result<String, CliError> {
    if output == "-" {
        return Ok(String::new());
    }
    let stem = output.trim_end_matches('/');
    let stem = [".gz", ".zst"].iter().find_map(|ending| stem.strip_suffix(ending)).unwrap_or(stem);
    let stem = if is_directory(output) { stem } else { stem.strip_suffix(".jsonl").unwrap_or(stem) };
    let json = serde_json::to_string_pretty(report).map_err(|error| CliError::failure(error.to_string()))?;
    write_text(&format!("{stem}.report.json"), &format!("{json}\n"))?;
    write_text(&format!("{stem}.report.html"), page)?;
    Ok(format!("; {stem}.report.json and .html"))
}

pub fn write_text(path: &str, text: &str) -> Result<(), CliError> {
    let mut file = OutputFile::create(path)?;
    file.write(text.as_bytes())?;
    Ok(file.finish()?)
}
