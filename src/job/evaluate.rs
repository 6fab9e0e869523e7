use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::beside::{Beside, JudgedRows};
use super::engine::{Assignment, Engine, RunResult};
use super::input::{Prepared, prepare};
use super::judge::JudgeSettings;
use super::left_out::{LeftOut, Unmarked};
use super::left_out_list::{Left, LeftOutList, Listed};
use super::models::ModelChoice;
use super::output::RowOutput;
use super::places::{check_output, check_writable};
use super::reports::write_reports;
use super::row_place::RowPlace;
use super::rows::{RowCounts, RowResult, each};
use super::settings::{InputSettings, OutputSettings, RunSettings};
use super::stored::answers_in;
use super::{Context, JobError};
use crate::conversation::{Digest, Mark, Role, Seed, Turn};
use crate::export::LeftOutKind;
use crate::recipe::{Evaluate, JudgedHistory, JudgedScope, Recipe, Replay, Scale};
use crate::report::{
    DatasetReport, Evaluation, EvaluationMode, EvaluationReport, JudgeReport, JudgedConversation, Tally, Totals,
    evaluation_page,
};
use crate::store::Reader;
use crate::worker::{self, Ended, RunStop};

/// The settings of `evaluate`.
#[derive(Debug)]
pub struct EvaluateSettings {
    /// Finished conversations.
    pub input: InputSettings,
    /// The directory of the store.
    pub store: PathBuf,
    /// Where the rows go, with their marks in `meta.judge`; the reports go beside it.
    pub output: OutputSettings,
    /// Who judges.
    pub judge: JudgeSettings,
    /// What the judge gives.
    pub mode: EvaluationMode,
    /// Whether turns or whole conversations are judged.
    pub scope: JudgedScope,
    /// What the judge sees before an answer.
    pub history: JudgedHistory,
    /// A file with criteria, for checks and rubrics; a row's own column `criteria` takes precedence.
    pub criteria: Option<PathBuf>,
    /// A file with good answers to the same conversations. Default: the column `reference`.
    pub references: Option<String>,
    /// How fast and how long.
    pub run: RunSettings,
}

/// The result of an evaluation.
#[derive(Debug)]
pub struct EvaluateReport {
    /// What happened in the run.
    pub tally: Tally,
    /// How long it took.
    pub elapsed: Duration,
    /// How much there was to do.
    pub totals: Totals,
    /// What was written; `Err` says why the run stopped before its end.
    pub end: Result<Evaluated, RunStop>,
}

/// What an evaluation has written.
#[derive(Debug)]
pub struct Evaluated {
    /// The report, as `OUT.report.json` holds it.
    pub report: EvaluationReport,
    /// Rows that were written and left out, by reason.
    pub counts: RowCounts,
    /// The list of rows that are left out or not judged in full.
    pub listed: Option<Listed>,
    /// There was no row to write, and an output with rows in it was kept.
    pub kept_old: bool,
    /// Where the reports are, without their endings; nothing for standard output.
    pub reports: Option<String>,
}

/// Has a judge mark the answers of a dataset.
pub async fn evaluate(settings: &EvaluateSettings, context: &Context) -> Result<EvaluateReport, JobError> {
    let EvaluateSettings { input, store, output, judge, run, .. } = settings;
    check_output(&output.path, &input.names())?;
    check_writable(&output.path, output.format)?;
    let recipe = Arc::new(settings.recipe()?);
    let engine = Engine::open(store, &[&judge.model], run, context)?;
    let prepared = prepare(input, store, &*recipe, None, context)?;
    let references = settings.references.as_deref();
    let references = references.map(|path| Beside::open(path, &input.read, store, &*recipe, context)).transpose()?;
    let rows = Arc::new(JudgedRows {
        rows: Arc::clone(&prepared.rows),
        has_reference_column: references.is_none(),
        beside: references.into_iter().map(Some).collect(),
    });
    let (with_marks, totals) = rows_to_judge(&rows, &recipe)?;
    if with_marks.is_empty() {
        return Err(nothing_to_judge(settings.mode));
    }
    let assignment = Assignment {
        recipe: Arc::clone(&recipe) as Arc<dyn Recipe>,
        seeds: Arc::clone(&rows) as Arc<dyn worker::Seeds>,
        rows: Box::new(with_marks.into_iter().map(|row| Ok(worker::Admit::Row(row)))),
        totals,
    };
    let RunResult { ended, tally, elapsed, .. } = engine.run(assignment).await?;
    let end = match ended {
        Ended::Finished => {
            let pass = MarkedRows { rows: &rows, recipe: &recipe, model: &judge.model, store: &*engine.store };
            Ok(pass.write(settings, settings.report(&recipe, &prepared))?)
        }
        Ended::Stopped(reason) => Err(reason),
    };
    engine.close()?;
    Ok(EvaluateReport { tally, elapsed, totals, end })
}

