use std::sync::Arc;
use std::time::Duration;

use super::passes::TutorPass;
use crate::conversation::{Lane, Question};
use crate::job::counting::Stored;
use crate::job::engine::{Assignment, Engine, RunResult};
use crate::job::input::Prepared;
use crate::job::rows::{RowResult, each};
use crate::job::stored::{answers_in, replay_in};
use crate::job::{Context, JobError, JobEvent};
use crate::recipe::{Recipe, ReplayEnd};
use crate::report::Totals;
use crate::report::words::{counted, number};
use crate::worker::{self, RunStop};

/// The runs of all passes, one after the other.
pub struct PassRuns<'a> {
    engine: &'a Engine,
    prepared: &'a Prepared,
    passes: &'a [TutorPass],
    context: &'a Context,
    answered: u64,
    reused: u64,
    elapsed: Duration,
}

impl<'a> PassRuns<'a> {
    /// No run yet.
    pub fn new(engine: &'a Engine, prepared: &'a Prepared, passes: &'a [TutorPass], context: &'a Context) -> Self {
        Self { engine, prepared, passes, context, answered: 0, reused: 0, elapsed: Duration::ZERO }
    }

    /// Runs all passes; returns why one stopped before its end.
    pub async fn run_all(&mut self) -> Result<Option<RunStop>, JobError> {
        for pass in self.passes {
            self.warn_of_late(pass)?;
            if let Some(reason) = self.run(pass).await? {
                return Ok(Some(reason));
            }
        }
        Ok(None)
    }

    /// Returns the answers that were paid for, those that were reused, and how long the runs took.
    pub fn sums(&self) -> (u64, u64, Duration) {
        (self.answered, self.reused, self.elapsed)
    }

    async fn run(&mut self, pass: &TutorPass) -> Result<Option<RunStop>, JobError> {
        let Prepared { rows, totals, .. } = self.prepared;
        // The first pass over the input has counted the calls of the first pass of tutoring.
        let counted_per_turn = u64::from(self.passes[0].recipe.calls_per_turn());
        let per_turn = u64::from(pass.recipe.calls_per_turn());
        let stored = Stored::share_of(rows, &*pass.recipe, (per_turn, counted_per_turn));
        let assignment = Assignment {
            recipe: Arc::clone(&pass.recipe) as Arc<dyn Recipe>,
            seeds: Arc::clone(rows) as Arc<dyn worker::Seeds>,
            rows: Box::new(self.prepared.order(
                self.engine.reader(),
                Arc::clone(&pass.recipe) as Arc<dyn Recipe>,
                stored.count(),
            )?),
            totals: Totals { turns: totals.turns / counted_per_turn * per_turn, ..*totals },
            stored,
            ahead_of: None,
        };
        let RunResult { ended, tally, elapsed, .. } = self.engine.run(assignment).await?;
        let reused = tally.reused() + tally.shared;
        self.answered += tally.answered;
        self.reused += reused;
        self.elapsed += elapsed;
        if self.passes.len() > 1 {
            let new = counted(tally.answered, "answer");
            self.context.report(JobEvent::PartDone(format!("{}: {new} new, {} reused", pass.name(), number(reused))));
        }
        Ok(ended.stopped())
    }

    /// Warns where a round has open questions to a student whom a later round asks too: the student that is served now
    /// may have learned already.
    fn warn_of_late(&self, pass: &TutorPass) -> Result<(), JobError> {
        let student = |pass: &TutorPass| pass.recipe.settings().get("student").map(str::to_owned);
        let is_same = |other: &TutorPass| other.round > pass.round && student(other) == student(pass);
        if !self.passes.iter().any(is_same) {
            return Ok(());
        }
        let (mut unasked, store) = (0, &self.engine.store);
        each(&*self.prepared.rows, &mut [], |_, seed| {
            let mut replay = replay_in(&**store, &*pass.recipe, seed)?;
            let progress = replay.advance(answers_in(&**store))?;
            let is_students = |(_, question): &(_, Question)| question.slot.lane == Lane::Student;
            unasked += u64::from(matches!(progress, ReplayEnd::Open(open) if open.iter().any(is_students)));
            Ok(RowResult::Kept(0))
        })?;
        if unasked > 0 {
            self.context.report(JobEvent::Caution(format!(
                "{}: {} are asked now, of the student that is served now; ask a student of an earlier round before it learns",
                pass.name(),
                counted(unasked, "conversation"),
            )));
        }
        Ok(())
    }
}
