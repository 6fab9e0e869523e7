use super::{CompareSettings, Entrant, RowsToCompare, nothing_to_compare, rows_to_compare};
use crate::job::controls::PairControls;
use crate::job::input::prepare;
use crate::job::plan::{PlanGround, PlanReport, PlanRole, refuse_nothing};
use crate::job::rows::{RowResult, each};
use crate::job::{Context, JobError};
use crate::recipe::Scale;
use crate::report::Totals;
use crate::store::OnLoss;

/// Works out what a comparison would send and cost at most. Sends no call and creates no store.
pub fn plan_compare(settings: &CompareSettings, on_loss: OnLoss, context: &Context) -> Result<PlanReport, JobError> {
    let (recipe, _) = settings.recipe()?;
    let speaking = (0..).zip(&settings.entrants).filter_map(|(at, entrant)| Some((at, Entrant::model(entrant)?)));
    let mut models: Vec<_> = speaking.map(|(at, model)| (PlanRole::System(at), model)).collect();
    models.push((PlanRole::Judge, &settings.judge.model));
    let ground = PlanGround::survey(&settings.store, models, &settings.run, on_loss, context)?;
    let prepared = prepare(&settings.input, &settings.store, &recipe, None, ground.lookout(), context)?;
    refuse_nothing(&prepared)?;
    let rows = settings.judged_rows(&prepared.rows, &recipe, context)?;
    let RowsToCompare { conversations, under, .. } = rows_to_compare(&rows, &recipe, ground.store())?;
    if conversations.is_empty() {
        return Err(nothing_to_compare());
    }
    let mut planner = ground.planner(&[&recipe], prepared.rows.len(), &mut |row| {
        Ok(rows.read(row)?.filter(|seed| recipe.can_take(seed)))
    })?;
    each(&rows, &mut [], |_, seed| {
        if recipe.can_take(seed) {
            planner.add(&recipe, seed)?;
        }
        Ok(RowResult::Kept(0))
    })?;
    if settings.asks_controls(&under) {
        planner.in_controls();
        PairControls::of(settings.judge.judge(Scale::Pair)?).plan(&mut planner)?;
    }
    if settings.stop_at_ci.is_some() {
        planner.note("calls: all conversations; --stop-at-ci may end the comparison earlier");
    }
    let turns = conversations.iter().map(|one| one.calls).sum();
    Ok(PlanReport { totals: Totals { conversations: conversations.len() as u64, turns }, ..planner.finish(&prepared) })
}
