//! `compare`: whose answers are better, and how sure that is.
//!
//! The run asks systems and judge alike; the last pass (`answers`) counts what the store holds. The judge is
//! shown answers that are known to be right or wrong first (`job/controls`). `planning` says what all of it would cost.

mod answers;
mod planning;
mod rounds;
mod systems;

pub use planning::plan_compare;
pub use systems::{AnswersFrom, Entrant, name_of_file};

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use answers::{ComparedRows, WrittenAnswers};
use rounds::{Counted, Rounds};

use super::beside::{Beside, JudgedRows};
use super::controls::{self, PairControls};
use super::counting::row_of;
use super::engine::Engine;
use super::evaluate::{dataset_report, judge_report};
use super::input::{Lookout, Prepared, Rows, prepare};
use super::judge::JudgeSettings;
use super::judged_under::JudgedUnder;
use super::left_out::Unmarked;
use super::left_out_list::Listed;
use super::places::check_directory;
use super::reports::write_reports_in;
use super::rows::{RowResult, each};
use super::settings::{InputSettings, RunSettings};
use super::stored::begun_in;
use super::votes::read_votes;
use super::{Context, JobError};
use crate::conversation::{Settings, Vote};
use crate::recipe::{Begun, Compare, ComparedHistory, JudgedScope, Recipe, Scale, System};
use crate::report::{AgreementReport, ComparedReport, ComparisonReport, Tally, comparison_page, words};
use crate::store::Reader;
use crate::worker::{RunStop, StoredRow};

/// The settings of `compare`.
#[derive(Debug)]
pub struct CompareSettings {
    /// The conversations.
    pub input: InputSettings,
    /// The directory of the store.
    pub store: PathBuf,
    /// Where verdicts, answers and reports go.
    pub directory: String,
    /// Who is compared.
    pub entrants: Vec<Entrant>,
    /// The run's system message, for systems whose profile has none.
    pub system: Option<String>,
    /// Who judges.
    pub judge: JudgeSettings,
    /// Whether turns or whole conversations are judged.
    pub scope: JudgedScope,
    /// Whose answers come before each answer.
    pub history: ComparedHistory,
    /// Systems whose score is certainly this close to 0.5 are equivalent. Default: 0.05.
    pub margin: f64,
    /// Stops once the 95 % interval of every pair's score reaches no further than this to either side.
    pub stop_at_ci: Option<f64>,
    /// Has the judge look at answers that are known to be right or wrong first. Default: yes, unless it is simulated or every
    /// conversation was begun under older prompts.
    pub controls: Option<bool>,
    /// Files with people's votes on the same conversations.
    pub human: Vec<String>,
    /// A file with good answers to the same conversations. Default: the column `reference`.
    pub references: Option<String>,
    /// How fast and how long.
    pub run: RunSettings,
}

/// The result of a comparison.
#[derive(Debug)]
pub struct CompareReport {
    /// The counts of all runs of this comparison, added up.
    pub tally: Tally,
    /// How long they took.
    pub elapsed: Duration,
    /// What was written; `Err` says why a run stopped before its end.
    pub end: Result<ComparisonWritten, RunStop>,
}

/// What a comparison has written.
#[derive(Debug)]
pub struct ComparisonWritten {
    /// The report, as `report.json` holds it.
    pub report: ComparisonReport,
    /// The list of rows that are left out, or in which something is missing.
    pub listed: Option<Listed>,
    /// Invalid rows.
    pub invalid: u64,
}

/// The names of the files that a comparison writes begin so.
const OURS: [&str; 4] = ["answers-", "verdicts", "report.", "incomplete."];