/// Returns the rows that the judge has something to mark in, and how many marks there are.
fn rows_to_judge(rows: &JudgedRows, recipe: &Evaluate) -> Result<(Vec<u64>, Totals), JobError> {
    let (mut with_marks, mut totals) = (Vec::new(), Totals::default());
    each(rows, &mut [], |place, seed| {
        let marks = u64::from(recipe.turn_count(seed));
        if marks > 0 {
            with_marks.push(place.row);
            totals = Totals { conversations: totals.conversations + 1, turns: totals.turns + marks };
        }
        Ok(RowResult::Kept(0))
    })?;
    Ok((with_marks, totals))
}

fn scale(mode: EvaluationMode) -> Scale {
    match mode {
        EvaluationMode::Score => Scale::Score,
        EvaluationMode::Check => Scale::Check,
        EvaluationMode::Rubric => Scale::Rubric,
    }
}

fn nothing_to_judge(mode: EvaluationMode) -> JobError {
    let hint = match mode {
        EvaluationMode::Score => "give it rows with answers, such as the output of `cohobate distill`",
        EvaluationMode::Check | EvaluationMode::Rubric => {
            "name criteria with --criteria FILE, or in the rows' column `criteria`, for rows that have answers"
        }
    };
    JobError::usage("there is nothing to judge", hint)
}

impl EvaluateSettings {
    fn recipe(&self) -> Result<Evaluate, JobError> {
        if self.mode == EvaluationMode::Score && self.criteria.is_some() {
            return Err(JobError::usage("--criteria are for --mode check and rubric", "add --mode check"));
        }
        let judge = self.judge.judge(scale(self.mode))?;
        Ok(Evaluate::new(judge, self.scope, self.history, self.read_criteria()?))
    }

    fn read_criteria(&self) -> Result<Vec<String>, JobError> {
        let Some(path) = &self.criteria else { return Ok(Vec::new()) };
        let text = std::fs::read_to_string(path).map_err(|error| {
            JobError::usage(format!("cannot read {}: {error}", path.display()), "name a file with --criteria")
        })?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        Ok(match self.mode {
            EvaluationMode::Rubric => vec![text.trim().to_owned()],
            EvaluationMode::Score | EvaluationMode::Check => lines.map(str::to_owned).collect(),
        })
    }

    fn report(&self, recipe: &Evaluate, prepared: &Prepared) -> EvaluationReport {
        EvaluationReport {
            schema: 1,
            mode: self.mode,
            judge: judge_report(&self.judge.model, recipe, 1),
            dataset: dataset_report(&self.input, prepared),
            ..EvaluationReport::default()
        }
    }
}

/// Returns the known facts about a judge before a run. `orders` is in how many orders it sees a pair of answers.
pub fn judge_report(model: &ModelChoice, recipe: &dyn Recipe, orders: u32) -> JudgeReport {
    let setting = |name| recipe.settings().get(name).unwrap_or_default().to_owned();
    JudgeReport {
        model: model.target.model().to_owned(),
        temperature: model.target.sampling().temperature,
        max_tokens: model.target.sampling().max_tokens,
        prompt: setting("prompt"),
        repeats: setting("repeats").parse().unwrap_or(1),
        orders,
        ..JudgeReport::default()
    }
}

/// Returns what is known of a dataset before a run.
pub fn dataset_report(input: &InputSettings, prepared: &Prepared) -> DatasetReport {
    let invalid = (prepared.invalid > 0).then(|| (LeftOutKind::Invalid.name().to_owned(), prepared.invalid));
    let left_out = prepared.left_out.clone().into_iter().chain(invalid).collect();
    DatasetReport { inputs: input.names(), left_out, ..DatasetReport::default() }
}

