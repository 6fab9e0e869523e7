//! What a job would send and cost. It walks through the conversations as a run does, with stored answers where there are some
//! and imagined ones (`imagine`) elsewhere; `basis` learns from the store what those are like.

mod basis;
mod imagine;
mod planner;
mod report;
mod role;
mod speed;

pub use planner::Planner;
pub use report::{PlanReport, RolePlan};
pub use role::PlanRole;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use basis::{Basis, ReadSeed};
use speed::Speed;

use super::caps::{CapsOver, caps_over};
use super::input::{Lookout, Prepared, prepare};
use super::models::ModelChoice;
use super::questions::{DistillQuestions, known_details};
use super::rows::{RowResult, each};
use super::run_log::RunHistory;
use super::settings::{InputSettings, RunSettings};
use super::{Context, JobError, JobEvent, open_store};
use crate::conversation::Price;
use crate::export::OutputFormat;
use crate::recipe::Recipe;
use crate::store::{MemoryStore, OnLoss, Reader};

/// The settings of `plan`: those of a distillation.
pub struct PlanSettings {
    /// The rows.
    pub input: InputSettings,
    /// The directory of the store. It need not exist, and is not created.
    pub store: PathBuf,
    /// What would be asked.
    pub questions: DistillQuestions,
    /// A cap that the run would refuse is refused here too.
    pub run: RunSettings,
    /// Whether the first request is part of the report.
    pub shows_request: bool,
    /// The format of the output that the run would write, and whether it is a table. `None` foresees nothing about it.
    pub output: Option<(&'static dyn OutputFormat, bool)>,
    /// What happens where the store has lost answers.
    pub on_loss: OnLoss,
}

/// Works out what a distillation would send and cost. Sends no call.
pub fn plan(settings: &PlanSettings, context: &Context) -> Result<PlanReport, JobError> {
    let questions = &settings.questions;
    if let Some((format, _)) = settings.output {
        questions.refuse_without_pairs(format)?;
        questions.refuse_without_tokens(format)?;
    }
    let ranker = questions.best_of.as_ref().map(|best_of| best_of.ranker.model());
    let mut roles = vec![(PlanRole::Teacher, &questions.teacher)];
    roles.extend(ranker.map(|model| (if model.writes() { PlanRole::Judge } else { PlanRole::Scorer }, model)));
    let ground = PlanGround::survey(&settings.store, roles, &settings.run, settings.on_loss, context)?;
    let system = questions.system_text()?;
    let recipe = questions.recipe(system.as_deref(), &known_details(&*ground.store)?)?;
    let lookout = Lookout { output: settings.output, ..ground.lookout() };
    let prepared = prepare(&settings.input, &settings.store, &recipe, system.as_deref(), lookout, context)?;
    refuse_nothing(&prepared)?;
    let rows = &prepared.rows;
    let mut planner = ground.planner(&[&recipe], rows.len(), &mut |row| Ok(rows.read(row)?.ok()))?;
    each(&**rows, &mut [], |_, seed| planner.add(&recipe, seed).map(|()| RowResult::Kept(0)))?;
    let first = planner.first_question().filter(|_| settings.shows_request);
    let request = first.and_then(|(question, key)| questions.preview(question, key).transpose()).transpose()?;
    Ok(PlanReport { request, ..planner.finish(&prepared) })
}

/// What every plan begins with: the store, if there is one, and the models.
pub struct PlanGround<'a> {
    store: Arc<dyn Reader>,
    directory: &'a Path,
    models: Vec<(PlanRole, &'a ModelChoice)>,
    prices: BTreeMap<String, Price>,
    max_cost: Option<f64>,
    speed: Option<Speed>,
}

impl<'a> PlanGround<'a> {
    /// Opens the store for reading, where there is one, and checks the caps as a run does.
    pub fn survey(
        directory: &'a Path,
        models: Vec<(PlanRole, &'a ModelChoice)>,
        run: &RunSettings,
        on_loss: OnLoss,
        context: &Context,
    ) -> Result<Self, JobError> {
        let choices: Vec<&ModelChoice> = models.iter().map(|(_, model)| *model).collect();
        let CapsOver { run, budget, caution } = caps_over(Some(directory), run, &choices)?;
        let list_prices: BTreeSet<_> = choices.iter().filter_map(|model| model.list_price_caution()).collect();
        for caution in caution.into_iter().chain(list_prices) {
            context.report(JobEvent::Caution(caution));
        }
        let store: Arc<dyn Reader> = if context.shared.is_some() || open_store::exists(directory) {
            open_store::open_reader(directory, on_loss, context)?
        } else {
            Arc::new(MemoryStore::new())
        };
        let speed = Speed::of(&RunHistory::read(directory, 0), &choices);
        Ok(Self { store, directory, models, prices: budget.prices, max_cost: run.max_cost, speed })
    }

    /// Returns the store, or an empty one.
    pub fn store(&self) -> &dyn Reader {
        &*self.store
    }

    /// Returns what the first pass over the input looks out for.
    pub fn lookout(&self) -> Lookout<'_> {
        Lookout::back(self.directory, &*self.store)
    }

    /// Returns a planner that has learned from the store. `read` returns the conversation in one of `count` rows.
    pub fn planner(
        &self,
        recipes: &[&dyn Recipe],
        count: u64,
        read: &mut ReadSeed<'_>,
    ) -> Result<Planner<'_>, JobError> {
        let name = |model: &ModelChoice| model.target.model().to_owned();
        let is_unmixed = |model: &ModelChoice| {
            let roles = self.models.iter().filter(|(_, other)| name(other) == name(model)).map(|(role, _)| *role);
            let (answering, other): (Vec<PlanRole>, Vec<_>) = roles.partition(|role| role.answers());
            answering.is_empty() && other.iter().all(|role| *role == other[0]) || other.is_empty()
        };
        let unmixed = self.models.iter().filter(|(_, model)| is_unmixed(model)).map(|(_, model)| name(model)).collect();
        let basis = Basis::learn(recipes, &*self.store, &unmixed, count, read)?;
        Planner::new(self, basis)
    }
}

/// Fails where there is nothing to ask about.
pub fn refuse_nothing(prepared: &Prepared) -> Result<(), JobError> {
    if prepared.totals.conversations > 0 {
        return Ok(());
    }
    let reasons = prepared.left_out().into_iter().map(|(reason, count)| format!(" ({count} × {reason})"));
    let message = format!("no row of the input can be asked about{}", reasons.collect::<String>());
    Err(JobError::usage(message, "name another input; `cohobate inspect` shows what this one holds"))
}
