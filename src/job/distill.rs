use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::counting::Stored;
use super::engine::{Assignment, Engine, RunResult};
use super::export::{ExportPass, ExportReport, ExportSettings, PartialSettings};
use super::input::{Lookout, prepare};
use super::models::ModelChoice;
use super::places;
use super::questions::{DistillQuestions, known_details};
use super::settings::{InputSettings, OutputSettings, RunSettings};
use super::{Context, JobError};
use crate::export::is_directory;
use crate::recipe::Recipe;
use crate::report::{InputRows, Tally};
use crate::store::{OnLoss, Reader, Run};
use crate::worker::{self, Ended, RunStop};

/// The settings of `distill`.
#[derive(Debug)]
pub struct DistillSettings {
    /// The rows, what is asked, and where the result goes.
    pub export: ExportSettings,
    /// How fast and how long.
    pub run: RunSettings,
}

impl DistillSettings {
    /// A distillation with default settings: rows, a teacher, the directory of the store, the output.
    pub fn new(
        input: InputSettings,
        teacher: ModelChoice,
        store: impl Into<PathBuf>,
        output: impl Into<String>,
    ) -> Self {
        let export = ExportSettings {
            input,
            store: store.into(),
            questions: DistillQuestions::to(teacher),
            output: OutputSettings::to(output),
            partial: PartialSettings::default(),
            on_loss: OnLoss::Refuse,
        };
        Self { export, run: RunSettings::default() }
    }
}

/// The result of a distillation.
#[derive(Debug)]
pub struct DistillReport {
    /// What happened in the run.
    pub tally: Tally,
    /// How long it took.
    pub elapsed: Duration,
    /// The rows that were written; `Err` says why the run stopped before its end.
    pub end: Result<ExportReport, RunStop>,
    /// The rows that the run went over: those of its shard, where there is one.
    pub input: InputRows,
    /// Rows that reading rules left out, and invalid rows, by reason.
    pub left_out: BTreeMap<String, u64>,
    /// Changes that were made to turn rows into conversations, by rule.
    pub changed: BTreeMap<String, u64>,
    /// What became of the inputs while the run was at work, in words.
    pub input_changes: Vec<String>,
    /// Settings for which the stored answers cannot be used: name, value now, value then. Empty where answers were
    /// reused, and in an empty store.
    pub changed_settings: Vec<(String, String, String)>,
}

/// Regenerates every assistant turn of a dataset. A run that was stopped or killed is resumed by the same call.
///
/// # Errors
/// Fails where the settings or the input cannot be used, or the store or the output cannot be written. Everything that
/// was committed before is kept.
pub async fn distill(settings: &DistillSettings, context: &Context) -> Result<DistillReport, JobError> {
    let DistillSettings { export: what, run } = settings;
    what.questions.refuse_without_pairs(what.output.format)?;
    what.questions.refuse_without_tokens(what.output.format)?;
    places::check(&what.output, &what.input.names())?;
    let system = what.questions.system_text()?;
    // Nothing is opened for settings that make no recipe.
    what.questions.recipe(system.as_deref(), &[])?;
    let mut engine = Engine::open(&what.store, &what.questions.models(), run, context)?;
    let known = known_details(&*engine.store)?;
    let recipe: Arc<dyn Recipe> = Arc::new(what.questions.recipe(system.as_deref(), &known)?);
    let output = Some((what.output.format, is_directory(&what.output.path)));
    let lookout = Lookout { output, ..Lookout::back(engine.directory(), &*engine.store) };
    let prepared = prepare(&what.input, engine.directory(), &*recipe, system.as_deref(), lookout, context)?;
    engine.announce(what.questions.parties(), prepared.rows_read(), &what.output.path);
    let stored = Stored::of(&prepared.rows, &*recipe);
    let assignment = Assignment {
        recipe: Arc::clone(&recipe),
        seeds: Arc::clone(&prepared.rows) as Arc<dyn worker::Seeds>,
        rows: Box::new(prepared.order(engine.reader(), Arc::clone(&recipe) as Arc<dyn Recipe>, stored.count())?),
        totals: prepared.totals,
        stored,
        ahead_of: None,
    };
    let RunResult { ended, tally, elapsed, run } = engine.run(assignment).await?;
    let changed_settings = changed_settings(&*engine.store, &run, &tally)?;
    let elsewhere = if ended == Ended::Finished { engine.written_elsewhere(&what.output.path)? } else { None };
    let end = match elsewhere.map_or(ended, Ended::Stopped) {
        Ended::Finished => {
            let inputs = what.input.names();
            let pass = ExportPass::of(what, &inputs);
            let written = pass.write(&*recipe, &*engine.store, &prepared);
            Ok(written.map_err(|error| if tally.done() > 0 { error.with_answers_kept() } else { error })?)
        }
        Ended::Stopped(reason) => Err(reason),
    };
    engine.close()?;
    let (left_out, input_changes) = (prepared.left_out(), prepared.rows.file_changes());
    let (input, changed) = (prepared.rows_read(), prepared.changed);
    Ok(DistillReport { tally, elapsed, end, input, left_out, changed, input_changes, changed_settings })
}

/// Returns the settings that keep this run from using stored answers, where that is so.
fn changed_settings(store: &dyn Reader, run: &Run, tally: &Tally) -> Result<Vec<(String, String, String)>, JobError> {
    if tally.reused() > 0 || tally.answered == 0 {
        return Ok(Vec::new());
    }
    let runs = store.runs()?;
    let earlier = runs.iter().filter(|earlier| earlier.number < run.number && earlier.answers > 0);
    let closest = earlier.rev().map(|earlier| run.settings.differences(&earlier.settings)).min_by_key(Vec::len);
    let owned = |(name, now, then): (&str, &str, &str)| (name.to_owned(), now.to_owned(), then.to_owned());
    Ok(closest.unwrap_or_default().into_iter().map(owned).collect())
}