/// Has systems answer the same conversations, and a judge say whose answers are better.
pub async fn compare(settings: &CompareSettings, context: &Context) -> Result<CompareReport, JobError> {
    systems::check(&settings.entrants)?;
    settings.check_places()?;
    let human = read_votes(&settings.human)?;
    let systems = settings.systems()?;
    let judge = settings.judge.judge(Scale::Pair)?;
    let reports = settings.entrants.iter().zip(&systems).map(|(entrant, system)| entrant.report(system)).collect();
    let recipe = Arc::new(Compare::new(systems, judge.clone(), settings.scope, settings.history));
    let models: Vec<_> = settings.entrants.iter().filter_map(Entrant::model).chain([&settings.judge.model]).collect();
    let mut engine = Engine::open(&settings.store, &models, &settings.run, context)?;
    let prepared = prepare(
        &settings.input,
        engine.directory(),
        &*recipe,
        None,
        Lookout::back(engine.directory(), &*engine.store),
        context,
    )?;
    let rows = Arc::new(settings.judged_rows(&prepared.rows, &recipe, context)?);
    let RowsToCompare { conversations, unshared, under } = rows_to_compare(&rows, &recipe, &*engine.store)?;
    if conversations.is_empty() {
        return Err(nothing_to_compare());
    }
    let mut report = settings.report(reports, &recipe, &under, &prepared, &*engine.store)?;
    if unshared > 0 {
        report.dataset.left_out.insert(Unmarked::NoSharedHistory.name().to_owned(), unshared);
    }
    let entrants = settings.entrants.iter().map(Entrant::party);
    let parties = entrants.chain([settings.judge.model.party("judge")]).collect();
    engine.announce(parties, prepared.rows_read(), format!("{}/", settings.directory));
    let compared =
        ComparedRows { rows, recipe, prices: engine.prices(), store: &*engine.store, entrants: &settings.entrants };
    let mut rounds = Rounds::new(&engine);
    let controls = settings.asks_controls(&under).then(|| PairControls::of(judge));
    let end = rounds.run_all(&compared, settings, controls, &report, &conversations).await?;
    let Rounds { tally, elapsed, .. } = rounds;
    let end = match end {
        Err(reason) => Err(reason),
        Ok(counted) => match engine.written_elsewhere(&settings.directory)? {
            Some(stop) => Err(stop),
            None => Ok(settings.write(&compared, counted, &conversations, &human, prepared.invalid())?),
        },
    };
    engine.close()?;
    Ok(CompareReport { tally, elapsed, end })
}

impl CompareSettings {
    fn check_places(&self) -> Result<(), JobError> {
        let files = self.entrants.iter().filter_map(Entrant::file).chain(self.references.as_deref());
        let (inputs, files) = (self.input.names(), files.map(str::to_owned));
        let read: Vec<String> = inputs.into_iter().chain(self.human.clone()).chain(files).collect();
        check_directory(&self.directory, &read, &OURS)
    }

    fn systems(&self) -> Result<Vec<System>, JobError> {
        self.entrants.iter().map(|entrant| entrant.system(self.system.as_deref())).collect()
    }

    /// True if the judge is shown answers that are known to be right or wrong.
    fn asks_controls(&self, under: &JudgedUnder) -> bool {
        self.controls.unwrap_or_else(|| controls::are_usual(&self.judge, under.is_all_older()))
    }

    /// Makes the recipe, with the systems' names.
    pub(super) fn recipe(&self) -> Result<(Compare, Vec<String>), JobError> {
        systems::check(&self.entrants)?;
        let names = self.entrants.iter().map(|entrant| entrant.name.clone()).collect();
        Ok((Compare::new(self.systems()?, self.judge.judge(Scale::Pair)?, self.scope, self.history), names))
    }

    /// Returns the rows with the answers of other files.
    pub(super) fn judged_rows(
        &self,
        rows: &Arc<Rows>,
        recipe: &Compare,
        context: &Context,
    ) -> Result<JudgedRows, JobError> {
        let open = |path: &str| Beside::open(path, &self.input.read, &self.store, recipe, context);
        let files = self.entrants.iter().map(|entrant| entrant.file().map(open).transpose());
        let mut beside = files.collect::<Result<Vec<_>, _>>()?;
        let references = self.references.as_deref().map(open).transpose()?;
        let has_reference_column = references.is_none();
        beside.extend(references.map(Some));
        Ok(JudgedRows { rows: Arc::clone(rows), beside, has_reference_column })
    }

