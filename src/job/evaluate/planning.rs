use super::{EvaluateSettings, RowsToJudge, nothing_to_judge, rows_to_judge};
use crate::job::input::prepare;
use crate::job::plan::{PlanGround, PlanReport, PlanRole, refuse_nothing};
use crate::job::rows::{RowResult, each};
use crate::job::{Context, JobError};
use crate::store::OnLoss;

/// Works out what an evaluation would send and cost. Sends no call and creates no store.
pub fn plan_evaluate(settings: &EvaluateSettings, on_loss: OnLoss, context: &Context) -> Result<PlanReport, JobError> {
    let EvaluateSettings { input, store, judge, run, .. } = settings;
    let recipe = settings.recipe()?;
    let ground = PlanGround::survey(store, vec![(PlanRole::Judge, &judge.model)], run, on_loss, context)?;
    let prepared = prepare(input, store, &recipe, None, ground.lookout(), context)?;
    refuse_nothing(&prepared)?;
    let rows = settings.judged_rows(&prepared.rows, &recipe, context)?;
    let RowsToJudge { to_judge, totals, under } = rows_to_judge(&rows, &recipe, ground.store())?;
    if to_judge.is_empty() {
        return Err(nothing_to_judge(settings.mode));
    }
    let mut planner = ground.planner(&[&recipe], prepared.rows.len(), &mut |row| rows.read(row))?;
    each(&rows, &mut [], |_, seed| planner.add(&recipe, seed).map(|()| RowResult::Kept(0)))?;
    if let Some(controls) = settings.controls(&under)? {
        planner.in_controls();
        controls.plan(&mut planner)?;
    }
    Ok(PlanReport { totals, ..planner.finish(&prepared) })
}
