use super::{SimulateSettings, refuse_pairs};
use crate::job::input::prepare;
use crate::job::plan::{PlanGround, PlanReport, PlanRole, refuse_nothing};
use crate::job::rows::{RowResult, each};
use crate::job::{Context, JobError};
use crate::store::OnLoss;

/// Works out what a simulation would send and cost. Sends no call and creates no store.
pub fn plan_simulate(settings: &SimulateSettings, on_loss: OnLoss, context: &Context) -> Result<PlanReport, JobError> {
    let SimulateSettings { input, store, output, teacher, user, run, .. } = settings;
    refuse_pairs(output)?;
    let system = teacher.system_text(settings.system.as_deref())?;
    let recipe = settings.recipe(system.as_deref())?;
    let models = vec![(PlanRole::Teacher, teacher), (PlanRole::User, user), (PlanRole::Goal, user)];
    let ground = PlanGround::survey(store, models, run, on_loss, context)?;
    let prepared = prepare(input, store, &recipe, system.as_deref(), ground.lookout(), context)?;
    refuse_nothing(&prepared)?;
    let rows = &prepared.rows;
    let mut planner = ground.planner(&[&recipe], rows.len(), &mut |row| Ok(rows.read(row)?.ok()))?;
    each(&**rows, &mut [], |_, seed| planner.add(&recipe, seed).map(|()| RowResult::Kept(0)))?;
    Ok(planner.finish(&prepared))
}