    fn report(
        &self,
        systems: Vec<ComparedReport>,
        recipe: &Compare,
        under: &JudgedUnder,
        prepared: &Prepared,
        store: &dyn Reader,
    ) -> Result<ComparisonReport, JobError> {
        Ok(ComparisonReport {
            schema: 1,
            date: begun_on(store, recipe)?,
            history: match self.history {
                ComparedHistory::Own => "own".to_owned(),
                ComparedHistory::Shared => "shared".to_owned(),
            },
            margin: self.margin,
            systems,
            judge: judge_report(&self.judge.model, recipe.prompt(), under.settings(recipe), 2),
            cautions: controls::caution_about(&self.judge.model).into_iter().chain(under.caution()).collect(),
            dataset: dataset_report(&self.input, prepared),
            ..ComparisonReport::default()
        })
    }

    fn write(
        &self,
        compared: &ComparedRows<'_>,
        counted: Counted,
        conversations: &[RowToCompare],
        human: &[Vote],
        invalid: u64,
    ) -> Result<ComparisonWritten, JobError> {
        let Counted { comparison, taken, controls } = counted;
        let WrittenAnswers { votes, digest, listed } =
            compared.write(&self.directory, &conversations[..taken], &comparison)?;
        let mut report = comparison.finish(controls);
        report.dataset.digest = digest.to_string();
        if taken < conversations.len() {
            let of = words::number(conversations.len() as u64);
            report.cautions.push(format!("stopped after {taken} of {of} conversations, because of --stop-at-ci"));
        }
        if !human.is_empty() {
            calibrate(&mut report, &votes, human);
        }
        write_reports_in(&self.directory, &report, &comparison_page(&report))?;
        Ok(ComparisonWritten { report, listed, invalid })
    }
}

fn nothing_to_compare() -> JobError {
    JobError::usage(
        "there is nothing to compare",
        "give it rows with a user message, and with --history shared rows with answers; `cohobate inspect` shows what there is",
    )
}

/// A row that holds a conversation.
#[derive(Clone, Copy)]
struct RowToCompare {
    row: u64,
    /// How many answers it takes, verdicts included.
    calls: u64,
    /// What is stored of them.
    stored: StoredRow,
}

/// The rows that hold conversations.
#[derive(Default)]
struct RowsToCompare {
    conversations: Vec<RowToCompare>,
    /// Rows that lack a shared history.
    unshared: u64,
    /// The versions of the prompts.
    under: JudgedUnder,
}

/// Returns the rows that hold conversations.
fn rows_to_compare(rows: &JudgedRows, recipe: &Compare, store: &dyn Reader) -> Result<RowsToCompare, JobError> {
    let mut found = RowsToCompare::default();
    each(rows, &mut [], |place, seed| {
        if recipe.can_take(seed) {
            let Begun { rules, state, .. } = begun_in(store, recipe, &seed.digest())?;
            let (calls, stored) = (u64::from(recipe.turn_count(seed)), row_of(state, recipe));
            found.conversations.push(RowToCompare { row: place.row, calls, stored });
            found.under.add(rules);
        } else {
            found.unshared += 1;
        }
        Ok(RowResult::Kept(0))
    })?;
    Ok(found)
}

/// Compares the judge with people, where they have voted on the same answers.
fn calibrate(report: &mut ComparisonReport, votes: &[Vote], human: &[Vote]) {
    let agreement = AgreementReport::of(votes, human);
    if agreement.majority.items == 0 {
        report.cautions.push("none of the people's votes is on these answers".to_owned());
    } else {
        report.human_pairs = agreement.pairs;
        report.calibration = Some(agreement.majority);
    }
}

/// Returns the day on which a comparison with these settings was first begun, in UTC.
fn begun_on(store: &dyn Reader, recipe: &dyn Recipe) -> Result<String, JobError> {
    let runs = store.runs()?;
    let older = recipe.older().iter().map(|older| &older.settings);
    let settings: Vec<&Settings> = older.chain([recipe.settings()]).collect();
    let first = runs.iter().find(|run| settings.contains(&&run.settings));
    let started = first.and_then(|run| jiff::Timestamp::from_millisecond(run.started_ms.cast_signed()).ok());
    Ok(started.unwrap_or_else(jiff::Timestamp::now).strftime("%Y-%m-%d").to_string())
}
