use std::sync::Arc;
use std::time::Duration;

use super::answers::ComparedRows;
use super::{CompareSettings, RowToCompare};
use crate::job::JobError;
use crate::job::controls::{CONTROLS_FIRST, PairControls, is_simulated};
use crate::job::counting::Stored;
use crate::job::engine::{Assignment, Engine, RunResult};
use crate::recipe::Recipe;
use crate::report::{Comparison, ComparisonReport, ControlsReport, Tally, Totals};
use crate::worker::{self, RunStop};

/// The runs of a comparison, one after the other.
pub struct Rounds<'a> {
    engine: &'a Engine,
    /// The counts of all runs, added up.
    pub tally: Tally,
    /// How long they took.
    pub elapsed: Duration,
}

impl<'a> Rounds<'a> {
    /// No run yet.
    pub fn new(engine: &'a Engine) -> Self {
        Self { engine, tally: Tally::default(), elapsed: Duration::ZERO }
    }

    /// Asks the controls, where there are some, then about all conversations. The inner error says why a run stopped before
    /// its end.
    pub async fn run_all(
        &mut self,
        compared: &ComparedRows<'_>,
        settings: &CompareSettings,
        controls: Option<PairControls>,
        report: &ComparisonReport,
        conversations: &[RowToCompare],
    ) -> Result<Result<Counted, RunStop>, JobError> {
        if let Some(controls) = &controls {
            let ahead_of = Some(assignment(compared, conversations).ahead(CONTROLS_FIRST));
            if let Some(reason) = self.run(Assignment { ahead_of, ..controls.assignment(compared.store)? }).await? {
                return Ok(Err(reason));
            }
        }
        let (comparison, taken) = match self.in_steps(compared, settings.stop_at_ci, report, conversations).await? {
            Ok(counted) => counted,
            Err(reason) => return Ok(Err(reason)),
        };
        let controls = controls.map(|controls| controls.report(compared.store)).transpose()?;
        let controls = controls.map(|controls| controls.exempt_if(is_simulated(&settings.judge.model)));
        Ok(Ok(Counted { comparison, taken, controls }))
    }

    /// Asks about all conversations at once, or in steps until the interval is narrow enough. A step takes the first rows that
    /// are left, so that every run goes equally far. Returns the count, and over how many conversations it is.
    async fn in_steps(
        &mut self,
        compared: &ComparedRows<'_>,
        stop_at_ci: Option<f64>,
        report: &ComparisonReport,
        conversations: &[RowToCompare],
    ) -> Result<Result<(Comparison, usize), RunStop>, JobError> {
        let mut taken = 0;
        loop {
            let step = next_step(taken, conversations.len(), stop_at_ci);
            let assignment = assignment(compared, &conversations[taken..step]);
            taken = step;
            if let Some(reason) = self.run(assignment).await? {
                return Ok(Err(reason));
            }
            let comparison = compared.count(Comparison::new(report.clone()), &conversations[..taken])?;
            let is_narrow = stop_at_ci.is_some_and(|width| comparison.half_width() <= width);
            if taken == conversations.len() || is_narrow {
                return Ok(Ok((comparison, taken)));
            }
        }
    }

    /// Runs; returns why the run stopped before its end.
    async fn run(&mut self, assignment: Assignment) -> Result<Option<RunStop>, JobError> {
        let RunResult { ended, tally, elapsed, .. } = self.engine.run(assignment).await?;
        self.tally.add_run(&tally);
        self.elapsed += elapsed;
        Ok(ended.stopped())
    }
}

/// Returns the run that asks about some of the conversations.
fn assignment(compared: &ComparedRows<'_>, conversations: &[RowToCompare]) -> Assignment {
    let known = conversations.iter().map(|one| (one.row, one.calls, one.stored));
    let rows: Vec<u64> = conversations.iter().map(|one| one.row).collect();
    Assignment {
        recipe: Arc::clone(&compared.recipe) as Arc<dyn Recipe>,
        seeds: Arc::clone(&compared.rows) as Arc<dyn worker::Seeds>,
        totals: Totals {
            conversations: conversations.len() as u64,
            turns: conversations.iter().map(|one| one.calls).sum(),
        },
        stored: Stored::counted(known, compared.rows.rows.len()),
        rows: Box::new(rows.into_iter().map(|row| Ok(worker::Admit::Row(row)))),
        ahead_of: None,
    }
}

/// Returns how many conversations are judged before the interval is computed again: half as many again each time.
fn next_step(taken: usize, all: usize, stop_at: Option<f64>) -> usize {
    const FIRST: usize = 64;
    match stop_at {
        None => all,
        Some(_) => (taken + taken / 2).max(FIRST).min(all),
    }
}

/// The duels of the conversations that were taken, counted.
pub struct Counted {
    /// The counts.
    pub comparison: Comparison,
    /// How many conversations were taken, from the front.
    pub taken: usize,
    /// What the judge made of the controls.
    pub controls: Option<ControlsReport>,
}