/// The last pass: rows with their marks.
struct MarkedRows<'a> {
    rows: &'a JudgedRows,
    recipe: &'a Evaluate,
    model: &'a ModelChoice,
    store: &'a dyn Reader,
}

impl MarkedRows<'_> {
    fn write(&self, settings: &EvaluateSettings, report: EvaluationReport) -> Result<Evaluated, JobError> {
        let mut output = RowOutput::create(&settings.output, &settings.input.names())?;
        let mut evaluation = Evaluation::new(report, self.recipe.criteria_of_all());
        let (mut digest, mut open) = (Digest([0; 32]), 0);
        let mut lists = [LeftOutList::beside(&settings.output.path)];
        let counts = each(self.rows, &mut lists, |place, seed| {
            let marks = self.marks(seed)?;
            if marks.is_empty() {
                let has_answer = seed.turns.iter().any(|turn| turn.replaced.is_some());
                let why = if has_answer { Unmarked::NoCriteria } else { Unmarked::NoAnswer };
                return Ok(RowResult::left(LeftOut::Unmarked(why)));
            }
            digest = digest.then(&seed.digest());
            let missing = marks.iter().filter(|mark| mark.words.is_none()).count();
            open += missing as u64;
            self.count(seed, &marks, &mut evaluation);
            self.write_row(&place, seed, &marks, missing, &mut output)
        })?;
        let kept_old = output.finish(counts.written)?;
        let mut report = evaluation.finish(open);
        report.dataset.digest = digest.to_string();
        report.dataset.left_out.extend(counts.reasons(LeftOutKind::Unmarked));
        let [list] = lists;
        let listed = list.finish()?;
        let reports = write_reports(&settings.output.path, &report, &evaluation_page(&report))?;
        Ok(Evaluated { report, counts, listed, kept_old, reports })
    }

    fn count(&self, seed: &Seed, marks: &[Mark], evaluation: &mut Evaluation) {
        let turns: Vec<(String, String)> = seed.turns.iter().map(words_of).collect();
        let judged = JudgedConversation {
            id: &seed.id,
            category: seed.columns.get("category").and_then(Value::as_str),
            turns: &turns,
            criteria: self.recipe.criteria(seed),
            marks,
        };
        evaluation.add(&judged, self.model.price.as_ref());
    }

    fn write_row(
        &self,
        place: &RowPlace<'_>,
        seed: &Seed,
        marks: &[Mark],
        missing: usize,
        output: &mut RowOutput<'_>,
    ) -> Result<RowResult, JobError> {
        let not_judged = (missing > 0).then(|| Left::from(LeftOut::NotJudged));
        let written = match self.rows.rows.record(place.row)? {
            Ok(mut record) => {
                let column = column(marks, self.recipe.criteria(seed), self.model.target.model());
                record.meta.insert("judge".to_owned(), column);
                output.write(&record)?
            }
            Err(why) => RowResult::left(why),
        };
        Ok(match (written, not_judged) {
            (written, None) => written,
            (RowResult::Left(unfit), Some(left)) => RowResult::Partly(0, vec![left, unfit]),
            (RowResult::Kept(rows) | RowResult::Partly(rows, _), Some(left)) => RowResult::Partly(rows, vec![left]),
        })
    }

    fn marks(&self, seed: &Seed) -> Result<Vec<Mark>, JobError> {
        let mut replay = Replay::new(self.recipe, seed);
        replay.advance(answers_in(self.store))?;
        Ok(self.recipe.marks(seed, replay.answered()))
    }
}

/// Returns what the user says in a turn, and the answer to it.
pub fn words_of(turn: &Turn) -> (String, String) {
    let users = turn.messages.iter().filter(|message| message.role() == Role::User).map(|message| message.content());
    (users.collect::<Vec<_>>().join("\n\n"), turn.replaced.clone().unwrap_or_default())
}

/// Returns the marks of a conversation as its row holds them: the mean, and each mark.
fn column(marks: &[Mark], criteria: &[String], model: &str) -> Value {
    let read: Vec<f64> = marks.iter().filter_map(|mark| mark.value).collect();
    let each = marks.iter().map(|mark| {
        let mut value = json!({"turn": mark.scope, "score": mark.value});
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
