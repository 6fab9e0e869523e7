//! `evaluate`: a judge marks the answers of a dataset; `rows` writes them, `planning` says what it
//! would cost.

mod planning;
mod rows;

pub use planning::plan_evaluate;
pub use rows::words_of;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rows::MarkedRows;

use super::beside::{Beside, JudgedRows};
use super::controls::{CONTROLS_FIRST, MarkControls, are_usual, caution_about, is_simulated};
use super::counting::{Stored, row_of};
use super::engine::{Assignment, Engine};
use super::input::{Lookout, Prepared, Rows, prepare};
use super::judge::JudgeSettings;
use super::judged_under::JudgedUnder;
use super::left_out_list::Listed;
use super::models::ModelChoice;
use super::places;
use super::rows::{RowCounts, RowResult, each};
use super::settings::{InputSettings, OutputSettings, RunSettings};
use super::stored::begun_in;
use super::{Context, JobError};
use crate::conversation::Settings;
use crate::recipe::{Begun, Evaluate, JudgedHistory, JudgedScope, Prompt, Recipe, Scale};
use crate::report::{DatasetReport, EvaluationMode, EvaluationReport, JudgeReport, Tally, Totals};
use crate::store::Reader;
use crate::worker::{self, Ended, RunStop, StoredRow};

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
    /// Has the judge mark answers that are known to be right or wrong first. Default: yes, unless it is simulated or every
    /// conversation was begun under older prompts.
    pub controls: Option<bool>,
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
    places::refuse_tokens(output.format)?;
    places::check(output, &input.names())?;
    let recipe = Arc::new(settings.recipe()?);
    let mut engine = Engine::open(store, &[&judge.model], run, context)?;
    let lookout = Lookout::back(engine.directory(), &*engine.store);
    let prepared = prepare(input, engine.directory(), &*recipe, None, lookout, context)?;
    let rows = Arc::new(settings.judged_rows(&prepared.rows, &recipe, context)?);
    let RowsToJudge { to_judge, totals, under } = rows_to_judge(&rows, &recipe, &*engine.store)?;
    if to_judge.is_empty() {
        return Err(nothing_to_judge(settings.mode));
    }
    engine.announce(vec![judge.model.party("judge")], prepared.rows_read(), &output.path);
    let controls = settings.controls(&under)?;
    let (mut sum, mut elapsed) = (Tally::default(), Duration::ZERO);
    let asking = Assignment {
        recipe: Arc::clone(&recipe) as Arc<dyn Recipe>,
        seeds: Arc::clone(&rows) as Arc<dyn worker::Seeds>,
        stored: Stored::counted(to_judge.iter().copied(), prepared.rows.len()),
        rows: Box::new(to_judge.into_iter().map(|(row, ..)| Ok(worker::Admit::Row(row)))),
        totals,
        ahead_of: None,
    };
    if let Some(controls) = &controls {
        let ahead_of = Some(asking.ahead(CONTROLS_FIRST));
        let ran = engine.run(Assignment { ahead_of, ..controls.assignment(&*engine.store)? }).await?;
        sum.add_run(&ran.tally);
        elapsed += ran.elapsed;
        if let Ended::Stopped(reason) = ran.ended {
            engine.close()?;
            return Ok(EvaluateReport { tally: sum, elapsed, totals, end: Err(reason) });
        }
    }
    let ran = engine.run(asking).await?;
    let tally = match controls {
        Some(_) => {
            sum.add_run(&ran.tally);
            sum
        }
        None => ran.tally,
    };
    elapsed += ran.elapsed;
    let elsewhere = if ran.ended == Ended::Finished { engine.written_elsewhere(&output.path)? } else { None };
    let end = match elsewhere.map_or(ran.ended, Ended::Stopped) {
        Ended::Finished => {
            let controls = controls.map(|controls| controls.report(&*engine.store)).transpose()?;
            let controls = controls.map(|controls| controls.exempt_if(is_simulated(&judge.model)));
            let pass =
                MarkedRows { rows: &rows, recipe: &recipe, model: &judge.model, store: &*engine.store, controls };
            Ok(pass.write(settings, settings.report(&recipe, &under, &prepared))?)
        }
        Ended::Stopped(reason) => Err(reason),
    };
    engine.close()?;
    Ok(EvaluateReport { tally, elapsed, totals, end })
}

