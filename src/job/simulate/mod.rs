//! `simulate`: dialogues are continued by a model that plays the user; `rows` writes them, `planning`
//! says what it would cost.

mod planning;
mod rows;

pub use planning::plan_simulate;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rows::SimulatedRows;
pub use rows::SimulatedWritten;

use super::counting::Stored;
use super::engine::{Assignment, Engine, RunResult};
use super::input::{Lookout, prepare};
use super::left_out::LeftOut;
use super::models::ModelChoice;
use super::places;
use super::settings::{InputSettings, OutputSettings, RunSettings};
use super::{Context, JobError};
use crate::quality::{Gate, RulesVersion};
use crate::recipe::{Recipe, Simulate};
use crate::report::Tally;
use crate::worker::{self, RunStop};

/// The settings of `simulate`.
#[derive(Debug)]
pub struct SimulateSettings {
    /// The conversations or prompts.
    pub input: InputSettings,
    /// The directory of the store.
    pub store: PathBuf,
    /// Where the rows go; the reports go beside it.
    pub output: OutputSettings,
    /// Who answers.
    pub teacher: ModelChoice,
    /// Who plays the user.
    pub user: ModelChoice,
    /// The system message in place of the rows' own: text, or `@FILE`. Default: that of the teacher's profile, or the
    /// rows' own.
    pub system: Option<String>,
    /// User turns of each conversation.
    pub turns: u32,
    /// A file with a persona a line. Default: none.
    pub personas: Option<PathBuf>,
    /// Judges each answer. Default: the standard gate.
    pub gate: Option<Gate>,
    /// One version of the prompts for every conversation, that of the gate's rules. Default: the version under which a
    /// conversation was begun.
    pub version: Option<RulesVersion>,
    /// Leaves out conversations with fewer turns. Default: 1.
    pub min_turns: u32,
    /// How fast and how long.
    pub run: RunSettings,
}

/// The result of a simulation.
#[derive(Debug)]
pub struct SimulateReport {
    /// What happened in the run.
    pub tally: Tally,
    /// How long it took.
    pub elapsed: Duration,
    /// Why the run stopped before its end, where it did.
    pub stopped: Option<RunStop>,
    /// What was written; nothing where the run was stopped for another reason than a cap.
    pub written: Option<SimulatedWritten>,
    /// Rows that reading rules left out, and invalid rows, by reason.
    pub left_out: BTreeMap<String, u64>,
    /// Invalid rows.
    pub invalid: u64,
}

/// Continues dialogues with a model that plays the user.
pub async fn simulate(settings: &SimulateSettings, context: &Context) -> Result<SimulateReport, JobError> {
    let SimulateSettings { input, store, output, teacher, user, run, .. } = settings;
    refuse_pairs(output)?;
    places::check(output, &input.names())?;
    let system = teacher.system_text(settings.system.as_deref())?;
    let recipe = Arc::new(settings.recipe(system.as_deref())?);
    let mut engine = Engine::open(store, &[teacher, user], run, context)?;
    let lookout = Lookout::back(engine.directory(), &*engine.store);
    let prepared = prepare(input, engine.directory(), &*recipe, system.as_deref(), lookout, context)?;
    engine.announce(vec![teacher.party("teacher"), user.party("user")], prepared.rows_read(), &output.path);
    let stored = Stored::of(&prepared.rows, &*recipe);
    let assignment = Assignment {
        recipe: Arc::clone(&recipe) as Arc<dyn Recipe>,
        seeds: Arc::clone(&prepared.rows) as Arc<dyn worker::Seeds>,
        rows: Box::new(prepared.order(engine.reader(), Arc::clone(&recipe) as Arc<dyn Recipe>, stored.count())?),
        totals: prepared.totals,
        stored,
        ahead_of: None,
    };
    let RunResult { ended, tally, elapsed, .. } = engine.run(assignment).await?;
    let mut stopped = ended.stopped();
    if stopped.is_none() {
        stopped = engine.written_elsewhere(&output.path)?;
    }
    let written = LeftOut::of_run(stopped.as_ref()).map(|stop| {
        let rows = SimulatedRows { rows: &prepared.rows, recipe: &recipe, store: &*engine.store, settings, stop };
        rows.write()
    });
    let written = written.transpose()?;
    engine.close()?;
    let (left_out, invalid) = (prepared.left_out(), prepared.invalid());
    Ok(SimulateReport { tally, elapsed, stopped, written, left_out, invalid })
}

fn refuse_pairs(output: &OutputSettings) -> Result<(), JobError> {
    places::refuse_tokens(output.format)?;
    if !output.format.wants_pairs() {
        return Ok(());
    }
    let hint = "choose a format of dialogues, such as openai; `cohobate tutor` makes pairs";
    Err(JobError::usage("simulated conversations hold one answer to each turn, no pairs", hint))
}

impl SimulateSettings {
    /// Makes the recipe.
    pub(super) fn recipe(&self, system: Option<&str>) -> Result<Simulate, JobError> {
        let (teacher, user) = (Arc::clone(&self.teacher.target), Arc::clone(&self.user.target));
        let recipe = Simulate::new(teacher, user, self.turns, self.read_personas()?, self.gate.clone(), system);
        Ok(match self.version {
            Some(version) => recipe.of_version(version),
            None => recipe,
        })
    }

    fn read_personas(&self) -> Result<Vec<String>, JobError> {
        let Some(path) = &self.personas else { return Ok(Vec::new()) };
        let shown = path.display();
        let fault = |message: String| JobError::usage(message, "write one persona a line into the file of --personas");
        let text = std::fs::read_to_string(path).map_err(|error| fault(format!("cannot read {shown}: {error}")))?;
        let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
        let personas: Vec<String> = lines.filter(|line| !line.is_empty()).map(str::to_owned).collect();
        if personas.is_empty() { Err(fault(format!("{shown} has no line"))) } else { Ok(personas) }
    }
}
