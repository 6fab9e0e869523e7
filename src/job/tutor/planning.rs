use super::TutorSettings;
use crate::job::input::prepare;
use crate::job::plan::{PlanGround, PlanReport, PlanRole, refuse_nothing};
use crate::job::rows::{RowResult, each};
use crate::job::{Context, JobError};
use crate::recipe::Recipe;
use crate::store::OnLoss;

/// Works out what tutoring would send and cost, over all passes. Sends no call and creates no store.
pub fn plan_tutor(settings: &TutorSettings, on_loss: OnLoss, context: &Context) -> Result<PlanReport, JobError> {
    let TutorSettings { input, store, run, students, teacher, grader, judge, .. } = settings;
    let parties = settings.parties();
    let system = settings.system_text()?;
    let passes = settings.passes(&parties, system.as_deref())?;
    let mut models: Vec<_> = students.iter().map(|student| (PlanRole::Student, student)).collect();
    let judge = judge.as_ref().unwrap_or(grader);
    models.extend([(PlanRole::Teacher, teacher), (PlanRole::Grader, grader), (PlanRole::Judge, judge)]);
    let ground = PlanGround::survey(store, models, run, on_loss, context)?;
    let prepared = prepare(input, store, &*passes[0].recipe, system.as_deref(), ground.lookout(), context)?;
    refuse_nothing(&prepared)?;
    let rows = &prepared.rows;
    let recipes: Vec<&dyn Recipe> = passes.iter().map(|pass| &*pass.recipe as &dyn Recipe).collect();
    let mut planner = ground.planner(&recipes, rows.len(), &mut |row| Ok(rows.read(row)?.ok()))?;
    for recipe in &recipes {
        each(&**rows, &mut [], |_, seed| planner.add(*recipe, seed).map(|()| RowResult::Kept(0)))?;
    }
    Ok(planner.finish(&prepared))
}