/// A row with how many marks it takes, and what is stored of them.
type RowToJudge = (u64, u64, StoredRow);

/// The rows that the judge has something to mark in.
#[derive(Default)]
struct RowsToJudge {
    to_judge: Vec<RowToJudge>,
    /// How many conversations and marks there are.
    totals: Totals,
    /// The versions of the prompts.
    under: JudgedUnder,
}

/// Returns the rows that the judge has something to mark in.
fn rows_to_judge(rows: &JudgedRows, recipe: &Evaluate, store: &dyn Reader) -> Result<RowsToJudge, JobError> {
    let RowsToJudge { mut to_judge, mut totals, mut under } = RowsToJudge::default();
    each(rows, &mut [], |place, seed| {
        let marks = u64::from(recipe.turn_count(seed));
        if marks > 0 {
            let Begun { rules, state, .. } = begun_in(store, recipe, &seed.digest())?;
            under.add(rules);
            to_judge.push((place.row, marks, row_of(state, recipe)));
            totals = Totals { conversations: totals.conversations + 1, turns: totals.turns + marks };
        }
        Ok(RowResult::Kept(0))
    })?;
    Ok(RowsToJudge { to_judge, totals, under })
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
    /// Returns the rows with their references.
    pub(super) fn judged_rows(
        &self,
        rows: &Arc<Rows>,
        recipe: &Evaluate,
        context: &Context,
    ) -> Result<JudgedRows, JobError> {
        let references = self.references.as_deref();
        let references =
            references.map(|path| Beside::open(path, &self.input.read, &self.store, recipe, context)).transpose()?;
        Ok(JudgedRows {
            rows: Arc::clone(rows),
            has_reference_column: references.is_none(),
            beside: references.into_iter().map(Some).collect(),
        })
    }

    /// Makes the recipe.
    pub(super) fn recipe(&self) -> Result<Evaluate, JobError> {
        if self.mode == EvaluationMode::Score && self.criteria.is_some() {
            return Err(JobError::usage("--criteria are for --mode check and rubric", "add --mode check"));
        }
        let judge = self.judge.judge(scale(self.mode))?;
        Ok(Evaluate::new(judge, self.scope, self.history, self.read_criteria()?))
    }

    /// Returns the controls of the judge, where it is shown some.
    fn controls(&self, under: &JudgedUnder) -> Result<Option<MarkControls>, JobError> {
        if !self.controls.unwrap_or_else(|| are_usual(&self.judge, under.is_all_older())) {
            return Ok(None);
        }
        Ok(Some(MarkControls::of(self.judge.judge(scale(self.mode))?)))
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

    fn report(&self, recipe: &Evaluate, under: &JudgedUnder, prepared: &Prepared) -> EvaluationReport {
        EvaluationReport {
            schema: 1,
            mode: self.mode,
            cautions: caution_about(&self.judge.model).into_iter().chain(under.caution()).collect(),
            judge: judge_report(&self.judge.model, recipe.prompt(), under.settings(recipe), 1),
            dataset: dataset_report(&self.input, prepared),
            ..EvaluationReport::default()
        }
    }
}

/// Returns the known facts about a judge before a run. `orders` is in how many orders it sees a pair of answers.
pub fn judge_report(model: &ModelChoice, prompt: &Prompt, settings: &Settings, orders: u32) -> JudgeReport {
    let setting = |name| settings.get(name).unwrap_or_default().to_owned();
    JudgeReport {
        model: model.target.model().to_owned(),
        temperature: model.target.sampling().temperature,
        max_tokens: model.target.sampling().max_tokens,
        prompt_example: prompt.example(&setting("prompt")).map(str::to_owned),
        prompt: setting("prompt"),
        repeats: setting("repeats").parse().unwrap_or(1),
        orders,
        ..JudgeReport::default()
    }
}

/// Returns what is known of a dataset before a run.
pub fn dataset_report(input: &InputSettings, prepared: &Prepared) -> DatasetReport {
    DatasetReport { inputs: input.names(), left_out: prepared.left_out(), ..DatasetReport::default() }
}
